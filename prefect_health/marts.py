"""What the models say, in a DuckDB file or in PostgreSQL."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import psycopg2

from prefect_health.parts import Row

VIEWS = """
    CREATE TEMP VIEW period AS
    SELECT max(as_of) AS as_of, max(since) AS since, max(earlier_since) AS earlier_since,
        CAST(max(since) AT TIME ZONE 'UTC' AS DATE) AS first_day,
        CAST(max(earlier_since) AT TIME ZONE 'UTC' AS DATE) AS earlier_first_day
    FROM prefect__workspaces;

    -- What a workspace is called on the page: two accounts may have one of the same name.
    CREATE TEMP VIEW labels AS
    SELECT workspace_id,
        coalesce(workspace_name, workspace_id)
            || CASE WHEN count(*) OVER (PARTITION BY workspace_name) > 1 AND workspace_name IS NOT NULL
                THEN ' (' || workspace_id || ')' ELSE '' END AS workspace
    FROM prefect__workspaces
"""


class Marts:
    """The models, to be asked in DuckDB's SQL; times are in UTC."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._connection.execute(VIEWS)
        (period,) = self.rows("SELECT * FROM period")
        self.as_of: datetime | None = period["as_of"]
        self.since: datetime | None = period["since"]
        (ended,) = self.rows("SELECT count(*) AS runs FROM prefect__runs WHERE PERIOD")
        self.runs_ended: int = ended["runs"]
        (workspaces,) = self.rows("SELECT count(*) AS number FROM labels")
        self.has_workspaces: bool = workspaces["number"] > 1

    def unless_idle(self, good_news: str) -> str:
        """What an empty table says: where nothing ran, it is no good news that nothing failed."""
        return good_news if self.runs_ended else "No run has ended in these days."

    def rows(self, sql: str, *values: Any) -> list[Row]:
        """The rows of a query, in which `PERIOD` says of a run that it ended in the period."""
        answer = self._connection.execute(sql.replace("PERIOD", "ended_at >= (SELECT since FROM period)"), values)
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    def named(self, row: Row) -> str:
        """What a chart calls the flow of a row: two workspaces may have one of the same name."""
        flow = row["flow"] or "(unknown)"
        return f"{row['workspace']} / {flow}" if self.has_workspaces else flow


def is_postgres(database: str) -> bool:
    return database.startswith(("postgres://", "postgresql://"))


def name_of(database: str) -> str:
    """What the page calls the database: nothing secret is in it."""
    if not is_postgres(database):
        return Path(database).name
    address = urlsplit(database)
    return f"{address.hostname or 'localhost'}{address.path}"


@contextmanager
def open_marts(database: str, schema: str) -> Iterator[Marts]:
    """The models in a schema of a DuckDB file or PostgreSQL database. It writes nothing there."""
    file, read_only = (":memory:", False) if is_postgres(database) else (database, True)
    with duckdb.connect(file, read_only=read_only) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        if is_postgres(database):
            _copy(database, schema, connection)
        else:
            connection.execute(f"SET schema = '{schema}'")
        yield Marts(connection)


# How PostgreSQL calls the types of the models' columns, where DuckDB does not know the name.
_TYPES = {"character varying": "VARCHAR", "text": "VARCHAR", "timestamp with time zone": "TIMESTAMPTZ",
          "numeric": "DOUBLE", "double precision": "DOUBLE", "jsonb": "JSON"}  # fmt: skip


def _copy(address: str, schema: str, target: duckdb.DuckDBPyConnection) -> None:
    """Copy the models out of PostgreSQL, so that both databases answer the same queries alike."""
    source = psycopg2.connect(address, options="-c timezone=UTC")
    try:
        source.set_session(readonly=True, isolation_level="REPEATABLE READ")
        with source.cursor() as cursor, tempfile.TemporaryDirectory(prefix="marts-") as folder:
            cursor.execute(
                "SELECT table_name, column_name, data_type FROM information_schema.columns "
                "WHERE table_schema = %s AND table_name LIKE 'prefect\\_\\_%%' ORDER BY table_name, ordinal_position",
                (schema,),
            )
            models: dict[str, dict[str, str]] = {}
            for model, column, kind in cursor.fetchall():
                models.setdefault(model, {})[column] = _TYPES.get(kind, kind)
            if not models:
                raise LookupError(f"There are no models prefect__* in the schema {schema}.")
            for model, columns in models.items():
                file = Path(folder) / model
                with file.open("w", encoding="utf-8") as rows:
                    cursor.copy_expert(f'COPY (SELECT * FROM "{schema}"."{model}") TO STDOUT (FORMAT csv)', rows)
                # An empty text is quoted, a missing one is not.
                target.execute(
                    f"CREATE TABLE {model} AS SELECT * FROM read_csv(?, columns = ?, auto_detect = false, "
                    "header = false, delim = ',', quote = '\"', escape = '\"', allow_quoted_nulls = false, "
                    "parallel = false, max_line_size = 20000000)",
                    [str(file), columns],
                )
    finally:
        source.close()
