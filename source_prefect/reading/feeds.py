from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from isodate import parse_duration

from source_prefect.paging import Page, Row, Rows, consecutive_pages, pages_ascending, pages_unordered, smaller
from source_prefect.progress.log import Progress
from source_prefect.progress.ranges import Range, Remaining, cut_by_rows, cut_by_time, read_ranges, within
from source_prefect.progress.scope import LOG_LEVEL
from source_prefect.progress.state import StreamState
from source_prefect.reading.scan import PrefectRetriever, Scan, Step
from source_prefect.times import BEGINNING, END, ONE_MICROSECOND, format_time, parse_time, shift

# A server may write rows into its tables after their ingestion time: events wait in a queue until
# they are persisted.
PERSISTING = timedelta(minutes=15)
# A shorter time is read as one range.
SHORT_TIME = timedelta(days=1)
# How far apart the clocks of a server's replicas may be: a row may look that much newer.
CLOCKS_APART = timedelta(minutes=5)


@dataclass(kw_only=True)
class FeedRetriever(PrefectRetriever):
    """Rows that never change, in the order of their event time: logs and events.

    The event time comes from the clock of the machine that made the row. The row reaches the
    server later, at its ingestion time, which the server's clock writes. So the cursor is the
    watermark of the server's clock. A sync reads from the cursor less `lookback` on, and sends the
    rows ingested since the last one. A long time is read in ranges, several at once.
    """

    event_time: str
    # An ISO 8601 duration.
    lookback: str

    @abstractmethod
    def page(self, scan: Scan, span: Range) -> Page:
        """The oldest page of a range."""

    @abstractmethod
    def pages_of_tie(self, scan: Scan, at: datetime, number: int) -> Iterable[Page]:
        """All pages of the rows with this event time, cut elsewhere for each `number`."""

    @abstractmethod
    def ranges(self, scan: Scan, start: datetime, first_page: Page) -> list[Range]:
        """The ranges of a time that has more than `first_page`; the last one has no end."""

    def longest_request(self, scan: Scan) -> timedelta | None:  # noqa: ARG002  (for subclasses)
        """The longest time that the API accepts in one request; None without a limit."""
        return None

    def kept(self, scan: Scan) -> timedelta | None:  # noqa: ARG002  (for subclasses)
        """How long the server keeps these rows; None without a limit."""
        return None

    def beginning(self, scan: Scan) -> datetime:
        """Where a first sync begins."""
        return scan.settings.start_date or BEGINNING

    def sync(self, scan: Scan) -> Iterator[Step]:
        cursor, now = scan.state.cursor, scan.session.now
        scan.warn_of_gap(lambda: self.kept(scan))
        start = shift(cursor, -parse_duration(self.lookback)) if cursor else self.beginning(scan)
        ranges = [*within(scan.state.remaining, None, shift(start, -ONE_MICROSECOND))]
        if longest := self.longest_request(scan):
            ranges += cut_by_time(start, now, 1, longest)
        elif cursor and now - cursor < SHORT_TIME:
            ranges += [Range(start, None)]
        else:
            page = self.page(scan, Range(start, None))
            if page.full:
                start = parse_time(page.rows[0].get(self.event_time)) or start if page.rows else start
                ranges += self.ranges(scan, start, page)
            else:
                yield self._wanted(page.rows, scan.state)
        yield from self._read(scan, ranges)
        yield scan.checkpoint(scan.watermark.value)

    def _read(self, scan: Scan, ranges: Sequence[Range]) -> Iterator[Step]:
        saved, progress, workers = scan.state, Progress(scan.label, "up to"), scan.settings.num_workers

        def rest(each: Range, row: Row) -> Range:
            return each._replace(start=parse_time(row.get(self.event_time)) or each.start)

        for step in read_ranges(ranges, lambda each: self._pages(scan, each), rest, workers):
            if not isinstance(step, Remaining):
                progress.add(step, self.event_time)
                yield self._wanted(step, saved)
            # The next sync reads all that is later than the cursor anyway.
            elif scan_start := scan.watermark.scan_start:
                yield scan.checkpoint(scan_start, remaining=within(step.ranges, None, scan_start))

    def _pages(self, scan: Scan, span: Range) -> Iterator[Rows]:
        pages = pages_ascending(
            lambda since: self.page(scan, Range(since, span.end)),
            lambda at: pages_unordered(lambda number: self.pages_of_tie(scan, at, number)),
            self.event_time,
            span.start,
            span.end,
        )
        for rows in pages:
            # The next sync reads these rows and all later ones. Without an end, a scan would go on
            # for as long as rows come faster than it reads. Decided before the yield, because
            # whoever takes the rows changes them in place.
            is_last = span.end is None and self._came_during(scan, rows)
            yield rows
            if is_last:
                return

    def _came_during(self, scan: Scan, rows: Rows) -> bool:
        """Whether all of these rows were ingested, and occurred, since the scan began.

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

    def _wanted(self, rows: Rows, saved: StreamState) -> Rows:
        """The rows ingested since the last sync, and those that it has not read."""
        if not saved.cursor:
            return rows
        since = shift(saved.cursor, -PERSISTING)
        return [row for row in rows if self._is_new(row, since) or self._remains(row, saved.remaining)]

    def _is_new(self, row: Row, since: datetime) -> bool:
        times = parse_time(row.get(self.event_time)), parse_time(row.get(self.ingestion_time))
        return max(filter(None, times), default=END) >= since

    def _remains(self, row: Row, remaining: Iterable[Range]) -> bool:
        occurred = parse_time(row.get(self.event_time))
        return any(occurred in each for each in remaining)


@dataclass(kw_only=True)
class LogRetriever(FeedRetriever):
    """The lines that runs have logged, from the `log_level` of the settings on."""

    sort: str

    @property
    def scope(self) -> Mapping[str, Any]:
        return {**super().scope, LOG_LEVEL: self.config.settings.log_level}

    def page(self, scan: Scan, span: Range, **more: Any) -> Page:
        bounds = {"after_": format_time(span.start)} | ({"before_": format_time(span.end)} if span.end else {})
        level = {"ge_": scan.settings.log_level}
        return scan.client.fetch(sort=self.sort, logs={self.event_time: bounds, "level": level}, **more)

    def pages_of_tie(self, scan: Scan, at: datetime, number: int) -> Iterable[Page]:
        def page_at(offset: int, number: int) -> Page:
            return self.page(scan, Range(at, at), limit=smaller(scan.client.page_size, number), offset=offset)

        return consecutive_pages(page_at, number)

    def ranges(self, scan: Scan, start: datetime, first_page: Page) -> list[Range]:  # noqa: ARG002  (for events)
        def time_at(start: datetime, position: int) -> datetime | None:
            rows = self.page(scan, Range(start, None), limit=1, offset=position).rows
            return parse_time(rows[0].get(self.event_time)) if rows else None

        return cut_by_rows(time_at, start, None, scan.client.page_size, scan.settings.num_workers)
