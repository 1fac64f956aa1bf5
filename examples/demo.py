"""`make demo`: from Prefect into a DuckDB file and back to what changed, on this machine alone.

With --cloud, the server is a workspace of the stand-in for Prefect Cloud.
"""

import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from devtools.servers.cloud import Workspace, cloud
from devtools.servers.prefect import PrefectServer, prefect_server
from devtools.servers.proxy import Proxy, proxy
from prefect_openlineage.demo import write_events

if TYPE_CHECKING:
    import airbyte as ab

# Services that have nothing to do here, but write to the database now and then: SQLite has one
# writer at a time.
SETTINGS = {
    f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false"
    for service in ("CANCELLATION_CLEANUP", "FOREMAN", "LATE_RUNS", "PAUSE_EXPIRATIONS", "REPOSSESSOR", "TRIGGERS")
}

FOLDER = Path("demo")
DATABASE = FOLDER / "prefect.duckdb"
LOG = FOLDER / "demo.log"
EVENTS = FOLDER / "openlineage.jsonl"

# In front of a table, in an address of Prefect Cloud's API.
WORKSPACE = re.compile(r"^accounts/[^/]+/workspaces/[^/]+/")

QUERIES = {
    "How often does each flow succeed, and how long does it take?": """
        SELECT f.name AS flow,
               count(*) AS runs,
               round(100 * avg(CASE WHEN r.state_type = 'COMPLETED' THEN 1 ELSE 0 END), 1) AS "success %",
               round(quantile_cont(r.total_run_time, 0.50)) AS "p50 seconds",
               round(quantile_cont(r.total_run_time, 0.95)) AS "p95 seconds"
        FROM flow_runs r JOIN flows f ON f.id = r.flow_id
        WHERE r.end_time IS NOT NULL
        GROUP BY f.name ORDER BY runs DESC
    """,
    "What is broken right now: whose last run did not succeed?": """
        SELECT f.name AS flow, r.state_name AS state, r.end_time AS ended, r.state_message AS why
        FROM flow_runs r JOIN flows f ON f.id = r.flow_id
        WHERE r.end_time IS NOT NULL AND r.start_time IS NOT NULL AND r.state_type <> 'CANCELLED'
        QUALIFY row_number() OVER (PARTITION BY f.id ORDER BY r.start_time DESC) = 1 AND r.state_type <> 'COMPLETED'
        ORDER BY r.end_time DESC
    """,
    "What runs next, by which schedule?": """
        SELECT f.name || '/' || d.name AS deployment, d.schedule, d.is_schedule_active AS active,
               min(r.expected_start_time) AS "next run"
        FROM deployments d JOIN flows f ON f.id = d.flow_id
        LEFT JOIN flow_runs r ON r.deployment_id = d.id AND r.state_type = 'SCHEDULED'
            AND r.expected_start_time > (CURRENT_TIMESTAMP AT TIME ZONE 'UTC')
        GROUP BY ALL ORDER BY "next run" NULLS LAST
    """,
    "Which tables does each pipeline read and write, by its tags?": """
        SELECT source, destination, flow_name AS flow, deployment_name AS deployment
        FROM lineage ORDER BY source, destination
    """,
}


class Sync(NamedTuple):
    """What one sync of all streams cost, by requested table, and what it brought, by stream."""

    requests: Counter[str]
    rows: dict[str, int]


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    with ExitStack() as running:
        aside = running.enter_context(ThreadPoolExecutor())
        # PyAirbyte takes seconds to import.
        aside.submit(import_module, "examples.connect")
        with progress("Starting a throw-away Prefect server"):
            server = running.enter_context(prefect_server(SETTINGS))
            counter, connection = running.enter_context(served(server, by_cloud="--cloud" in sys.argv))
        connected = aside.submit(connect, connection)
        with progress("Running a data team's flows on it, and adding a month of earlier runs"):
            run_module(server, "devtools.data.demo_history")
        source, cache = connected.result()
        with progress("First sync: all streams, by PyAirbyte, into DuckDB"):
            first = sync(source, cache, counter)
        show(*per_stream(first))

        for question, sql in QUERIES.items():
            print(f"\n{question}")
            answer = cache.run_sql_query(sql)
            show(list(answer[0]), [list(row.values()) for row in answer])

        with progress("\nRunning one flow again, and pausing one schedule"):
            change(server)
        with progress("Second sync: only what changed"):
            second = sync(source, cache, counter)
        show(*per_stream(second))
    # DuckDB lets nobody else open the file as long as it is open for writing.
    cache.close()
    count, events = write_events(DATABASE, EVENTS)
    print(f"\nThe runs as events for a data catalog: {count} in {EVENTS}, such as", *events, sep="\n    ")
    print(f"\nThe tables are in {DATABASE}, the log is in {LOG}. The server is gone.")


