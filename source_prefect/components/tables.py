from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.streams.core import StreamData
from airbyte_cdk.sources.types import Record, StreamSlice

from source_prefect.components.retrievers import TableRetriever
from source_prefect.paging import Page, Row, offset_pages, unordered_walk


@dataclass
class UnorderedTableRetriever(TableRetriever):
    """Work pools, work queues, concurrency limits: small tables that the API orders by name, whatever is asked.

    Every sync reads them whole and emits what changed.
    """

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[StreamData]:
        self.note_schema(records_schema)
        for rows in unordered_walk(self._pages):
            yield from self.emit(row for row in rows if self._wanted(row, self._changed_since))
        self.advance(stream_slice, self._watermark.value)

    def _pages(self, number: int) -> Iterator[Page]:
        limit = max(2, self._limit - number)
        return offset_pages(lambda offset: self.fetch(limit=limit, offset=offset))


@dataclass
class ScheduleRetriever(TableRetriever):
    """One row for each schedule of every deployment. The API has no list of schedules; deployments hold theirs."""

    def emit(self, rows: Iterable[Row]) -> Iterator[Record]:
        return super().emit(
            {
                **schedule,
                "deployment_id": deployment.get("id"),
                "deployment_name": deployment.get("name"),
                "flow_id": deployment.get("flow_id"),
                "is_active": bool(schedule.get("active")) and not deployment.get("paused"),
            }
            for deployment in rows
            for schedule in deployment.get("schedules") or []
        )
