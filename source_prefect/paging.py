"""Reading a table page by page while it changes. No HTTP in here: a function of the caller gets each page.

Each function yields the rows of one page at a time, and no row twice.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from source_prefect.times import BEGINNING, END, ONE_MICROSECOND, format_time, parse_time

# A page must have room for a row that ties with the last one and for one more.
SMALLEST_PAGE = 2

Row = dict[str, Any]
Rows = list[Row]


# Gaps that count as deletions before the tie is read unordered.
_MOST_TURNS = 5

# How often rows are read without progress before the read fails.
_MOST_PASSES = 20


class Page(NamedTuple):
    """One answer. `full` says that more rows may follow: it has as many as were asked for.

    A page of events has an envelope, with the address of the next page and the number of rows that match the request.
    """

    rows: Rows
    full: bool
    next_page: str | None = None
    total: int | None = None
    # When the server sent it, by its clock.
    date: datetime | None = None


class RequestRefusedError(Exception):
    """Prefect answered 422 or 400: it does not know, or does not allow, a filter of the request."""


class PaginationError(Exception):
    """The answers contradict each other or the request: reading on could miss rows."""


class BoundIgnoredError(PaginationError):
    """The server sent rows outside of the time range that it was asked for."""


def pages_descending(
    page_before: Callable[[datetime | None], Page],
    tied_at: Callable[[datetime, int], Page],
    field: str,
    *,
    after: datetime | None = None,
    before: datetime | None = None,
    seen: Collection[Any] = (),
) -> Iterator[Rows]:
    """The rows in descending order of the time `field`, from `before` back to `after`, both included.

    Without those whose ids are in `seen`.

    `page_before(time)` gets the newest page of the rows at or before a time; `tied_at(time, offset)` a page of the
    rows of exactly that time, in descending order of their ids.

    Each page is bounded by the time of the last row, so it costs as much as the first one. The bound is inclusive:
    rows that tie with the last row are sent again and dropped by their ids. An offset would not do: if a tied row left
    the set between two pages, a row after it would be skipped. Where a whole page has one time, all rows of that
    time are read separately.
    """
    seen = frozenset(seen)
    while True:
        page = page_before(before)
        times = _times_of_full_page(page, field, after, before)
        if times is None:
            yield _unseen(page.rows, seen)
            return
        first, last = times
        if first == last:
            for rows in pages_by_offset(lambda offset, _, at=last: tied_at(at, offset), key=lambda row: row.get("id")):  # type: ignore[misc]
                yield _unseen(rows, seen)
            if last == BEGINNING:
                return
            before, seen = last - ONE_MICROSECOND, frozenset()
        else:
            yield _unseen(page.rows, seen)
            before, seen = last, _ids_at(page.rows, field, last)


def pages_ascending(
    page_from: Callable[[datetime], Page],
    tied_at: Callable[[datetime], Iterable[Rows]],
    field: str,
    since: datetime,
    until: datetime | None = None,
) -> Iterator[Rows]:
    """The rows in ascending order of the time `field`, from `since` to `until`, both included.

    Of a table to which rows are only added.

    Bounded by time as in `pages_descending`: rows that retention deletes at the old end shift no page.

    `page_from(time)` gets the oldest page of the rows at or after a time; `tied_at(time)` all rows of exactly that
    time.
    """
    seen: frozenset[Any] = frozenset()
    while True:
        page = page_from(since)
        times = _times_of_full_page(page, field, since, until)
        if times is None:
            yield _unseen(page.rows, seen)
            return
        first, last = times
        if first == last:
            for rows in tied_at(last):
                yield _unseen(rows, seen)
            if last == END:
                return
            since, seen = last + ONE_MICROSECOND, frozenset()
        else:
            yield _unseen(page.rows, seen)
            since, seen = last, _ids_at(page.rows, field, last)


def time_key(field: str) -> Callable[[Row], datetime | None]:
    """The key of `pages_by_offset` for a table in descending order of a time."""
    return lambda row: parse_time(row.get(field))


def pages_by_offset(page_at: Callable[[int, int], Page], key: Callable[[Row], Any]) -> Iterator[Rows]:
    """The rows in descending order of `key`, where the API can page by offset only.

    `page_at(offset, number)` gets a page of the size `smaller(page_size, number)`. The next page must overlap the rows
    that tie with the last row. If rows were inserted before them, it begins earlier, and rows already yielded are
    dropped. If rows were deleted, it begins too late, and the offset steps back until the pages overlap again.

    Without an index, PostgreSQL orders rows that tie differently for each offset. So a tie that fills a page, or whose
    pages do not overlap, is also read as a set without an order. If they never overlap, a page may start with any row
    of the tie. That comes last: if rows were deleted meanwhile, the set may be incomplete.
    """
    turns, stepped_back = 0, False
    offset = 0
    size = 0
    boundary: Any = None
    # Of the rows that tie at the boundary: those on a page of this loop, and all that were yielded.
    paged_ids: set[Any] = set()
    tied_ids: set[Any] = set()
    is_tie_read = False
    while True:
        page = page_at(offset, 0)
        size = max(size, len(page.rows))
        keys = _without_gaps(page.rows, key, boundary)
        known = tied_ids if turns > _MOST_TURNS else paged_ids
        if offset and not (keys and (keys[0] > boundary or page.rows[0].get("id") in known)):
            turns += not stepped_back
            if turns > _MOST_PASSES:
                raise PaginationError(f"The rows that tie at {boundary} are in an order that is never the same.")
            if turns > 1 and not is_tie_read:
                is_tie_read = True
                yield from _rest_of_tie(page_at, key, boundary, tied_ids)
            offset, stepped_back = max(0, offset - size + 1), True
            continue
        stepped_back = False
        fresh = [
            (row, at)
            for row, at in zip(page.rows, keys, strict=True)
            if boundary is None or at < boundary or (at == boundary and row.get("id") not in tied_ids)
        ]
        if fresh:
            turns = 0
            if fresh[-1][1] != boundary:
                boundary = fresh[-1][1]
                paged_ids, tied_ids = set(), set()
                is_tie_read = False
        paged_ids.update(row["id"] for row, at in zip(page.rows, keys, strict=True) if at == boundary and "id" in row)
        tied_ids |= paged_ids
        yield [row for row, _ in fresh]
        if not page.full:
            return
        if keys[0] == keys[-1] == boundary and not is_tie_read:
            is_tie_read = True
            yield from _rest_of_tie(page_at, key, boundary, tied_ids)
        # From the first row that ties with the last one, or, where they fill the page, from its last row.
        offset += next((i for i, at in enumerate(keys) if at <= boundary), 0) or len(keys) - 1


def _rest_of_tie(
    page_at: Callable[[int, int], Page], key: Callable[[Row], Any], at: Any, seen: set[Any]
) -> Iterator[Rows]:
    """The rows whose key is `at`, in no order, without those in `seen`, to which their ids are added."""

    def read(number: int) -> Iterator[Page]:
        for page in consecutive_pages(lambda offset: page_at(offset, number)):
            keys = _without_gaps(page.rows, key, None)
            yield page._replace(rows=[row for row, its in zip(page.rows, keys, strict=True) if its == at])
            if keys and keys[-1] < at:
                return

    for rows in pages_unordered(read):
        yield [row for row in rows if row.get("id") not in seen]
        seen.update(row["id"] for row in rows if "id" in row)


def _without_gaps(rows: Rows, key: Callable[[Row], Any], boundary: Any) -> list[Any]:
    """The keys of the rows; a row without one takes that of the row before it, or else of the first that has one."""
    keys = [key(row) for row in rows]
    last = boundary if boundary is not None else next((at for at in keys if at is not None), END)
    for i, at in enumerate(keys):
        keys[i] = last = at if at is not None else last
    return keys


def pages_unordered(read: Callable[[int], Iterable[Page]]) -> Iterator[Rows]:
    """The rows of a set that has no reliable order, and is therefore read more than once.

    `read(number)` reads the whole set, in pages of the size `smaller(page_size, number)`.

    A set that fits into one page is complete. Others are read until a pass brings no new row and has as many rows as
    are known: if the set does not change, that proves completeness in any order.
    """
    known: set[Any] = set()
    for number in range(_MOST_PASSES):
        before = len(known)
        pages = rows = 0
        for page in read(number):
            pages += 1
            rows += len(page.rows)
            fresh = {row.get("id"): row for row in page.rows if row.get("id") not in known}
            known.update(fresh)
            yield list(fresh.values())
        if pages == 1 or rows <= len(known) == before:
            return
    raise PaginationError(f"The rows came in a different order each of {_MOST_PASSES} times.")


def smaller(page_size: int, number: int) -> int:
    """The size of the pages of a pass. With another size, a database orders tied rows differently."""
    return max(SMALLEST_PAGE, page_size - number)


def consecutive_pages(page_at: Callable[[int], Page]) -> Iterator[Page]:
    """The pages of a set by offset, in the order of the API."""
    offset = 0
    while True:
        page = page_at(offset)
        yield page
        if not page.full:
            return
        offset += len(page.rows)


def _unseen(rows: Rows, seen: frozenset[Any]) -> Rows:
    return [row for row in rows if row.get("id") not in seen] if seen else rows


def _ids_at(rows: Rows, field: str, at: datetime) -> frozenset[Any]:
    return frozenset(row["id"] for row in rows if "id" in row and parse_time(row.get(field)) == at)


def _times_of_full_page(
    page: Page, field: str, start: datetime | None, end: datetime | None
) -> tuple[datetime, datetime] | None:
    """The times of the first and the last row; None where no page follows.

    Raises PaginationError where no page could follow, or rows are outside of the range from `start` to `end`.
    """
    if page.full and not page.rows:
        raise PaginationError("The server said that more rows follow an empty page.")
    times = []
    for row in (*page.rows[:1], *page.rows[-1:]):
        at = parse_time(row.get(field))
        if at is None and page.full:
            raise PaginationError(f"A row has {row.get(field)!r} as its {field}, which the table is paged by.")
        if (start or end) and (at is None or (start and at < start) or (end and at > end)):
            asked = [f"at or after {format_time(start)}"] if start else []
            asked += [f"at or before {format_time(end)}"] if end else []
            raise BoundIgnoredError(
                f"Asked for rows with {field} {' and '.join(asked)}, the server sent one with {row.get(field)!r}."
            )
        if at and page.full:
            times.append(at)
    return (times[0], times[1]) if times else None
