"""The tables of a sync that OpenLineage events are made from, without a server.

    python -m devtools.data.openlineage_tables 100000 runs.duckdb

writes so many flow runs of a hundred deployments, with two task runs each in every tenth.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from prefect_openlineage.tables import TABLES

Rows = Iterable[Mapping[str, Any]]


def ddl() -> list[str]:
    """The statements that make the tables, in DuckDB and in PostgreSQL."""
    return [
        f"CREATE TABLE {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})"
        for table, columns in TABLES.items()
    ]


def inserts(tables: Mapping[str, Rows], mark: str) -> list[tuple[str, list[Any]]]:
    """The statements that insert rows, with their values; `mark` is the database's placeholder."""
    return [
        (f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join([mark] * len(row))})", list(row.values()))
        for table, rows in tables.items()
        for row in rows
    ]


def write_rows(file: Path, tables: Mapping[str, Rows]) -> None:
    """Write the rows into the tables of a DuckDB file, which are made where they are not there."""
    with duckdb.connect(str(file)) as connection:
        connection.begin()
        if not connection.execute("SELECT 1 FROM duckdb_tables()").fetchall():
            for statement in ddl():
                connection.execute(statement)
        for statement, values in inserts(tables, "?"):
            connection.execute(statement, values)
        connection.commit()


def write_many(file: Path, count: int) -> None:
    """Write `count` finished flow runs; one in twenty has failed."""
    write_rows(file, {})
    with duckdb.connect(str(file)) as connection:
        connection.begin()
        connection.execute(
            "INSERT INTO flows SELECT 'flow-' || n, 'flow-' || n, '[\"owner:Ana\"]', "
            "'http://prefect.example.com/flows/flow/' || n FROM range(100) t(n)"
        )
        connection.execute(
            "INSERT INTO deployments SELECT 'deployment-' || n, 'nightly', 'Every night', 'flows.py:load', "
            """'[{"git_clone": {"repository": "https://github.com/acme/flows.git", "branch": "main"}}]', """
            "'0 2 * * *', 'http://prefect.example.com/deployments/deployment/' || n, "
            "'[\"nightly\"]' FROM range(100) t(n)"
        )
        connection.execute(
            "INSERT INTO lineage SELECT 'shop.public.table_' || n, 'warehouse.staging.table_' || n, 'flow-' || n, "
            "'deployment-' || n FROM range(100) t(n)"
        )
        run = (
            "uuid()::VARCHAR, 'run-' || n, {state}, 'Ended', 'a message', {end}, {start}, {start}, {end}, 1, "
            "'http://prefect.example.com/runs/flow-run/' || n, '[\"nightly\"]', "
            "TIMESTAMP '2026-11-20' + INTERVAL (n // 50) MILLISECOND"
        )
        start, end = (f"TIMESTAMP '2026-09-01' + INTERVAL (n * 60 + {seconds}) SECOND" for seconds in (0, 45))
        completed, failing = "'COMPLETED'", "CASE WHEN n % 20 = 0 THEN 'FAILED' ELSE 'COMPLETED' END"
        connection.execute(
            f"INSERT INTO flow_runs SELECT {run.format(state=failing, start=start, end=end)}, 'flow-' || n % 100, "
            f"'deployment-' || n % 100, NULL, true, NULL FROM range({count}) t(n)"
        )
        connection.execute(
            f"INSERT INTO task_runs SELECT {run.format(state=completed, start='start_time', end='end_time')}, "
            "'extract-0a1b2c3d', id, NULL, NULL FROM (SELECT id, start_time, end_time, row_number() OVER () AS n "
            "FROM flow_runs) CROSS JOIN range(2) WHERE n % 10 = 0"
        )
        connection.commit()


if __name__ == "__main__":
    write_many(Path(sys.argv[2]), int(sys.argv[1]))
