from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from airbyte_cdk.sources.streams.core import StreamData
from airbyte_cdk.sources.types import Record, StreamSlice

from source_prefect.config.settings import lookback_window
from source_prefect.http.client import filtered
from source_prefect.pagination import Page, Row, Rows
from source_prefect.records.task_edges import task_edges
from source_prefect.streams.base import PrefectRetriever, Step
from source_prefect.streams.run_plans import Filters, Runs, sync_runs
from source_prefect.sync.parallel import ReadTo
from source_prefect.sync.retention import warn_of_gap
from source_prefect.sync.state import StreamState


class Shared(Protocol):
    """The read that serves this stream and another one: `streams.shared`."""

    def records(self, stream: str) -> Iterable[StreamData]: ...


@dataclass
class RunRetriever(PrefectRetriever):
    """Flow runs and task runs, which the API can neither order nor filter by `updated`: see `run_plans`."""

    table: str = ""
    shared: Shared | None = field(init=False, default=None)
    # A stream that is made of the rows of this one, and read with it.
    derived: PrefectRetriever | None = field(init=False, default=None)

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        self._lookback = lookback_window(self.config)
        self._runs = Runs(
            self.label, self._fetch, lambda: self.client.page_size, self.config["num_workers"], self.progress.add
        )

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[StreamData]:
        return self.shared.records(self.name) if self.shared else super().read_records(records_schema, stream_slice)

    def records(self, rows: Rows) -> Iterator[Record]:
        if self.derived:
            # First: the transformations change the rows.
            yield from self.derived.records(rows)
        yield from super().records(rows)

    def save(self, state: StreamState) -> None:
        if self.derived:
            self.derived.save(state)
        super().save(state)

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

    # The stream whose pages hold them: where it is selected too, one read serves both.
    pages_of: str = ""

    def rows_of(self, rows: Rows) -> Iterable[Row]:
        return (edge for task_run in rows for edge in task_edges(task_run))
