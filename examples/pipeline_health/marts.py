"""What the models say."""

from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from examples.pipeline_health.build import marts_schema
from examples.pipeline_health.parts import Row

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
    """The models in a DuckDB file, to be read; times are in UTC."""

    def __init__(self, database: Path, schema: str = "main") -> None:
        self._connection = duckdb.connect(str(database), read_only=True)
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute(f"SET schema = '{marts_schema(schema)}'")
        self._connection.execute(VIEWS)
        (period,) = self.rows("SELECT * FROM period")
        self.as_of: datetime | None = period["as_of"]
        self.since: datetime | None = period["since"]
        (ended,) = self.rows("SELECT count(*) AS runs FROM prefect__runs WHERE PERIOD")
        self.runs_ended: int = ended["runs"]
        (workspaces,) = self.rows("SELECT count(*) AS number FROM labels")
        self.has_workspaces: bool = workspaces["number"] > 1

    def __enter__(self) -> "Marts":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

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