# The server


@contextmanager
def served(server: PrefectServer, *, by_cloud: bool) -> Iterator[tuple[Proxy, dict[str, Any]]]:
    """A proxy that counts requests, and how to connect to it."""
    if by_cloud:
        with cloud([Workspace(server.url)]) as front:
            yield front.proxy, front.connection()
    else:
        with proxy(server.url) as counter:
            yield counter, {"type": "server", "api_url": counter.url}


def run_module(server: PrefectServer, *arguments: str) -> None:
    with LOG.open("a") as log:
        subprocess.run([sys.executable, "-m", *arguments], env=server.env, stdout=log, stderr=log, check=True)


def change(server: PrefectServer) -> None:
    run_module(server, "devtools.data.flows", "refresh-marts")
    deployment = server.get("deployments/name/load-orders/nightly")
    schedule = next(entry for entry in deployment["schedules"] if entry["active"])
    server.patch(f"deployments/{deployment['id']}/schedules/{schedule['id']}", {"active": False})


# The sync


def connect(connection: dict[str, Any]) -> tuple["ab.Source", "ab.DuckDBCache"]:
    """The connector of this environment with all its streams, and the tables."""
    import airbyte as ab

    with quiet():
        source = ab.get_source(
            "source-prefect",
            config={"connection": connection},
            streams="*",
            local_executable=Path(sys.executable).with_name("source-prefect"),
        )
        # The first sync would do it, and start the connector once more.
        source.validate_config()
        return source, ab.DuckDBCache(db_path=DATABASE, cache_dir=FOLDER / "cache")


def sync(source: "ab.Source", cache: "ab.DuckDBCache", counter: Proxy) -> Sync:
    from examples.connect import copy

    before = len(counter.log)
    began = datetime.now(UTC)
    with quiet():
        copy(source, cache)
    requests = Counter(WORKSPACE.sub("", request.path).split("/")[0] for request in counter.log[before:])
    rows = {stream: rows_since(cache, stream, began) for stream in sorted(source.get_available_streams())}
    return Sync(requests, rows)


def rows_since(cache: "ab.DuckDBCache", stream: str, time: datetime) -> int:
    """How many rows of a table were written since then: PyAirbyte notes when each was sent."""
    column = f"count(*) FILTER (_airbyte_extracted_at >= TIMESTAMP '{time:%Y-%m-%d %H:%M:%S}')"
    count: int = cache.run_sql_query(f"SELECT {column} AS count FROM {stream}")[0]["count"]
    return count


# What a person sees


def per_stream(done: Sync) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    # A stream without a table of its own at Prefect is made of others', and its requests are among
    # theirs.
    rows = [(stream, count, done.requests.get(stream)) for stream, count in done.rows.items()]
    total = ("together", sum(done.rows.values()), sum(done.requests.values()))
    return ("stream", "rows", "requests"), [*rows, total]


def show(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """The rows as a table; numbers to the right."""
    columns = []
    for name, *values in zip(header, *rows, strict=True):
        texts = [name, *map(cell, values)]
        width = max(map(len, texts))
        numeric = all(isinstance(value, int | float | Decimal | None) for value in values)
        columns.append([text.rjust(width) if numeric else text.ljust(width) for text in texts])
    for line in zip(*columns, strict=True):
        print("   ", "  ".join(line).rstrip())


def cell(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%d %b %H:%M}"
    text = "-" if value is None else " ".join(str(value).split())
    return text if len(text) <= 50 else text[:49] + "…"


@contextmanager
def progress(text: str) -> Iterator[None]:
    # Another thread may have made the rest quiet.
    print(text, end=" … ", flush=True, file=sys.__stdout__)
    began = time.monotonic()
    yield
    print(f"{time.monotonic() - began:.0f} s", flush=True, file=sys.__stdout__)


@contextmanager
def quiet() -> Iterator[None]:
    """PyAirbyte's own messages go to the log."""
    with LOG.open("a") as log, redirect_stdout(log), redirect_stderr(log):
        yield


if __name__ == "__main__":
    main()
