import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airbyte_cdk.sources.declarative.requesters.requester import Requester

from source_prefect.http.client import Client
from source_prefect.pagination import Row, Rows
from source_prefect.records.changes import deletion
from source_prefect.streams.base import Checkpoint, Step
from source_prefect.streams.events import EventRetriever
from source_prefect.sync.seen import SeenObjects
from source_prefect.sync.state import StreamState

LOGGER = logging.getLogger("airbyte")


@dataclass
class ChangeLogRetriever(EventRetriever):
    """Changes by their events, and the deletions that have none: of objects that are gone from their table.

    A server up to 3.7.2 sends no event for most deletions, and none sends one for the deployments that go with their
    flow. A table of more than a page is not compared, for the state would have no room for it.
    """

    # For tables, whose answers are bare lists.
    table_requester: Requester | None = None
    # The tables that a Prefect Server is asked for, by the type of their objects.
    compared: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        if self.table_requester is None:
            raise ValueError(f"{self.name} has no table_requester.")
        size = self.config["page_size"]
        self._tables = Client(self.name, self.table_requester, size, "", self.watermark.begin, self._take_in)
        self._seen = SeenObjects({}, "")

    def sync(self, state: StreamState) -> Iterator[Step]:
        self._seen = SeenObjects(state.objects, self.config["api_url"])
        yield from super().sync(state)
        if self.config["connection"]["type"] == "server":
            yield list(self._deletions())
            yield self.reached(self.watermark.value)

    def reached(self, cursor: datetime | None, **more: Any) -> Checkpoint:
        return super().reached(cursor, objects=self._seen.dump(), **more)

    def rows_of(self, rows: Rows) -> Iterable[Row]:
        for row in super().rows_of(rows):
            if row["action"] == "deleted":
                self._seen.tell(row["object_type"], row["object_id"])
            yield row

    def _deletions(self) -> Iterator[Row]:
        # Not before the tables are read: the server's clock is known from whole seconds.
        now = self.server_now + timedelta(seconds=1)
        for object_type, table in self.compared.items():
            page = self._tables.fetch(f"{table}/filter")
            if page.full:
                LOGGER.info(f"{self.name}: {table} fills a page, so only events report what is deleted there.")
                self._seen.forget(object_type)
                continue
            names = {row["id"]: row.get("name") for row in page.rows}
            for object_id, seen in self._seen.compare(object_type, names, now):
                yield deletion(object_type, object_id, *seen)
