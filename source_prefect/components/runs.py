import logging
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from airbyte_cdk.sources.streams.core import StreamData
from airbyte_cdk.sources.types import Record, StreamSlice

from source_prefect.components.retrievers import IN_FLIGHT, PrefectRetriever, RequestRefusedError
from source_prefect.components.windows import Window
from source_prefect.configuration import lookback_window
from source_prefect.paging import Page, Row, TimeWalk, offset_walk, time_key
from source_prefect.retention import warn_of_gap
from source_prefect.times import format_time, parse_time

LOGGER = logging.getLogger("airbyte")

TERMINAL_STATES = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
# Named one by one: the filter of task runs knows no `not_any_`.
UNFINISHED_STATES = ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"]

# How far the manifest lets the windows reach beyond the connector's clock (`end_datetime` of the runs' cursor).
# `SourcePrefect` takes no state from beyond it: there would be no windows, and nothing would be read.
HORIZON = timedelta(days=30)


@dataclass
class RunRetriever(PrefectRetriever):
    """Flow runs and task runs, which the API can neither order nor filter by `updated`.

    A first sync reads them in the order of `expected_start_time`: no change of a run moves it there, so each is
    met exactly once whatever becomes of it meanwhile, and every Prefect can filter by it. A later sync reads the
    unfinished runs, then those that ended since the cursor less the lookback window, and emits what changed.

    The CDK cuts both into time windows (slices) and reads them in parallel, each with its own checkpoint. Before
    any of them comes the opening, once a sync: the unfinished runs, so that one that finishes meanwhile is met
    in the windows; then the newest page, so that a sync with little to read needs no request per window.

    One instance reads all windows of a stream, from several threads: what the opening found is shared by them.
    """

    table: str = ""
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)
    _opened: bool = field(init=False, default=False)
    # What the opening has emitted of the unfinished runs; the windows leave them out.
    _unfinished: set[str] = field(init=False, default_factory=set)
    # The walk that the opening began and the windows go on with; None where it came to the end.
    _begun: TimeWalk | None = field(init=False, default=None)
    # When the oldest run was due, where a first sync has windows to read: those before it are empty.
    _beginning: datetime | None = field(init=False, default=None)

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        self._now = datetime.now(timezone.utc)
        self._lookback = lookback_window(self.config)
        self._start_date = parse_time(self.config.get("start_date"))

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[StreamData]:
        self.note_schema(records_schema)
        with self._lock:
            if not self._opened:
                warn_of_gap(self.name, self.since)
                yield from self._open()
                self._opened = True
        window = Window.of(stream_slice)
        for rows in self._rest_of(window):
            yield from self._emit_changed(rows)
        self.advance(stream_slice, window.reached(self._watermark.value, self._now))

    # The opening

    def _open(self) -> Iterator[Record]:
        can_filter = self._can_filter_by_end_time()
        for rows in self._unfinished_runs(can_filter):
            changed = [row for row in self._new(rows) if self._changed(row)]
            self._unfinished.update(row["id"] for row in changed if "id" in row)
            self._progress.add(rows, "expected_start_time")
            yield from self.emit(changed)
        if self._resumes_first_sync():
            for rows in self._cancelled_before_due(can_filter):
                yield from self.emit(row for row in self._new(rows) if not self._comes_later(row))
        if self.since and not can_filter:
            for rows in self._finished_by_offset():
                yield from self._emit_changed(rows)
        else:
            yield from self._begin_windows()

    def _can_filter_by_end_time(self) -> bool:
        """Ask with a filter that no row can meet: a 422 says that it is unknown, a row that it is ignored.

        Flow runs have it since Prefect 3.0.4, task runs since 3.6.22.
        """
        nothing = {"is_null_": True, "before_": "1970-01-01T00:00:00Z"}
        try:
            page = self.fetch(sort="END_TIME_DESC", **{self.table: {"end_time": nothing}})
        except RequestRefusedError:
            answer = "does not know"
        else:
            if not page.rows:
                return True
            answer = "ignores"
        LOGGER.info(f"{self.name}: this Prefect {answer} the filter on end_time; the runs are read without it.")
        return False

    def _unfinished_runs(self, can_filter: bool) -> Iterable[list[Row]]:
        filters: dict[str, Any] = (
            {"end_time": {"is_null_": True}} if can_filter else {"state": {"type": {"any_": UNFINISHED_STATES}}}
        )
        return self._walk("expected_start_time", self._start_date, filters)

    def _resumes_first_sync(self) -> bool:
        """Whether the cursor stands where only a first sync leaves it: on the last microsecond of a window."""
        return self.since is not None and self.since.microsecond == 999_999

    def _cancelled_before_due(self, can_filter: bool) -> Iterable[list[Row]]:
        """What a first sync that was cut short had not come to, and a later one does not look for.

        A run that was cancelled long before it was due stands late in the one's order and early in the other's.
        """
        filters: dict[str, Any] = (
            {"end_time": {"before_": format_time(self.since)}}
            if can_filter and self.since
            else {"state": {"type": {"any_": TERMINAL_STATES}}}
        )
        return self._walk("expected_start_time", self.since, filters)

    def _comes_later(self, row: Row) -> bool:
        """Whether the windows of a later sync, or the read without them, emit the finished run."""
        ended, oldest = parse_time(row.get("end_time")), self._oldest()
        return ended is not None and oldest is not None and ended >= oldest and self._changed(row)

    def _finished_by_offset(self) -> Iterator[list[Row]]:
        """The runs that ended since the lookback window began, where the API cannot filter by their end."""
        filters = {self.table: {"state": {"type": {"any_": TERMINAL_STATES}}}}
        oldest = self._oldest()
        for rows in offset_walk(
            lambda offset: self.fetch(sort="END_TIME_DESC", offset=offset, **filters), time_key("end_time")
        ):
            yield rows
            if rows and oldest and (at := parse_time(rows[-1].get("end_time"))) and at < oldest:
                return

    def _begin_windows(self) -> Iterator[Record]:
        walk = self._walk(self._column, self._oldest())
        while not walk.done:
            for rows in walk.step():
                yield from self._emit_changed(rows)
            # The windows begin at the connector's clock, which may be behind the server's: nothing is left above.
            reached = parse_time(walk.before)
            if not walk.done and reached and reached <= self._now:
                self._begun = walk
                self._beginning = None if self.since else self._due_first()
                return

    def _due_first(self) -> datetime | None:
        page = self.fetch(sort="EXPECTED_START_TIME_ASC", limit=1)
        return parse_time(page.rows[0].get("expected_start_time")) if page.rows else None

    # The windows

    @property
    def _column(self) -> str:
        return "end_time" if self.since else "expected_start_time"

    def _oldest(self) -> datetime | None:
        """Where the windows end: below it nothing is read."""
        return self.since - self._lookback if self.since else self._start_date

    def _rest_of(self, window: Window) -> Iterable[list[Row]]:
        """What the opening has not read of a window."""
        reached = parse_time(self._begun.before) if self._begun else None
        if self._begun is None or reached is None or window.start > reached:
            return ()
        if self._beginning and window.end < self._beginning:
            return ()
        oldest = self._oldest()
        lowest = oldest if window.is_first(oldest or self._start) else window.start
        if window.end < reached:
            return self._walk(self._column, lowest, before=format_time(window.end))
        return self._walk(self._column, lowest, before=self._begun.before, border=self._begun.border)

    # Rows

    def _walk(
        self,
        column: str,
        oldest: datetime | None,
        filters: Mapping[str, Any] | None = None,
        *,
        before: str | None = None,
        border: Collection[str] = (),
    ) -> TimeWalk:
        others = dict(filters or {})
        floor = {"after_": format_time(oldest)} if oldest else {}

        def newest(before: str | None) -> Page:
            span = {**floor, "before_": before} if before else floor
            return self.fetch(
                sort=f"{column.upper()}_DESC", **{self.table: {**others, column: span} if span else others}
            )

        def instant(at: str, offset: int) -> Page:
            span = {"after_": at, "before_": at}
            return self.fetch(sort="ID_DESC", offset=offset, **{self.table: {**others, column: span}})

        return TimeWalk(newest, instant, column, before=before, border=border)

    def _emit_changed(self, rows: list[Row]) -> Iterator[Record]:
        self._progress.add(rows, self._column)
        return self.emit(row for row in self._new(rows) if self._changed(row))

    def _new(self, rows: list[Row]) -> list[Row]:
        return [row for row in rows if row.get("id") not in self._unfinished]

    def _changed(self, row: Row) -> bool:
        """Whether a row is to be emitted: all are in a first sync, later those that may have changed since."""
        if self._start_date:
            expected = parse_time(row.get("expected_start_time"))
            if expected and expected < self._start_date:
                return False
        if self.since is None:
            return True
        updated = parse_time(row.get("updated"))
        ended = parse_time(row.get("end_time"))
        # A task run's end is set by the clock of the machine that ran it, which may be ahead of the server's.
        return updated is None or max(updated, ended or updated) >= self.since - IN_FLIGHT
