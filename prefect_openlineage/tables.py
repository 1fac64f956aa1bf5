"""The tables of a sync, in a DuckDB file or PostgreSQL; those that a sync left out are empty."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import psycopg2

Row = dict[str, Any]
Execute = Callable[[str, Sequence[Any]], tuple[list[str], list[tuple[Any, ...]]]]

# What the events are made from, and no more.
_RUN = {
    "id": "VARCHAR",
    "name": "VARCHAR",
    "state_type": "VARCHAR",
    "state_name": "VARCHAR",
    "state_message": "VARCHAR",
    "state_timestamp": "TIMESTAMP",
    "expected_start_time": "TIMESTAMP",
    "start_time": "TIMESTAMP",
    "end_time": "TIMESTAMP",
    "run_count": "INTEGER",
    "ui_url": "VARCHAR",
    "tags": "VARCHAR",
    "_airbyte_extracted_at": "TIMESTAMP",
}
TABLES: dict[str, dict[str, str]] = {
    "workspaces": {"id": "VARCHAR", "name": "VARCHAR"},
    "flows": {"id": "VARCHAR", "name": "VARCHAR", "tags": "VARCHAR", "ui_url": "VARCHAR"},
    "deployments": {
        "id": "VARCHAR",
        "name": "VARCHAR",
        "description": "VARCHAR",
        "entrypoint": "VARCHAR",
        "pull_steps": "VARCHAR",
        "schedule": "VARCHAR",
        "ui_url": "VARCHAR",
        "tags": "VARCHAR",
    },
    "lineage": {
        "source": "VARCHAR",
        "destination": "VARCHAR",
        "flow_id": "VARCHAR",
        "deployment_id": "VARCHAR",
    },
    "flow_runs": {
        **_RUN,
        "flow_id": "VARCHAR",
        "deployment_id": "VARCHAR",
        "parent_task_run_id": "VARCHAR",
        "auto_scheduled": "BOOLEAN",
        "workspace_id": "VARCHAR",
    },
    "task_runs": {
        **_RUN,
        "task_key": "VARCHAR",
        "flow_run_id": "VARCHAR",
        "state_state_details_child_flow_run_id": "VARCHAR",
        "workspace_id": "VARCHAR",
    },
    "asset_materializations": {
        "id": "VARCHAR",
        "asset": "VARCHAR",
        "upstream_assets": "VARCHAR",
        "flow_run_id": "VARCHAR",
        "task_run_id": "VARCHAR",
        "_airbyte_extracted_at": "TIMESTAMP",
    },
}


class Tables:
    """The tables as `TABLES` describes them; a `?` in SQL stands for a value."""

    def __init__(self, execute: Execute, schema: str) -> None:
        self._execute = execute
        self._relations = {name: self._relation(schema, name, columns) for name, columns in TABLES.items()}

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows of a query, in which `{flow_runs}` stands for a table."""
        names, rows = self._execute(sql.format_map(self._relations), values)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def rows_by(self, table: str, column: str, values: Sequence[str]) -> list[Row]:
        """The rows of a table that have one of these values in a column."""
        if not values:
            return []
        marks = ", ".join("?" * len(values))
        return self.rows(f"SELECT * FROM {{{table}}} WHERE {column} IN ({marks})", values)

    def _relation(self, schema: str, table: str, columns: dict[str, str]) -> str:
        _, found = self._execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = ? AND table_name = ?",
            (schema, table),
        )
        there = {str(name) for (name,) in found}
        if table == "flow_runs" and "_airbyte_extracted_at" not in there:
            raise LookupError(f"There is no table flow_runs of an Airbyte sync in the schema {schema}.")
        chosen = ", ".join(
            f"CAST({name if name in there else 'NULL'} AS {kind}) AS {name}" for name, kind in columns.items()
        )
        origin = f'FROM "{schema}"."{table}"' if there else "WHERE false"
        return f"(SELECT {chosen} {origin}) AS {table}"


@contextmanager
def open_tables(address: str, schema: str | None = None) -> Iterator[Tables]:
    """The tables in a DuckDB file, or at an address of PostgreSQL. Nothing is written there."""
    if address.startswith(("postgres://", "postgresql://")):
        with _postgres(address) as execute:
            yield Tables(execute, schema or "public")
    else:
        with _duckdb(Path(address)) as execute:
            yield Tables(execute, schema or "main")


@contextmanager
def _duckdb(file: Path) -> Iterator[Execute]:
    if not file.exists():
        raise FileNotFoundError(f"There is no {file}: `make demo` writes one, and so does examples.to_duckdb.")
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")

        def execute(sql: str, values: Sequence[Any]) -> tuple[list[str], list[tuple[Any, ...]]]:
            answer = connection.execute(sql, list(values))
            return [column[0] for column in answer.description or ()], answer.fetchall()

        yield execute


@contextmanager
def _postgres(address: str) -> Iterator[Execute]:
    connection = psycopg2.connect(address, options="-c timezone=UTC")
    try:
        connection.set_session(readonly=True, autocommit=True)

        def execute(sql: str, values: Sequence[Any]) -> tuple[list[str], list[tuple[Any, ...]]]:
            with connection.cursor() as cursor:
                cursor.execute(sql.replace("?", "%s"), tuple(values))
                return [column.name for column in cursor.description or ()], cursor.fetchall()

        yield execute
    finally:
        connection.close()
