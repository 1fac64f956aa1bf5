"""The order in which a sync reads runs, and which it sends. No CDK and no HTTP in here: `Runs.fetch` gets a page.

The API can neither order nor filter runs by `updated`. So there are two ways to read, and four plans made of them:

    first sync                every run, by the time it is due (`read_all`)
    first sync resumed        the runs read so far, by `read_changes`; then the others, by `read_all`
    later sync                what changed (`read_changes`): the runs without an end, then those that ended since
    ... without the filter    the same rows, where the API cannot filter by `end_time`: those that ended by offset

A run's due time never changes, so `read_all` reads each run exactly once, whatever happens to it meanwhile.
`read_changes` reads the unfinished runs first: a run that ends in between is then read in the second part.
"""

import logging
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from source_prefect.pagination import (
    Page,
    RequestRefusedError,
    Row,
    Rows,
    consecutive_pages,
    pages_by_offset,
    pages_descending,
    pages_unordered,
    smaller,
    time_key,
)
from source_prefect.sync.parallel import ReadTo, read_windows
from source_prefect.sync.state import StreamState
from source_prefect.sync.windows import Window, windows_by_rows
from source_prefect.times import BEGINNING, ONE_MICROSECOND, format_time, parse_time

LOGGER = logging.getLogger("airbyte")

DUE = "expected_start_time"
ENDED = "end_time"
_NEWEST_FIRST, _OLDEST_FIRST = "EXPECTED_START_TIME_DESC", "EXPECTED_START_TIME_ASC"

TERMINAL_STATES = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
# Named one by one: the filter of task runs knows no `not_any_`.
UNFINISHED_STATES = ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"]

Filters = Mapping[str, Any]


class Fetch(Protocol):
    """Gets a page of runs. Raises RequestRefusedError."""

    def __call__(self, sort: str, filters: Filters, *, offset: int = 0, limit: int | None = None) -> Page: ...


@dataclass(frozen=True)
class Runs:
    """A table of runs in the API. `page_size` is the number of rows on a full page."""

    name: str
    fetch: Fetch
    page_size: Callable[[], int]
    workers: int
    progress: Callable[[Rows, str], None]

    def by_time(
        self,
        column: str,
        filters: Filters,
        after: datetime | None,
        before: datetime | None = None,
        seen: Collection[Any] = (),
    ) -> Iterator[Rows]:
        """The runs between two times, both included, newest first."""

        def page_before(before: datetime | None) -> Page:
            return self.fetch(f"{column.upper()}_DESC", _between(filters, column, after, before))

        def tied_at(at: datetime, offset: int) -> Page:
            return self.fetch("ID_DESC", _between(filters, column, at, at), offset=offset)

        for rows in pages_descending(page_before, tied_at, column, after=after, before=before, seen=seen):
            self.progress(rows, column)
            yield rows

    def undated(self, filters: Filters) -> Iterator[Rows]:
        """The runs without a due time, each once: task runs made from some events.

        They come first in one of the two orders: PostgreSQL sorts them as the latest, SQLite as the earliest. Both
        orders are read, for a page of nothing else does not show which one it is.
        """
        seen: set[Any] = set()
        for order in (_NEWEST_FIRST, _OLDEST_FIRST):
            for rows in pages_unordered(lambda number, order=order: self._leading_undated(order, filters, number)):  # type: ignore[misc]
                yield [row for row in rows if row.get("id") not in seen]
                seen.update(row["id"] for row in rows if "id" in row)

    def _leading_undated(self, order: str, filters: Filters, number: int) -> Iterator[Page]:
        limit = smaller(self.page_size(), number)
        for page in consecutive_pages(lambda offset: self.fetch(order, filters, offset=offset, limit=limit)):
            rows = [row for row in page.rows if parse_time(row.get(DUE)) is None]
            yield page._replace(rows=rows)
            if len(rows) < len(page.rows):
                return

    def due_at(self, after: datetime, position: int) -> datetime | None:
        """When the run at this position is due, among those due from `after` on in ascending order."""
        page = self.fetch(_OLDEST_FIRST, _between({}, DUE, after, None), offset=position, limit=1)
        return parse_time(page.rows[0].get(DUE)) if page.rows else None

    def filters_by_end(self) -> bool:
        """Send a filter that matches no run: a refusal shows that it is unknown, a row that it is ignored.

        Flow runs have it since Prefect 3.0.4, task runs since 3.6.22.
        """
        nothing = {ENDED: {"is_null_": True, "before_": "1970-01-01T00:00:00Z"}}
        try:
            page = self.fetch("END_TIME_DESC", nothing)
        except RequestRefusedError:
            answer = "does not know"
        else:
            if not page.rows:
                return True
            answer = "ignores"
        LOGGER.info(f"{self.name}: this Prefect {answer} the filter on end_time; the runs are read without it.")
        return False


class _Rest(NamedTuple):
    """What remains after the newest page: the runs up to the time of its last row, without the page's rows."""

    before: datetime
    seen: frozenset[Any]


