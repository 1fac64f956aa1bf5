"""Two databases to ask the same question, and answers that can be compared."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import duckdb
import psycopg2

Answer = list[tuple[Any, ...]]


class Warehouse(Protocol):
    def ask(self, sql: str, *, zone: str = "UTC") -> Answer:
        """The rows of a query, in a session of this time zone."""


class DuckDB(NamedTuple):
    file: Path
    schema: str = "main"

    def ask(self, sql: str, *, zone: str = "UTC") -> Answer:
        with duckdb.connect(str(self.file), read_only=True) as connection:
            connection.execute(f"SET TimeZone = '{zone}'; SET schema = '{self.schema}'")
            return _plain(connection.execute(sql).fetchall())


class PostgreSQL(NamedTuple):
    url: str
    schema: str

    def ask(self, sql: str, *, zone: str = "UTC") -> Answer:
        with psycopg2.connect(self.url) as connection, connection.cursor() as cursor:
            cursor.execute(f"SET search_path = {self.schema}; SET TimeZone = '{zone}'")
            cursor.execute(sql)
            return _plain(cursor.fetchall())


def _plain(rows: Sequence[tuple[Any, ...]]) -> Answer:
    return [tuple(map(_value, row)) for row in rows]


def _value(value: Any) -> Any:
    """A number as it is printed, a time in UTC."""
    if isinstance(value, float | Decimal):
        return round(float(value), 6)
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        return moment.replace(tzinfo=None)
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, list | dict) else value


def by_key(warehouse: Warehouse, sql: str) -> dict[str, Any]:
    """The second column by the first, or all others as a tuple."""
    return {row[0]: row[1] if len(row) == 2 else row[1:] for row in warehouse.ask(sql)}
