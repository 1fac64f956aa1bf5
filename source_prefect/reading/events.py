from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airbyte_cdk.sources.declarative.requesters.requester import Requester
from isodate import parse_duration

from source_prefect.paging import Page, RequestRefusedError, Row, Rows
from source_prefect.progress.ranges import Range, cut_by_time
from source_prefect.progress.retention import MARGIN, KeptEvents
from source_prefect.progress.scope import EVENT_PREFIXES
from source_prefect.reading.feeds import FeedRetriever
from source_prefect.reading.scan import Scan
from source_prefect.records.event_rows import ROWS_OF_AN_EVENT
from source_prefect.server import kept_events
from source_prefect.times import END, format_time

_PAGES_A_RANGE = 10
_MOST_RANGES = 16


@dataclass(kw_only=True)
class EventRetriever(FeedRetriever):
    """Events, as the rows that `makes` names.

    Their names begin with one of `prefixes` and are not in `exclude`.

    Every page is requested by time. Prefect's token for the next page is an offset: if retention
    deletes old events meanwhile, the rest shifts, and some would be skipped. Only ties longer than
    a page use the token.

    ISO 8601 durations: a first sync reads as far back as `history`; Prefect Cloud accepts requests
    for at most `longest_window`.
    """

    page_size: int
    history: str
    longest_window: str
    # Fetches the page of a token.
    next_page_requester: Requester
    makes: str = "events"
    prefixes: Sequence[str] = ()
    exclude: Sequence[str] = ()

    @property
    def scope(self) -> Mapping[str, Any]:
        chosen = self.config.settings.event_prefixes
        return {**super().scope, EVENT_PREFIXES: list(chosen)} if chosen and not self.prefixes else super().scope

    def beginning(self, scan: Scan) -> datetime:
        return scan.settings.start_date or scan.session.now - parse_duration(self.history)

    def kept(self, scan: Scan) -> timedelta | None:
        return None if scan.workspace.workspace_id else kept_events(scan.session)

    def longest_request(self, scan: Scan) -> timedelta | None:
        return parse_duration(self.longest_window) if scan.workspace.workspace_id else None

    def page(self, scan: Scan, span: Range) -> Page:
        return self._kept(scan, span) if self.longest_request(scan) else self._fetch(scan, span, self.page_size)

    def pages_of_tie(self, scan: Scan, at: datetime, number: int) -> Iterator[Page]:
        page = self._fetch(scan, Range(at, at), self.page_size - number)
        yield page
        size = count = len(page.rows)
        # Prefect Cloud names a next page even after the last one, whose address answers 500.
        while page.full and page.next_page and count != page.total:
            page = scan.client.follow(self.next_page_requester, page.next_page, size)
            yield page
            count += len(page.rows)

    def ranges(self, scan: Scan, start: datetime, first_page: Page) -> list[Range]:
        count = min((first_page.total or 0) // (_PAGES_A_RANGE * self.page_size), _MOST_RANGES)
        return cut_by_time(start, scan.session.now, count)

    def rows_of(self, rows: Rows) -> Iterable[Row]:
        make = ROWS_OF_AN_EVENT[self.makes]
        return (row for event in rows for row in make(event))

    def _kept(self, scan: Scan, span: Range) -> Page:
        """The first page of the part of a range that Prefect Cloud keeps: it refuses the rest."""
        days = scan.workspace.retention_days or parse_duration(self.history).days
        kept: KeptEvents = scan.session.once(("kept events", scan.workspace.api_url), lambda: KeptEvents(days))
        while True:
            start = max(span.start, kept.since(scan.session.now))
            if span.end and span.end < start:
                return Page([], full=False)
            wanted = Range(start, span.end)
            with suppress(RequestRefusedError):
                return self._fetch(scan, wanted, self.page_size)
            try:
                return self._fetch(scan, wanted, self.page_size)
            except RequestRefusedError:
                found = kept.find(lambda days: self._is_accepted(scan, days))
                # If the time is still kept, the refusals have another reason.
                if not found or kept.since(scan.session.now) < start + MARGIN / 2:
                    raise

    def _is_accepted(self, scan: Scan, days: int) -> bool:
        """Whether Prefect Cloud accepts a request for events of so many days ago."""
        since = KeptEvents(days).since(scan.session.now)
        try:
            self._fetch(scan, Range(since, since), 1)
        except RequestRefusedError:
            return False
        return True

    def _fetch(self, scan: Scan, span: Range, limit: int) -> Page:
        """The first page of the stream's events in a range."""
        # A server's own end is the present, which hides events that a clock ahead has dated; Cloud
        # limits the range.
        end = span.end or (None if scan.workspace.workspace_id else END)
        occurred = {"since": format_time(span.start)} | ({"until": format_time(end)} if end else {})
        names = {"prefix": [*(self.prefixes or scan.settings.event_prefixes)], "exclude_name": [*self.exclude]}
        event = {key: value for key, value in names.items() if value}
        wanted = {self.event_time: occurred, "order": "ASC"} | ({"event": event} if event else {})
        return scan.client.fetch(filter=wanted, limit=limit)
