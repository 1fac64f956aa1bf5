from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import isodate

from source_prefect.config.settings import minimum_log_level
from source_prefect.pagination import Page, Row, Rows, consecutive_pages, pages_ascending, pages_unordered, smaller
from source_prefect.streams.base import PrefectRetriever, Step
from source_prefect.sync.parallel import ReadTo, read_windows
from source_prefect.sync.progress import Progress
from source_prefect.sync.retention import warn_of_gap
from source_prefect.sync.state import StreamState
from source_prefect.sync.windows import Window, windows_by_rows, windows_by_time
from source_prefect.times import BEGINNING, format_time, parse_time

# A server may write rows into its tables after their ingestion time: events wait in a queue until they are persisted.
PERSISTING = timedelta(minutes=15)

# A shorter time is read as one window. The connector's clock is accurate enough for that.
SHORT_TIME = timedelta(days=1)

# How far apart the clocks of a server's replicas may be: a row may seem so much younger than it is.
CLOCKS_APART = timedelta(minutes=5)


@dataclass
class FeedRetriever(PrefectRetriever):
    """Rows that never change, in the order of their event time: logs and events.

    The event time comes from the clock of the machine that made the row. The row reaches the server later, at its
    ingestion time, which the server's clock writes. So the cursor is the watermark of the server's clock. A sync reads
    from the cursor less `lookback` on, and sends the rows ingested since the last one.

    A long time is read in windows, several at once.
    """

    event_time: str = ""
    lookback: str = "PT1H"

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        self.progress = Progress(self.label, "up to")

    @abstractmethod
    def page(self, window: Window) -> Page:
        """The oldest page of a window."""

    @abstractmethod
    def pages_of_tie(self, at: datetime, number: int) -> Iterable[Page]:
        """All pages of the rows with this event time, each `number` rows smaller than a full page."""

    @abstractmethod
    def windows(self, start: datetime, first_page: Page) -> Iterator[Window]:
        """The windows of a time that has more than `first_page`; the last one has no end."""

    @property
    def longest_window(self) -> timedelta | None:
        """The longest time that the API accepts in one request; None without a limit."""
        return None

    @property
    def beginning(self) -> datetime:
        """Where a first sync begins."""
        return self.start_date or BEGINNING

    def sync(self, state: StreamState) -> Iterator[Step]:
        warn_of_gap(self.label, state.cursor, self.config.get("retention_days"))
        start = state.cursor - isodate.parse_duration(self.lookback) if state.cursor else self.beginning
        present = datetime.now(UTC)
        if self.longest_window:
            yield from self._read(state, windows_by_time(start, present, 1, self.longest_window))
        elif state.cursor and present - state.cursor < SHORT_TIME:
            yield from self._read(state, [Window(start, None)])
        else:
            page = self.page(Window(start, None))
            if page.full:
                start = parse_time(page.rows[0].get(self.event_time)) or start if page.rows else start
                yield from self._read(state, self.windows(start, page))
            else:
                yield self._new(page.rows, state.cursor)
        yield self.reached(self.watermark.value)

    def _read(self, state: StreamState, windows: Iterable[Window]) -> Iterator[Step]:
        for step in read_windows(windows, self._pages, self.config["num_workers"], self.client.page_size):
            if not isinstance(step, ReadTo):
                self.progress.add(step, self.event_time)
                yield self._new(step, state.cursor)
            # A window is complete to its end, even without any row - unless it reaches past the present, where rows
            # may follow.
            elif (scan_start := self.watermark.scan_start) and step.time <= scan_start:
                yield self.reached(step.time)

    def _pages(self, window: Window) -> Iterator[Rows]:
        pages = pages_ascending(
            lambda since: self.page(Window(since, window.end)),
            lambda at: pages_unordered(lambda number: self.pages_of_tie(at, number)),
            self.event_time,
            window.start,
            window.end,
        )
        for rows in pages:
            # The next sync reads these rows and all later ones. Without an end, a scan would go on for as long as rows
            # come faster than it reads. Decided first: whoever takes the rows changes them in place.
            is_last = window.end is None and self._came_during_the_scan(rows)
            yield rows
            if is_last:
                return

    def _came_during_the_scan(self, rows: Rows) -> bool:
        """Whether the server ingested all of these rows since the scan began, and their event times are as late.

        Rows dated in the future, by a clock that was ahead, may have been there before.
        """
        if not rows or not (start := self.watermark.scan_start):
            return False
        # Answers tell the server's clock in whole seconds, and take a moment to arrive.
        now = self.server_now + timedelta(seconds=2)
        return all(
            (occurred := parse_time(row.get(self.event_time)))
            and (ingested := parse_time(row.get(self.ingestion_time)))
            and min(occurred, ingested) > start + CLOCKS_APART
            and ingested <= now
            for row in rows
        )

    def _new(self, rows: Rows, since: datetime | None) -> Rows:
        return [row for row in rows if self._is_new(row, since - PERSISTING)] if since else rows

    def _is_new(self, row: Row, since: datetime) -> bool:
        times = [at for column in (self.event_time, self.ingestion_time) if (at := parse_time(row.get(column)))]
        return not times or max(times) >= since


@dataclass
class LogRetriever(FeedRetriever):
    """The lines that runs have logged, from the config's `log_level` on."""

    def page(self, window: Window) -> Page:
        return self._lines(window)

    def pages_of_tie(self, at: datetime, number: int) -> Iterable[Page]:
        limit = smaller(self.client.page_size, number)
        return consecutive_pages(lambda offset: self._lines(Window(at, at), limit=limit, offset=offset))

    def windows(self, start: datetime, first_page: Page) -> Iterator[Window]:  # noqa: ARG002  (for events)
        scan_start = self.watermark.scan_start
        for window in windows_by_rows(self._time_at, start, None, self.client.page_size, self.config["num_workers"]):
            if scan_start and window.start > scan_start:
                # Rows may come as fast as they are read: then no window would be the last.
                yield Window(window.start, None)
                return
            yield window

    def _time_at(self, start: datetime, position: int) -> datetime | None:
        rows = self._lines(Window(start, None), limit=1, offset=position).rows
        return parse_time(rows[0].get(self.event_time)) if rows else None

    def _lines(self, window: Window, **more: Any) -> Page:
        span = {"after_": format_time(window.start)} | ({"before_": format_time(window.end)} if window.end else {})
        level = {"ge_": minimum_log_level(self.config)}
        return self.client.fetch(sort="TIMESTAMP_ASC", logs={"timestamp": span, "level": level}, **more)