def sync_runs(
    runs: Runs, state: StreamState, lookback: timedelta, start_date: datetime | None
) -> Iterator[Rows | ReadTo]:
    """The runs to send since the last state, and the due time up to which a first sync has read."""
    changed_since = state.changed_since
    if changed_since is None:
        yield from read_all(runs, start_date)
        return
    yield from read_changes(runs, changed_since, changed_since - lookback, start_date, state.read_to)
    if state.read_to:
        yield from read_all(runs, state.read_to + ONE_MICROSECOND)


def read_all(runs: Runs, due_since: datetime | None) -> Iterator[Rows | ReadTo]:
    """Every run due at or after this time, and every run without a due time, each once."""
    rest = yield from _newest(runs, {}, due_since)
    if rest is None:
        return
    windows = windows_by_rows(runs.due_at, due_since or BEGINNING, rest.before, runs.page_size(), runs.workers)

    def read(window: Window) -> Iterable[Rows]:
        seen = rest.seen if window.end == rest.before else ()
        return runs.by_time(DUE, {}, window.start, window.end, seen)

    yield from read_windows(windows, read, runs.workers, runs.page_size())


def read_changes(
    runs: Runs,
    changed_since: datetime,
    ended_since: datetime,
    due_since: datetime | None,
    due_until: datetime | None = None,
) -> Iterator[Rows]:
    """The runs that changed since `changed_since`, each once, and have not ended, or ended since `ended_since`.

    Only those due between `due_since` and `due_until`, both included, and those without a due time.
    """
    filters_by_end = runs.filters_by_end()
    unfinished: Filters = (
        {ENDED: {"is_null_": True}} if filters_by_end else {"state": {"type": {"any_": UNFINISHED_STATES}}}
    )
    sent: set[Any] = set()

    def wanted(rows: Rows) -> Rows:
        return [
            row
            for row in rows
            if row.get("id") not in sent and _changed(row, changed_since) and _is_due(row, due_since, due_until)
        ]

    for rows in _newest_and_rest(runs, unfinished, due_since):
        changed = wanted(rows)
        yield changed
        sent.update(row["id"] for row in changed if "id" in row)
    for rows in runs.by_time(ENDED, {}, ended_since) if filters_by_end else _ended_by_offset(runs, ended_since):
        yield wanted(rows)


def _newest(runs: Runs, filters: Filters, due_since: datetime | None) -> Generator[Rows, None, _Rest | None]:
    """The newest page and the runs without a due time. Returns what remains to read, if anything."""
    newest = runs.fetch(_NEWEST_FIRST, filters)
    runs.progress(newest.rows, DUE)
    if not newest.full:
        yield _due(newest.rows, due_since)
        return None
    if _is_undated(newest):
        yield from runs.undated(filters)
        newest = runs.fetch(_NEWEST_FIRST, _between(filters, DUE, BEGINNING, None))
    elif _is_undated(runs.fetch(_OLDEST_FIRST, filters, limit=1)):
        yield from runs.undated(filters)
    rows = [row for row in newest.rows if parse_time(row.get(DUE)) is not None]
    yield _due(rows, due_since)
    before = parse_time(rows[-1].get(DUE)) if rows else None
    if before is None or not newest.full or (due_since and before < due_since):
        return None
    return _Rest(before, frozenset(row.get("id") for row in rows) - {None})


def _is_undated(page: Page) -> bool:
    """Whether runs without a due time come first on the page."""
    return bool(page.rows) and parse_time(page.rows[0].get(DUE)) is None


def _newest_and_rest(runs: Runs, filters: Filters, due_since: datetime | None) -> Iterator[Rows]:
    rest = yield from _newest(runs, filters, due_since)
    if rest:
        yield from runs.by_time(DUE, filters, due_since or BEGINNING, rest.before, rest.seen)


def _ended_by_offset(runs: Runs, ended_since: datetime) -> Iterator[Rows]:
    filters: Filters = {"state": {"type": {"any_": TERMINAL_STATES}}}

    def page_at(offset: int, number: int) -> Page:
        return runs.fetch("END_TIME_DESC", filters, offset=offset, limit=smaller(runs.page_size(), number))

    for rows in pages_by_offset(page_at, time_key(ENDED)):
        runs.progress(rows, ENDED)
        yield rows
        if rows and (at := parse_time(rows[-1].get(ENDED))) and at < ended_since:
            return


def _between(filters: Filters, column: str, after: datetime | None, before: datetime | None) -> Filters:
    bounds = {"after_": format_time(after)} if after else {}
    if before:
        bounds["before_"] = format_time(before)
    return {**filters, column: bounds} if bounds else filters


def _due(rows: Rows, since: datetime | None) -> Rows:
    return [row for row in rows if _is_due(row, since, None)] if since else rows


def _is_due(row: Row, since: datetime | None, until: datetime | None) -> bool:
    if not since and not until:
        return True
    due = parse_time(row.get(DUE))
    return due is None or not ((since and due < since) or (until and due > until))


def _changed(row: Row, since: datetime) -> bool:
    updated, ended = parse_time(row.get("updated")), parse_time(row.get(ENDED))
    # A task run's end is set by the clock of the machine that ran it, which may be ahead of the server's.
    return updated is None or max(updated, ended or updated) >= since
