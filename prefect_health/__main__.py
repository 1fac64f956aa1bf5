"""One self-contained HTML page about the health of pipelines, from the tables of a sync in DuckDB
or PostgreSQL.

    prefect-health prefect.duckdb report.html
    prefect-health postgresql://user:password@localhost:5432/warehouse report.html --schema prefect
        prefect-health postgresql://localhost/warehouse report.html --marts analytics_prefect_marts

The first two build the models of dbt/ beside the tables, which needs dbt; the third reads those
that a dbt project of yours has built. With --exit-code the command ends with the sum of what is
the matter: 4, pipelines are broken; 8, slots were missed; 16, tables are stale; 32, the last sync
is old. 1 is an error of its own.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

try:
    import duckdb
    import psycopg2
except ModuleNotFoundError as missing:
    sys.exit(f"prefect-health needs {missing.name}: in a checkout, pip install '.[health,dbt]'")

from prefect_health import catalog
from prefect_health.alerts import alerts
from prefect_health.build import BuildError, build_duckdb, build_postgres, marts_schema
from prefect_health.marts import is_postgres, name_of, open_marts
from prefect_health.page import render


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    schema = options.schema or ("public" if is_postgres(options.database) else "main")
    try:
        if not options.marts:
            _build(options.database, schema)
        with open_marts(options.database, options.marts or marts_schema(schema)) as marts:
            now = datetime.now(UTC)
            hours = options.old_after
            page = render(marts, name_of(options.database), options.catalog, now=now, old_after_hours=hours)
            found = alerts(marts, now, hours) if options.exit_code else {}
        options.page.write_text(page, encoding="utf-8")
    except (BuildError, OSError, LookupError, duckdb.Error, psycopg2.Error) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.page} is written: open it in a browser.")
    for what in found.values():
        print(what, file=sys.stderr)
    return sum(found)


def _build(database: str, schema: str) -> None:
    if is_postgres(database):
        build_postgres(database, schema)
    else:
        build_duckdb(Path(database), schema)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="prefect-health", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("database", help="the DuckDB file of a sync, or the address of a PostgreSQL database")
    parser.add_argument("page", type=Path, help="the HTML file to write")
    parser.add_argument("--schema", help="where the tables of the sync are: main in DuckDB, public in PostgreSQL")
    parser.add_argument("--marts", metavar="SCHEMA", help="where the models are: then nothing is built")
    parser.add_argument("--old-after", type=float, default=24, metavar="HOURS", help="a sync is old after these (24)")
    parser.add_argument("--exit-code", action="store_true", help="tell by the exit code what is the matter")
    parser.add_argument("--catalog", type=catalog.template, help="the address of a job in a data catalog, with {name}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
