"""What building the models costs (`make bench-models`): in full, and after a small sync."""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import psycopg2

from devtools.data.tables import write_duckdb, write_postgres
from devtools.servers.postgres import postgres
from prefect_health.build import build_duckdb, build_postgres

FLOWS = 50
NEW_RUNS = 5_000

# One run a minute, back from this time; DuckDB and PostgreSQL both read it.
RUNS = """
INSERT INTO {schema}.flow_runs (id, name, flow_id, created, expected_start_time, start_time, end_time, total_run_time,
    run_count, auto_scheduled, state_type, state_name, state_message, tags, _airbyte_extracted_at)
SELECT 'run-' || n, 'run-' || n, 'flow-' || abs(n) % {flows}, due, due, due + INTERVAL '2 seconds',
    due + INTERVAL '60 seconds',
    58 + abs(n) % 17, 1 + abs(n) % 2, true, CASE WHEN n % 20 = 0 THEN 'FAILED' ELSE 'COMPLETED' END, 'Ended',
    CASE WHEN n % 20 = 0 THEN 'The shop answered 503 after ' || n || ' seconds' END, '["nightly"]',
    {extracted}
FROM (SELECT n, TIMESTAMP '2026-11-20 12:00:00' - n * INTERVAL '1 minute' AS due FROM {numbers}) AS planned
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=int, nargs="?", default=1_000_000)
    runs = parser.parse_args().runs
    flows = {"flows": [{"id": f"flow-{n}", "name": f"flow-{n}", "tags": "[]"} for n in range(FLOWS)], "flow_runs": []}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prefect.duckdb"
        write_duckdb(file, flows)

        def in_duckdb(sql: str) -> None:
            with duckdb.connect(str(file)) as connection:
                connection.execute(sql)

        measure("DuckDB", runs, in_duckdb, lambda: build_duckdb(file), "main", "range({first}, {last}) AS numbers (n)")
    with postgres() as url:
        write_postgres(url, "prefect", flows)

        def in_postgres(sql: str) -> None:
            with psycopg2.connect(url) as connection, connection.cursor() as cursor:
                cursor.execute(sql)

        def build() -> None:
            build_postgres(url, "prefect")

        measure(
            "PostgreSQL", runs, in_postgres, build, "prefect", "generate_series({first}, {last} - 1) AS numbers (n)"
        )


def measure(
    name: str, runs: int, insert: Callable[[str], None], build: Callable[[], None], schema: str, numbers: str
) -> None:
    with timed(f"{name}: inserting {runs:,} runs"):
        insert(_runs(schema, numbers, 0, runs, "TIMESTAMP '2026-11-20 12:05:00'"))
    with timed(f"{name}: full build"):
        build()
    insert(_runs(schema, numbers, -NEW_RUNS, 0, "TIMESTAMP '2026-11-24 12:05:00'"))
    with timed(f"{name}: build after {NEW_RUNS:,} new runs"):
        build()


def _runs(schema: str, numbers: str, first: int, last: int, extracted: str) -> str:
    chosen = numbers.format(first=first, last=last)
    return RUNS.format(schema=schema, flows=FLOWS, numbers=chosen, extracted=extracted)


@contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(f"{what}: {time.monotonic() - began:.1f} s, dbt at most {memory} MB until now", flush=True)


if __name__ == "__main__":
    main()
