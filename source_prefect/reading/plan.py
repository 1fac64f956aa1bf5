"""The order in which a sync reads runs, and which it sends. No CDK and no HTTP in here.

The API can neither order nor filter runs by `updated`. So there are two ways to read, and four
plans made of them:

    first sync                every run, by the time it is due (`read_all`)
    first sync resumed        what changed among the runs that were read; then the others, by the
                              time they are due
    later sync                what changed (`read_changes`): the runs without an end, then those
                              that ended since
    ... without the filter    the same rows, where the API cannot filter by `end_time`: those that
                              ended by offset

A run's due time never changes, so `read_all` reads each run exactly once, whatever happens to it
meanwhile. `read_changes` reads the unfinished runs first: a run that ends in between is then read
in the second part.
"""

import logging
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from source_prefect.paging import (
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
from source_prefect.progress.ranges import Range, Remaining, cut_by_rows, read_ranges
from source_prefect.progress.state import StreamState
from source_prefect.times import BEGINNING, format_time, parse_time, shift

LOGGER = logging.getLogger("airbyte")

Filters = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Runs:
    """A table of runs in the API. `page_size` is the number of rows on a full page.

    A run is due at `due_time`, which never changes, and has an `end_time` in one of the
    `terminal_states`. The unfinished states are named one by one, because the filter of task runs
    knows no `not_any_`.
    """

    name: str
    table: str
    # Gets a page of the table. Raises RequestRefusedError.
    fetch: Callable[..., Page]
    page_size: Callable[[], int]
    workers: int
    progress: Callable[[Rows, str], None]
    due_time: str
    end_time: str
    unfinished_states: Sequence[str]
    terminal_states: Sequence[str]

    def page(self, sort: str, filters: Filters, **page: int | None) -> Page:
        return self.fetch(sort=sort, **({self.table: dict(filters)} if filters else {}), **page)

    @property
    def newest_first(self) -> str:
        return _descending(self.due_time)

    @property
    def oldest_first(self) -> str:
        return f"{self.due_time.upper()}_ASC"

    def due(self, row: Row) -> datetime | None:
        """When the run is due; None where it has no due time."""
        return parse_time(row.get(self.due_time))

    def is_due(self, row: Row, since: datetime | None, remaining: Iterable[Range] = ()) -> bool:
        """Whether the run is due at or after a time and in none of the ranges, or at no time."""
        due = self.due(row) if since or remaining else None
        return due is None or not ((since and due < since) or any(due in each for each in remaining))

    def has_changed(self, row: Row, since: datetime) -> bool:
        """Whether to send the run. A run without a time is sent."""
        updated, ended = parse_time(row.get("updated")), parse_time(row.get(self.end_time))
        # A task run's end is set by the clock of the machine that ran it, which may be ahead of
        # the server's.
        return updated is None or max(updated, ended or updated) >= since

    def by_time(
        self,
        column: str,
        filters: Filters,
        after: datetime,
        before: datetime | None = None,
        seen: Collection[Any] = (),
    ) -> Iterator[Rows]:
        """The runs between two times, both included, newest first."""

        def page_before(before: datetime | None) -> Page:
            return self.page(_descending(column), _between(filters, column, after, before))

        def tied_at(at: datetime, offset: int) -> Page:
            return self.page("ID_DESC", _between(filters, column, at, at), offset=offset)

        for rows in pages_descending(page_before, tied_at, column, after=after, before=before, seen=seen):
            self.progress(rows, column)
            yield rows

    def undated(self, filters: Filters) -> Iterator[Rows]:
        """The runs without a due time, each once: task runs made from some events.

        They come first in one of the two orders: PostgreSQL sorts them as the latest, SQLite as
        the earliest. Both orders are read, because a page of nothing else does not show which one
        it is.
        """
        seen: set[Any] = set()
        for order in (self.newest_first, self.oldest_first):
            for rows in pages_unordered(lambda number, order=order: self._leading_undated(order, filters, number)):  # type: ignore[misc]
                yield [row for row in rows if row.get("id") not in seen]
                seen.update(row["id"] for row in rows if "id" in row)

    def _leading_undated(self, order: str, filters: Filters, number: int) -> Iterator[Page]:
        def page_at(offset: int, number: int) -> Page:
            return self.page(order, filters, offset=offset, limit=smaller(self.page_size(), number))

        for page in consecutive_pages(page_at, number):
            rows = [row for row in page.rows if self.due(row) is None]
            yield page._replace(rows=rows)
            if len(rows) < len(page.rows):
                return

    def due_at(self, after: datetime, position: int) -> datetime | None:
        """When the run at this position is due, by ascending due time from `after` on."""
        page = self.page(self.oldest_first, _between({}, self.due_time, after, None), offset=position, limit=1)
        return self.due(page.rows[0]) if page.rows else None

    def filters_by_end(self) -> bool:
        """Send a filter that matches no run.

        A refusal shows that the server does not know the filter, a row that it ignores it.

        Flow runs have it since Prefect 3.0.4, task runs since 3.6.22.
        """
        nothing = {self.end_time: {"is_null_": True, "before_": "1970-01-01T00:00:00Z"}}
        try:
            page = self.page(_descending(self.end_time), nothing)
        except RequestRefusedError:
            answer = "does not know"
        else:
            if not page.rows:
                return True
            answer = "ignores"
        LOGGER.info(f"{self.name}: this Prefect {answer} the filter on {self.end_time}; the runs are read without it.")
        return False


class _Rest(NamedTuple):
    """What remains after the newest page: the runs up to its last row's time, not on the page."""

    before: datetime
    seen: frozenset[Any]


def sync_runs(
    runs: Runs, state: StreamState, lookback: timedelta, start_date: datetime | None
) -> Iterator[Rows | Remaining]:
    """The runs to send since the last state, and what remains of a first sync."""
    changed_since = state.changed_since
    if changed_since is None:
        yield from read_all(runs, start_date)
        return
    yield from read_changes(runs, changed_since, shift(changed_since, -lookback), start_date, state.remaining)
    if state.remaining:
        yield Remaining(state.remaining)
        yield from _read_ranges(runs, state.remaining)


def read_all(runs: Runs, due_since: datetime | None) -> Iterator[Rows | Remaining]:
    """Every run due at or after this time, and every run without a due time, each once."""
    rest = yield from _newest(runs, {}, due_since)
    if rest:
        start = due_since or BEGINNING
        ranges = cut_by_rows(runs.due_at, start, rest.before, runs.page_size(), runs.workers)
        yield from _read_ranges(runs, ranges, rest)


def _read_ranges(runs: Runs, ranges: Sequence[Range], newest: "_Rest | None" = None) -> Iterator[Rows | Remaining]:
    def read(each: Range) -> Iterable[Rows]:
        seen = newest.seen if newest and each.end == newest.before else ()
        return runs.by_time(runs.due_time, {}, each.start, each.end, seen)

    def rest(each: Range, row: Row) -> Range:
        return each._replace(end=runs.due(row))

    yield from read_ranges(ranges, read, rest, runs.workers)


def read_changes(
    runs: Runs,
    changed_since: datetime,
    ended_since: datetime,
    due_since: datetime | None,
    remaining: Iterable[Range] = (),
) -> Iterator[Rows]:
    """The runs that changed since `changed_since`, each once.

    They have not ended, or ended since `ended_since`. They are due at or after `due_since` and in
    none of the `remaining` ranges, or have no due time.
    """
    filters_by_end = runs.filters_by_end()
    unfinished: Filters = {runs.end_time: {"is_null_": True}} if filters_by_end else _in_state(runs.unfinished_states)
    sent: set[Any] = set()

    def wanted(rows: Rows) -> Rows:
        return [
            row
            for row in rows
            if row.get("id") not in sent
            and runs.has_changed(row, changed_since)
            and runs.is_due(row, due_since, remaining)
        ]

    for rows in _newest_and_rest(runs, unfinished, due_since):
        changed = wanted(rows)
        yield changed
        sent.update(row["id"] for row in changed if "id" in row)
    ended = runs.by_time(runs.end_time, {}, ended_since) if filters_by_end else _ended_by_offset(runs, ended_since)
    for rows in ended:
        yield wanted(rows)


def _newest(runs: Runs, filters: Filters, due_since: datetime | None) -> Generator[Rows, None, _Rest | None]:
    """The newest page and the runs without a due time. Returns what remains to read, if any."""
    newest = runs.page(runs.newest_first, filters)
    runs.progress(newest.rows, runs.due_time)
    if not newest.full:
        yield [row for row in newest.rows if runs.is_due(row, due_since)]
        return None
    if _begins_undated(runs, newest):
        yield from runs.undated(filters)
        newest = runs.page(runs.newest_first, _between(filters, runs.due_time, BEGINNING, None))
    elif _begins_undated(runs, runs.page(runs.oldest_first, filters, limit=1)):
        yield from runs.undated(filters)
    rows = [row for row in newest.rows if runs.due(row) is not None]
    yield [row for row in rows if runs.is_due(row, due_since)]
    before = runs.due(rows[-1]) if rows else None
    if before is None or not newest.full or (due_since and before < due_since):
        return None
    return _Rest(before, frozenset(row.get("id") for row in rows) - {None})


def _begins_undated(runs: Runs, page: Page) -> bool:
    """Whether runs without a due time come first on the page."""
    return bool(page.rows) and runs.due(page.rows[0]) is None


def _newest_and_rest(runs: Runs, filters: Filters, due_since: datetime | None) -> Iterator[Rows]:
    rest = yield from _newest(runs, filters, due_since)
    if rest:
        yield from runs.by_time(runs.due_time, filters, due_since or BEGINNING, rest.before)


def _ended_by_offset(runs: Runs, ended_since: datetime) -> Iterator[Rows]:
    filters = _in_state(runs.terminal_states)

    def page_at(offset: int, number: int) -> Page:
        limit = smaller(runs.page_size(), number)
        return runs.page(_descending(runs.end_time), filters, offset=offset, limit=limit)

    for rows in pages_by_offset(page_at, time_key(runs.end_time)):
        runs.progress(rows, runs.end_time)
        yield rows
        if rows and (at := parse_time(rows[-1].get(runs.end_time))) and at < ended_since:
            return


def _descending(column: str) -> str:
    return f"{column.upper()}_DESC"


def _in_state(types: Sequence[str]) -> Filters:
    return {"state": {"type": {"any_": list(types)}}}


def _between(filters: Filters, column: str, after: datetime, before: datetime | None) -> Filters:
    bounds = {"after_": format_time(after)}
    if before:
        bounds["before_"] = format_time(before)
    return {**filters, column: bounds}
