from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from source_prefect.config.settings import lookback_window
from source_prefect.http.client import filtered
from source_prefect.pagination import Page, Row, Rows
from source_prefect.records.task_edges import task_edges
from source_prefect.streams.base import PrefectRetriever, Step
from source_prefect.streams.run_plans import Filters, Runs, sync_runs
from source_prefect.sync.parallel import ReadTo
from source_prefect.sync.retention import warn_of_gap
from source_prefect.sync.state import StreamState


@dataclass
class RunRetriever(PrefectRetriever):
    """Flow runs and task runs, which the API can neither order nor filter by `updated`: see `run_plans`."""

    table: str = ""

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        self._lookback = lookback_window(self.config)
        self._runs = Runs(
            self.label, self._fetch, lambda: self.client.page_size, self.config["num_workers"], self.progress.add
        )

    def sync(self, state: StreamState) -> Iterator[Step]:
        warn_of_gap(self.label, state.cursor, self.config.get("retention_days"))
        for step in sync_runs(self._runs, state, self._lookback, self.start_date):
            if not isinstance(step, ReadTo):
                yield step
            # Without a cursor, the next sync could not find what changed among the runs that were read.
            elif cursor := self.watermark.value:
                yield self.reached(cursor, read_to=step.time)
        yield self.reached(self.watermark.value)

    def _fetch(self, sort: str, filters: Filters, *, offset: int = 0, limit: int | None = None) -> Page:
        body: dict[str, Any] = {"sort": sort, **filtered(self.table, filters)}
        if offset:
            body["offset"] = offset
        if limit:
            body["limit"] = limit
        return self.client.fetch(**body)


@dataclass
class TaskDependencyRetriever(RunRetriever):
    """One row for each origin of every input of a task run. The API has no list of them; the task runs hold them."""

    def rows_of(self, rows: Rows) -> Iterable[Row]:
        return (edge for task_run in rows for edge in task_edges(task_run))
