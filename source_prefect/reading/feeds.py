from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from isodate import parse_duration

from source_prefect.paging import Page, Row, Rows, consecutive_pages, pages_ascending, pages_unordered, smaller
from source_prefect.progress.log import Progress
from source_prefect.progress.scope import LOG_LEVEL
from source_prefect.progress.threads import ReadTo, read_windows
from source_prefect.progress.windows import Window, windows_by_rows, windows_by_time
from source_prefect.reading.scan import PrefectRetriever, Scan, Step
from source_prefect.times import BEGINNING, END, format_time, parse_time, shift

# A server may write rows into its tables after their ingestion time: events wait in a queue until they are persisted.
PERSISTING = timedelta(minutes=15)
# A shorter time is read as one window.
SHORT_TIME = timedelta(days=1)
# How far apart the clocks of a server's replicas may be: a row may look that much newer.
CLOCKS_APART = timedelta(minutes=5)


@dataclass(kw_only=True)
class FeedRetriever(PrefectRetriever):
    """Rows that never change, in the order of their event time: logs and events.

    The event time comes from the clock of the machine that made the row. The row reaches the server later, at its
    ingestion time, which the server's clock writes. So the cursor is the watermark of the server's clock. A sync reads
    from the cursor less `lookback` on, and sends the rows ingested since the last one. A long time is read in windows,
    several at once.
    """

    event_time: str
    # An ISO 8601 duration.
    lookback: str

    @abstractmethod
    def page(self, scan: Scan, window: Window) -> Page:
        """The oldest page of a window."""

    @abstractmethod
    def pages_of_tie(self, scan: Scan, at: datetime, number: int) -> Iterable[Page]:
        """All pages of the rows with this event time, each `number` rows smaller than a full page."""

    @abstractmethod
    def windows(self, scan: Scan, start: datetime, first_page: Page) -> Iterator[Window]:
        """The windows of a time that has more than `first_page`; the last one has no end."""

    def longest_request(self, scan: Scan) -> timedelta | None:  # noqa: ARG002  (for subclasses)
        """The longest time that the API accepts in one request; None without a limit."""
        return None

    def beginning(self, scan: Scan) -> datetime:
        """Where a first sync begins."""
        return scan.settings.start_date or BEGINNING

    def sync(self, scan: Scan) -> Iterator[Step]:
        cursor, now = scan.state.cursor, scan.session.now
        scan.warn_of_gap()
        start = shift(cursor, -parse_duration(self.lookback)) if cursor else self.beginning(scan)
        if longest := self.longest_request(scan):
            yield from self._read(scan, cursor, windows_by_time(start, now, 1, longest))
        elif cursor and now - cursor < SHORT_TIME:
            yield from self._read(scan, cursor, [Window(start, None)])
        else:
            page = self.page(scan, Window(start, None))
            if page.full:
                start = parse_time(page.rows[0].get(self.event_time)) or start if page.rows else start
                yield from self._read(scan, cursor, self.windows(scan, start, page))
            else:
                yield self._new(page.rows, cursor)
        yield scan.checkpoint(scan.watermark.value)

    def _read(self, scan: Scan, cursor: datetime | None, windows: Iterable[Window]) -> Iterator[Step]:
        progress, workers = Progress(scan.label, "up to"), scan.settings.num_workers
        for step in read_windows(windows, lambda each: self._pages(scan, each), workers, scan.client.page_size):
            if not isinstance(step, ReadTo):
                progress.add(step, self.event_time)
                yield self._new(step, cursor)
            # A window is complete to its end, even without a row, unless it reaches past the present: rows may follow.
            elif (scan_start := scan.watermark.scan_start) and step.time <= scan_start:
                yield scan.checkpoint(step.time)

    def _pages(self, scan: Scan, window: Window) -> Iterator[Rows]:
        pages = pages_ascending(
            lambda since: self.page(scan, Window(since, window.end)),
            lambda at: pages_unordered(lambda number: self.pages_of_tie(scan, at, number)),
            self.event_time,
            window.start,
            window.end,
        )
        for rows in pages:
            # The next sync reads these rows and all later ones. Without an end, a scan would go on for as long as rows
            # come faster than it reads. Decided before the yield, because whoever takes the rows changes them in place.
            is_last = window.end is None and self._came_during(scan, rows)
            yield rows
            if is_last:
                return

    def _came_during(self, scan: Scan, rows: Rows) -> bool:
        """Whether the server ingested all of these rows since the scan began, and their event times are as late.

        Rows dated in the future, by a clock that was ahead, may have been there before.
        """
        if not rows or not (start := scan.watermark.scan_start):
            return False
        # Answers tell the server's clock in whole seconds, and take a moment to arrive.
        now = scan.session.now + timedelta(seconds=2)
        return all(
            (occurred := parse_time(row.get(self.event_time)))
            and (ingested := parse_time(row.get(self.ingestion_time)))
            and min(occurred, ingested) > start + CLOCKS_APART
            and ingested <= now
            for row in rows
        )

    def _new(self, rows: Rows, cursor: datetime | None) -> Rows:
        return [row for row in rows if self._is_new(row, shift(cursor, -PERSISTING))] if cursor else rows

    def _is_new(self, row: Row, since: datetime) -> bool:
        times = parse_time(row.get(self.event_time)), parse_time(row.get(self.ingestion_time))
        return max(filter(None, times), default=END) >= since


@dataclass(kw_only=True)
class LogRetriever(FeedRetriever):
    """The lines that runs have logged, from the `log_level` of the settings on."""

    sort: str

    @property
    def scope(self) -> Mapping[str, Any]:
        return {**super().scope, LOG_LEVEL: self.config.settings.log_level}

    def page(self, scan: Scan, window: Window, **more: Any) -> Page:
        span = {"after_": format_time(window.start)} | ({"before_": format_time(window.end)} if window.end else {})
        level = {"ge_": scan.settings.log_level}
        return scan.client.fetch(sort=self.sort, logs={self.event_time: span, "level": level}, **more)

    def pages_of_tie(self, scan: Scan, at: datetime, number: int) -> Iterable[Page]:
        limit = smaller(scan.client.page_size, number)
        return consecutive_pages(lambda offset: self.page(scan, Window(at, at), limit=limit, offset=offset))

    def windows(self, scan: Scan, start: datetime, first_page: Page) -> Iterator[Window]:  # noqa: ARG002  (for events)
        def time_at(start: datetime, position: int) -> datetime | None:
            rows = self.page(scan, Window(start, None), limit=1, offset=position).rows
            return parse_time(rows[0].get(self.event_time)) if rows else None

        scan_start = scan.watermark.scan_start
        for window in windows_by_rows(time_at, start, None, scan.client.page_size, scan.settings.num_workers):
            if scan_start and window.start > scan_start:
                # Rows may come as fast as they are read: then no window would be the last.
                yield Window(window.start, None)
                return
            yield window
