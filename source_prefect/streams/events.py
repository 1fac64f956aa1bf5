from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from airbyte_cdk.sources.declarative.requesters.requester import Requester

from source_prefect.pagination import Page, RequestRefusedError, Row, Rows
from source_prefect.records.event_rows import SHAPES
from source_prefect.streams.feeds import FeedRetriever
from source_prefect.sync.retention import MARGIN, KeptEvents
from source_prefect.sync.windows import Window, windows_by_time
from source_prefect.times import format_time

# Prefect's largest page of events.
PAGE_SIZE = 50

# How far back a first sync reads: as far as Prefect itself does without a time filter.
HISTORY = timedelta(days=180)

# Prefect Cloud accepts at most 14 days in one request.
LONGEST_WINDOW = timedelta(days=7)

_PAGES_A_WINDOW = 10
_MOST_WINDOWS = 200

_NOTHING = Page([], full=False)


@cache
def _shared_kept_events(api_url: str, days: int) -> KeptEvents:  # noqa: ARG001  (the key of the cache)
    """What one workspace keeps, found out once for all of its streams."""
    return KeptEvents(days)


@dataclass
class EventRetriever(FeedRetriever):
    """Events whose names begin with one of `prefixes` and are not in `exclude`, as rows of a `shape`.

    Every page is requested by time, like the first one. Prefect's token for the next page is an offset: where
    retention deletes old events meanwhile, the rest shifts, and some would be skipped. The token serves for a tie of
    more than a page.
    """

    # Fetches the page of a token. Without a default it would have to precede the fields of the base class.
    next_page_requester: Requester | None = None
    shape: str = "events"
    prefixes: Sequence[str] = ()
    exclude: Sequence[str] = ()

    @property
    def beginning(self) -> datetime:
        return self.start_date or datetime.now(UTC) - HISTORY

    @property
    def longest_window(self) -> timedelta | None:
        return LONGEST_WINDOW if self.config["connection"]["type"] == "cloud" else None

    def page(self, window: Window, **more: Any) -> Page:
        return self._kept_events(window, **more) if self.longest_window else self.events(window, **more)

    def pages_of_tie(self, at: datetime, number: int) -> Iterator[Page]:
        page = self.events(Window(at, at), limit=PAGE_SIZE - number)
        yield page
        size = count = len(page.rows)
        # Prefect Cloud names a next page even after the last one, and answers 500 to a request for it.
        while page.full and count != page.total:
            page = self._next(page, size)
            yield page
            count += len(page.rows)

    def windows(self, start: datetime, first_page: Page) -> Iterator[Window]:
        count = min(first_page.total // (_PAGES_A_WINDOW * PAGE_SIZE), _MOST_WINDOWS)
        return windows_by_time(start, self.watermark.scan_start or datetime.now(UTC), count, LONGEST_WINDOW)

    def rows_of(self, rows: Rows) -> Iterable[Row]:
        return (row for event in rows for row in SHAPES[self.shape](event))

    def _next(self, page: Page, size: int) -> Page:
        if self.next_page_requester is None or page.next_page is None:
            raise ValueError(f"{self.name} has no next_page_requester, or a page without a token.")
        return self.client.follow(self.next_page_requester, page.next_page, size)

    def _kept_events(self, window: Window, **more: Any) -> Page:
        """The first page of the part of a window that Prefect Cloud keeps. It refuses requests for older events."""
        kept = _shared_kept_events(self.config["api_url"], self.config.get("retention_days") or HISTORY.days)
        while True:
            start = max(window.start, kept.since(self.server_now))
            if window.end and window.end < start:
                return _NOTHING
            try:
                return self.events(Window(start, window.end), **more)
            except RequestRefusedError:
                kept.find(self._is_kept)
                # If the time is still kept, the refusal has another reason.
                if kept.since(self.server_now) < start + MARGIN / 2:
                    raise

    def _is_kept(self, days: int) -> bool:
        since = KeptEvents(days).since(self.server_now)
        try:
            self.events(Window(since, since), limit=1)
        except RequestRefusedError:
            return False
        return True

    def events(self, window: Window, *, order: str = "ASC", limit: int = PAGE_SIZE, **filters: Any) -> Page:
        """The first page of the stream's events in this window that pass the filters."""
        occurred: Mapping[str, str] = {"since": format_time(window.start)} | (
            {"until": format_time(window.end)} if window.end else {}
        )
        prefixes = self.prefixes or self.config.get("event_prefixes") or ()
        names = {"prefix": list(prefixes), "exclude_name": list(self.exclude)}
        if any(names.values()):
            filters["event"] = {key: value for key, value in names.items() if value}
        return self.client.fetch(filter={"occurred": occurred, "order": order, **filters}, limit=limit)
