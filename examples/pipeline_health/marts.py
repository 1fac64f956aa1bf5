"""What the models say."""

from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from examples.pipeline_health.parts import Row


class Marts:
    """The models in a DuckDB file, to be read; times are in UTC."""

    def __init__(self, database: Path, schema: str = "main") -> None:
        self._connection = duckdb.connect(str(database), read_only=True)
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute(f"SET schema = '{schema}'")
        (period,) = self.rows("SELECT * FROM int_prefect__period")
        self.as_of: datetime | None = period["as_of"]
        self.since: datetime | None = period["since"]
        (ended,) = self.rows("SELECT count(*) AS runs FROM prefect__runs WHERE PERIOD")
        self.runs_ended: int = ended["runs"]

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
        answer = self._connection.execute(
            sql.replace("PERIOD", "ended_at >= (SELECT since FROM int_prefect__period)"), values
        )
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
