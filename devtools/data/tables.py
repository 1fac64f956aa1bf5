"""A destination's rows, in DuckDB or PostgreSQL: a table a stream, typed by the manifest."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pyarrow
import yaml
from psycopg2.extras import execute_values

Row = dict[str, Any]
Tables = Mapping[str, Sequence[Row]]

MANIFEST = Path(__file__).resolve().parents[2] / "manifest.yaml"
_TYPES = {"integer": "BIGINT", "number": "DOUBLE PRECISION", "boolean": "BOOLEAN", "string": "VARCHAR"}


@cache
def _schemas() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(MANIFEST.read_text())["definitions"]["schemas"]
    return found


def columns(stream: str) -> dict[str, str]:
    """A stream's columns and their types. Times are UTC without a zone: PyAirbyte writes so."""
    found = {name: _type(schema) for name, schema in _schemas()[stream]["properties"].items()}
    return {**found, "_airbyte_extracted_at": "TIMESTAMP"}


def _type(schema: Mapping[str, Any]) -> str:
    if schema.get("format") == "date-time":
        return "TIMESTAMP"
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return next(_TYPES[kind] for kind in kinds if kind != "null")


def write_duckdb(file: Path, tables: Tables, schema: str = "main") -> None:
    """Write the rows into a schema of a DuckDB file."""
    with duckdb.connect(str(file)) as connection:
        # One transaction: each would wait for the disk.
        connection.begin()
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}; SET schema = '{schema}'")
        for stream, rows in tables.items():
            connection.execute(f"CREATE TABLE IF NOT EXISTS {stream} ({_declared(stream)})")
            # Row by row, DuckDB takes a millisecond for each. The values of a column are of one
            # type.
            given = pyarrow.table({name: [row.get(name) for row in rows] for name in columns(stream)})
            connection.register("given", given)
            connection.execute(f"INSERT INTO {stream} SELECT * FROM given")
        connection.commit()


def write_postgres(url: str, schema: str, tables: Tables) -> None:
    """Write the rows into a schema of a PostgreSQL database."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for stream, rows in tables.items():
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {schema}.{stream} ({_declared(stream)})")
            values = [[row.get(name) for name in columns(stream)] for row in rows]
            if values:
                execute_values(cursor, f"INSERT INTO {schema}.{stream} VALUES %s", values)


def _declared(stream: str) -> str:
    return ", ".join(f'"{name}" {kind}' for name, kind in columns(stream).items())
