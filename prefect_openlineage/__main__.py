"""OpenLineage events for a data catalog, from the tables of a sync.

    prefect-openlineage prefect.duckdb --mapping mapping.yml --dry-run
    prefect-openlineage prefect.duckdb --mapping mapping.yml --to marquez --url http://localhost:5000
    prefect-openlineage postgresql://user@localhost/warehouse --schema prefect --file events.jsonl

Without --file, --console or --url, the OpenLineage client looks for its own configuration:
openlineage.yml, or environment variables. Run it after each sync: it goes on where it ended.
docs/catalogs.md tells what each catalog needs.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

try:
    import duckdb
    import psycopg2
    from openlineage.client import OpenLineageClient
    from openlineage.client.transport import get_default_factory
except ModuleNotFoundError as missing:
    sys.exit(f"prefect-openlineage needs {missing.name}: in a checkout, pip install '.[openlineage]'")

from prefect_openlineage.events import Events, Jobs, shown
from prefect_openlineage.receivers import NAMES, Receiver, receiver
from prefect_openlineage.runs import Runs
from prefect_openlineage.sending import Progress, Sent, send
from prefect_openlineage.settings import Settings, read_settings
from prefect_openlineage.tables import Tables, open_tables


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        settings = read_settings(options.mapping)
        with open_tables(options.database, options.schema) as tables:
            sent = _send(options, settings, tables)
    except (OSError, ValueError, TypeError, LookupError, RuntimeError, duckdb.Error, psycopg2.Error) as error:
        print(error, file=sys.stderr)
        return 1
    _report(sent, settings)
    return 0


def _send(options: argparse.Namespace, settings: Settings, tables: Tables) -> Sent:
    catalog = receiver(options.to)
    jobs = Jobs.read(tables, settings.job_namespace, per_deployment=settings.job_per_deployment)
    events = Events(jobs, settings.datasets, settings.prefect_version, settings.owner, catalog.whole)
    target = options.file or options.url or ("console" if options.console else "openlineage.yml")
    progress = Progress(options.state or _beside(options.database), f"{options.to} {target}")
    runs = Runs(tables, events, {} if options.everything else progress.positions(), options.tasks)
    _warn_of_shared_namespace(settings, tables)
    if options.dry_run:
        return send(runs, _Printer(), catalog)
    if options.file:
        _end_with_a_line(options.file)
    transport = _transport(options, catalog)
    try:
        return send(runs, transport, catalog, progress, options.skip_refused)
    finally:
        transport.close()


def _warn_of_shared_namespace(settings: Settings, tables: Tables) -> None:
    (counted,) = tables.rows("SELECT count(DISTINCT workspace_id) AS workspaces FROM {flow_runs}")
    if counted["workspaces"] > 1 and "{workspace}" not in settings.job_namespace:
        print(
            f"{counted['workspaces']} workspaces share the namespace {settings.job_namespace}: write {{workspace}} "
            "into it, or jobs of the same name are one.",
            file=sys.stderr,
        )


def _transport(options: argparse.Namespace, catalog: Receiver) -> Any:
    """A transport of the client, by the options or, if they name none, its own configuration."""
    config = _configuration(options, catalog)
    # The client would mix a configuration of its own, where it finds one, into that of the
    # options.
    transport = get_default_factory().create(config) if config else OpenLineageClient().transport
    # What leads nowhere would be taken for sent.
    if transport.kind == "noop":
        raise ValueError("Nothing would be sent: OPENLINEAGE_DISABLED is set, or the client has a noop transport.")
    if transport.kind == "console" and not options.console:
        raise ValueError("Where to? Give --url, --file or --console, or configure the OpenLineage client.")
    return transport


def _configuration(options: argparse.Namespace, catalog: Receiver) -> dict[str, Any] | None:
    if options.file:
        return {"type": "file", "log_file_path": str(options.file), "append": True}
    if options.console:
        # The client logs the events: here they are the output.
        console = logging.getLogger("openlineage.client.transport.console")
        console.setLevel(logging.INFO)
        console.handlers = [logging.StreamHandler(sys.stdout)]
        return {"type": "console"}
    if not options.url:
        return None
    config = {
        "type": "http",
        # With a slash in the end, or the last part of its path would be taken for a file, and be
        # replaced.
        "url": options.url.rstrip("/") + "/",
        "endpoint": options.endpoint if options.endpoint is not None else catalog.endpoint,
        "timeout": options.timeout,
        "custom_headers": dict(options.header),
        "retry": {"total": options.retries, "status_forcelist": [429, 500, 502, 503, 504]},
    }
    if key := os.environ.get("OPENLINEAGE_API_KEY"):
        config["auth"] = {"type": "api_key", "apiKey": key}
    return config


class _Printer:
    """Prints the events instead of sending them."""

    def emit(self, event: Any) -> "_Printer":
        print(shown(event))
        return self

    def json(self) -> dict[str, int]:
        """As if the receiver had drawn every edge."""
        return {"lineageEdgesCreated": sys.maxsize}


def _report(sent: Sent, settings: Settings) -> None:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(sent.events.items()))
    speed = f", {sent.total / sent.seconds:,.0f} a second" if sent.seconds > 1 else ""
    print(f"{sent.total:,} events{f': {kinds}' if kinds else ''} in {sent.seconds:.1f} s{speed}", file=sys.stderr)
    for complaint, times in sent.complaints.most_common():
        print(f"{complaint} ({times} times)", file=sys.stderr)
    for name, times in settings.datasets.unmapped.most_common():
        dataset = settings.datasets.of(name)
        print(f"No rule maps {name} ({times} times): it is {dataset.namespace} {dataset.name}", file=sys.stderr)


def _beside(database: str) -> Path:
    if "://" in database:
        return Path("openlineage.state.json")
    return Path(f"{Path(database).with_suffix('')}.openlineage.json")


def _end_with_a_line(file: Path) -> None:
    """Remove what a kill left of a line: the next event would be written behind it and be lost."""
    if not file.exists():
        return
    with file.open("rb+") as events:
        end = events.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 1_000_000)
            events.seek(start)
            line_end = events.read(end - start).rfind(b"\n")
            if line_end >= 0:
                end = start + line_end + 1
                break
            end = start
        events.truncate(end)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="prefect-openlineage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("database", help="a DuckDB file, or the address of a PostgreSQL database")
    parser.add_argument("--schema", help="where the tables are: main in DuckDB, public in PostgreSQL")
    parser.add_argument(
        "--mapping", type=Path, help="how jobs and datasets are called; see prefect_openlineage/mapping.yml"
    )
    parser.add_argument("--to", choices=NAMES, default="marquez", help="the catalog: what it takes, and at which path")
    parser.add_argument("--url", help="the address of the catalog; OPENLINEAGE_API_KEY holds its key")
    parser.add_argument("--endpoint", help="the path there, where it is another")
    parser.add_argument(
        "--header", type=_header, action="append", default=[], metavar="NAME:VALUE", help="sent as well"
    )
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds")
    parser.add_argument("--retries", type=int, default=8, help="for each event, with growing pauses")
    parser.add_argument("--file", type=Path, help="write the events there, one a line")
    parser.add_argument("--console", action="store_true", help="print the events as JSON")
    parser.add_argument("--dry-run", action="store_true", help="print what would be sent, a line for each event")
    parser.add_argument("--state", type=Path, help="where it remembers how far it has got: beside the DuckDB file")
    parser.add_argument("--everything", action="store_true", help="send all runs again")
    parser.add_argument(
        "--skip-refused", action="store_true", help="go on when the catalog refuses an event (400, 413, 422)"
    )
    parser.add_argument("--without-tasks", dest="tasks", action="store_false", help="send flow runs only")
    return parser


def _header(text: str) -> tuple[str, str]:
    name, separator, value = text.partition(":")
    if not (separator and name.strip()):
        raise argparse.ArgumentTypeError(f"{text} is no NAME:VALUE.")
    return name.strip(), value.strip()


if __name__ == "__main__":
    sys.exit(main())
