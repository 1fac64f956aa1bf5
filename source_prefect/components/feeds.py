import threading
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar

from airbyte_cdk.sources.streams.core import StreamData
from airbyte_cdk.sources.types import StreamSlice

from source_prefect.components.retrievers import PrefectRetriever
from source_prefect.components.windows import Window
from source_prefect.configuration import minimum_log_level
from source_prefect.paging import Page, Row, ascending_walk, offset_pages, unordered_walk
from source_prefect.progress import Progress
from source_prefect.retention import warn_of_gap
from source_prefect.times import format_time, parse_time
from source_prefect.watermark import Watermark

# What a server has taken in it may write into its tables later: events wait in a queue until they are persisted.
PERSISTING = timedelta(minutes=15)


@dataclass
class FeedRetriever(PrefectRetriever):
    """Rows that never change, in the order of the time when they happened (`happened`): logs and events.

    That time comes from the clock of the machine where it happened, and the row comes to the server later, in
    `arrived`, a column that the server's clock writes. So the cursor is the watermark of the server's clock, a sync
    reads from the cursor less the lookback (declared in the manifest) on, and emits what arrived since the last one.

    The CDK cuts the time into windows, which are read in parallel, each with its own checkpoint.
    """

    happened: ClassVar[str]
    arrived: ClassVar[str]

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        # The clock of this machine may be behind the server's, which the cursor comes from.
        now = datetime.now(timezone.utc)
        self._present = max(now, self.since or now)
        self._watermark = Watermark(self.arrived)
        self._progress = Progress(self.name, "up to")

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[StreamData]:
        self.note_schema(records_schema)
        window = Window.of(stream_slice)
        if window.start > self._present:
            # The window of the present is read to the end, wherever the server's clock stands.
            return
        until = None if window.is_present(self._present) else format_time(window.end)
        if until is None:
            warn_of_gap(self.name, self.since)
        if not self.is_empty(window):
            for rows in ascending_walk(
                lambda since: self.page(since, until),
                lambda at: unordered_walk(lambda number: self.pages_of_instant(at, number)),
                self.happened,
                format_time(window.start),
            ):
                self._progress.add(rows, self.happened)
                yield from self.emit(row for row in rows if self._is_new(row))
        # A window of the past is complete to its end, even if nothing happened there for a while.
        reached = self._watermark.value if until is None else self._watermark.scan_start
        self.advance(stream_slice, window.reached(reached, self._present))

    @abstractmethod
    def page(self, since: str, until: str | None) -> Page:
        """The oldest page of what happened at or after one time and at or before the other."""

    @abstractmethod
    def pages_of_instant(self, at: str, number: int) -> Iterable[Page]:
        """All pages of what happened at this time, with so many rows less than a full page each."""

    def is_empty(self, window: Window) -> bool:  # noqa: ARG002  (for subclasses that can tell)
        """Whether it is known beforehand that nothing happened in a window."""
        return False

    def _is_new(self, row: Row) -> bool:
        times = [at for column in (self.happened, self.arrived) if (at := parse_time(row.get(column)))]
        return self.since is None or not times or max(times) >= self.since - PERSISTING


@dataclass
class LogRetriever(FeedRetriever):
    """The lines that runs have logged, from the config's `log_level` on."""

    happened = "timestamp"
    arrived = "updated"
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)
    _oldest: datetime | None = field(init=False, default=None)

    def page(self, since: str, until: str | None) -> Page:
        return self._lines({"after_": since} | ({"before_": until} if until else {}))

    def pages_of_instant(self, at: str, number: int) -> Iterable[Page]:
        limit = max(2, self._limit - number)
        return offset_pages(lambda offset: self._lines({"after_": at, "before_": at}, limit=limit, offset=offset))

    def is_empty(self, window: Window) -> bool:
        """Lines have been kept since nobody knows when: a first sync asks once for the oldest."""
        if self.since or window.is_present(self._present):
            return False
        with self._lock:
            if self._oldest is None:
                rows = self._lines({"after_": format_time(window.start)}, limit=1).rows
                self._oldest = parse_time(rows[0].get(self.happened)) if rows else self._present
        return self._oldest is not None and window.end < self._oldest

    def _lines(self, timestamp: Mapping[str, str], **more: Any) -> Page:
        level = {"ge_": minimum_log_level(self.config)}
        return self.fetch(sort="TIMESTAMP_ASC", logs={"timestamp": timestamp, "level": level}, **more)
