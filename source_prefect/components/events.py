from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests
from airbyte_cdk.sources.declarative.requesters.requester import Requester
from airbyte_cdk.sources.types import Record

from source_prefect.components.feeds import FeedRetriever
from source_prefect.components.http import next_page, query_of
from source_prefect.events import SHAPES
from source_prefect.paging import Page, Row

# The most that Prefect puts on a page of events.
PAGE_SIZE = 50


@dataclass
class EventRetriever(FeedRetriever):
    """Events whose names begin with one of `prefixes` and are none of `exclude`, as rows of a `shape`.

    Every page is asked for by time, like the first one. The token that Prefect offers for the next page stands for
    an offset: where retention deletes old events meanwhile, the rest moves up, and some would be skipped. It serves
    for the events of one and the same time, where there is more than a page of them.
    """

    happened = "occurred"
    arrived = "received"

    # Fetches what a token stands for. Without a default it would have to come before those of the base class.
    next_page_requester: Requester | None = None
    shape: str = "events"
    prefixes: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def page(self, since: str, until: str | None) -> Page:
        return self.events({"since": since} | ({"until": until} if until else {}))

    def pages_of_instant(self, at: str, number: int) -> Iterator[Page]:
        limit = PAGE_SIZE - number
        page = self.events({"since": at, "until": at}, limit=limit)
        yield page
        while page.next_page:
            page = self._follow(page.next_page, limit)
            yield page

    def page_of(self, response: requests.Response, limit: int) -> Page:
        rows = super().page_of(response, limit).rows
        address = next_page(response)
        return Page(rows, full=address is not None, next_page=address)

    def emit(self, rows: Iterable[Row]) -> Iterator[Record]:
        return super().emit(self.rows_of(rows))

    def rows_of(self, events: Iterable[Row]) -> Iterator[Row]:
        """The rows that the events of a page become."""
        return (row for event in events for row in SHAPES[self.shape](event))

    def events(
        self, occurred: Mapping[str, str], *, order: str = "ASC", limit: int = PAGE_SIZE, **filters: Any
    ) -> Page:
        """The first page of the stream's events in this time that pass the filters."""
        prefixes = self.prefixes or self.config.get("event_prefixes") or ()
        names = {"prefix": list(prefixes), "exclude_name": list(self.exclude)}
        if any(names.values()):
            filters["event"] = {key: value for key, value in names.items() if value}
        return self.fetch(filter={"occurred": occurred, "order": order, **filters}, limit=limit)

    def _follow(self, address: str, limit: int) -> Page:
        """The page at an address that the server made: behind a proxy, only the parameters of it are right."""
        if self.next_page_requester is None:
            raise ValueError(f"{self.name} has no next_page_requester.")
        response = self.next_page_requester.send_request(request_params=query_of(address))
        if response is None:
            raise ValueError(f"{self.name} got no answer for a page of events.")
        return self.page_of(response, limit)
