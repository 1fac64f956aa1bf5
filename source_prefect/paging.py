"""Reads a table page by page while it changes.

The caller passes a function that gets a page; no HTTP in here. Each function yields the rows of
one page at a time, and no row twice.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, NamedTuple

from source_prefect.times import BEGINNING, END, ONE_MICROSECOND, format_time, parse_time, shift

# A page must have room for a row that ties with the last one and for one more.
SMALLEST_PAGE = 2

Row = dict[str, Any]
Rows = list[Row]
Key = Callable[[Row], Any]

# Gaps that count as deletions before the tie is read unordered.
_MOST_TURNS = 5
# Pages in a row that bring only known rows: many rows may be inserted between two requests.
_MOST_KNOWN_PAGES = 1000
_MOVED = "Rows moved while a page was read in parts."
# How often rows are read without progress before the read fails.
_MOST_PASSES = 20


class Page(NamedTuple):
    """One answer. `full`: it has as many rows as were asked for, so more may follow.

    Events also bring the address of the next page, and the number of all rows that match.
    """

    rows: Rows
    full: bool
    next_page: str | None = None
    total: int | None = None
    # When the server sent it, by its clock.
    date: datetime | None = None
    # The places on the page, from 0, of rows that no request brings. They are not among the rows.
    unreadable: Collection[int] = ()

    @property
    def places(self) -> list[int]:
        """The place of each row on the page."""
        return [place for place in range(self.size) if place not in self.unreadable]

    @property
    def size(self) -> int:
        return len(self.rows) + len(self.unreadable)


class RequestRefusedError(Exception):
    """Prefect answered 422 or 400: it does not know or allow a filter of the request."""


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
    """The rows in descending order of the time `field`, from `before` to `after`, both included.

    Rows whose ids are in `seen` are left out. `page_before(time)` gets the newest page of the rows
    at or before a time; `tied_at(time, offset)` a page of the rows of exactly that time, in
    descending order of their ids.
    """

    def rows_at(at: datetime) -> Iterator[Rows]:
        return pages_by_offset(lambda offset, _: tied_at(at, offset), key=lambda row: row.get("id"))

    yield from _pages_by_time(page_before, rows_at, field, before, lambda edge: (after, edge), -ONE_MICROSECOND, seen)


def pages_ascending(
    page_from: Callable[[datetime], Page],
    tied_at: Callable[[datetime], Iterable[Rows]],
    field: str,
    since: datetime,
    until: datetime | None = None,
) -> Iterator[Rows]:
    """The rows of a table that only grows, in ascending order of the time `field`.

    They are those from `since` to `until` inclusive. Rows that retention deletes at the old end
    shift no page. `page_from(time)` gets the oldest page of the rows at or after a time;
    `tied_at(time)` all rows of exactly that time.
    """
    yield from _pages_by_time(page_from, tied_at, field, since, lambda edge: (edge, until), ONE_MICROSECOND, ())


def _pages_by_time(
    page_at: Callable[[Any], Page],
    tied_at: Callable[[datetime], Iterable[Rows]],
    field: str,
    edge: datetime | None,
    bounds: Callable[[datetime | None], tuple[datetime | None, datetime | None]],
    step: timedelta,
    seen: Collection[Any],
) -> Iterator[Rows]:
    """The rows from the time `edge` on.

    `bounds(edge)` is the range that a page may cover, `step` leads out of a tie. Each page begins
    at the time of the last row, so it costs as much as the first one. The bound is inclusive: rows
    that tie with the last row are sent again and dropped by their ids. An offset would not do: if
    a tied row left the set between two pages, a row after it would be skipped. Where all rows of a
    page have one time, the rows of that time are read separately.
    """
    while True:
        page = page_at(edge)
        times = _times_of_full_page(page, field, *bounds(edge))
        if times is None:
            yield unseen(page.rows, seen)
            return
        first, last = times
        if first != last:
            rows = unseen(page.rows, seen)
            edge, seen = last, ids_of(row for row in page.rows if parse_time(row.get(field)) == last)
            yield rows
            continue
        for rows in tied_at(last):
            yield unseen(rows, seen)
        if (edge := shift(last, step)) == last:
            return
        seen = ()


def time_key(field: str) -> Callable[[Row], datetime | None]:
    """The key of `pages_by_offset` for a table in descending order of a time."""
    return lambda row: parse_time(row.get(field))


def pages_by_offset(page_at: Callable[[int, int], Page], key: Key) -> Iterator[Rows]:
    """The rows in descending order of `key`, where the API can page by offset only.

    `page_at(offset, number)` gets a page of the size `smaller(page_size, number)`. The next page
    must overlap the rows that tie with the last row. If rows were inserted before them, it begins
    earlier, and rows already yielded are dropped. If rows were deleted, it begins too late, and
    the offset steps back until the pages overlap again.

    Without an index, PostgreSQL orders rows that tie differently for each offset. So a tie that
    fills a page, or whose pages do not overlap, is also read as a set without an order. If they
    never overlap, a page may start with any row of the tie. That comes last: if rows were deleted
    meanwhile, the set may be incomplete.

    Where the table grows as fast as it is read, each page may bring only rows that are known: then
    the read fails.
    """
    offset = size = turns = known_pages = 0
    stepped_back = is_tie_read = False
    boundary: Any = None
    # Of the rows that tie at the boundary: those on a page of this loop, and all yielded ones.
    paged_ids: set[Any] = set()
    tied_ids: set[Any] = set()
    while True:
        page = page_at(offset, 0)
        size = max(size, page.size)
        keys = _without_gaps(page.rows, key, boundary)
        known = tied_ids if turns > _MOST_TURNS else paged_ids
        if offset and not (keys and (keys[0] > boundary or page.rows[0].get("id") in known)):
            turns += not stepped_back
            if turns > _MOST_PASSES:
                raise PaginationError(f"The rows that tie at {boundary} are in an order that is never the same.")
            is_tie_wanted = turns > 1
            offset, stepped_back = max(0, offset - size + 1), True
        else:
            keyed = list(zip(page.rows, keys, strict=True))
            fresh = [
                (row, at)
                for row, at in keyed
                if boundary is None or at < boundary or (at == boundary and row.get("id") not in tied_ids)
            ]
            if fresh and fresh[-1][1] != boundary:
                boundary = fresh[-1][1]
                paged_ids, tied_ids, is_tie_read = set(), set(), False
            paged_ids |= ids_of(row for row, at in keyed if at == boundary)
            tied_ids |= paged_ids
            yield [row for row, _ in fresh]
            if not page.full:
                return
            is_tie_wanted = keys[0] == keys[-1] == boundary
            # From the first row that ties with the last, or, if they fill the page, its last row.
            known_pages = 0 if fresh or keys[0] == boundary else known_pages + 1
            if known_pages > _MOST_KNOWN_PAGES:
                raise PaginationError("The table grows faster than it is read.")
            places = page.places
            offset += next((at for at, key in zip(places, keys, strict=True) if key <= boundary), 0) or places[-1]
            turns, stepped_back = 0 if fresh else turns, False
        if is_tie_wanted and not is_tie_read:
            is_tie_read = True
            yield from _rest_of_tie(page_at, key, boundary, tied_ids)


def _rest_of_tie(page_at: Callable[[int, int], Page], key: Key, at: Any, seen: set[Any]) -> Iterator[Rows]:
    """The rows whose key is `at`, in no order, without those in `seen`, which gets their ids."""

    def read(number: int) -> Iterator[Page]:
        for page in consecutive_pages(page_at, number):
            keys = _without_gaps(page.rows, key, None)
            yield page._replace(rows=[row for row, its in zip(page.rows, keys, strict=True) if its == at])
            if keys and keys[-1] < at:
                return

    for rows in pages_unordered(read):
        yield unseen(rows, seen)
        seen |= ids_of(rows)


def _without_gaps(rows: Rows, key: Key, boundary: Any) -> list[Any]:
    """The keys of the rows.

    A row without one takes that of the row before it, or else of the first row that has one.
    """
    keys = [key(row) for row in rows]
    first = boundary if boundary is not None else next((at for at in keys if at is not None), END)
    return list(accumulate(keys, lambda last, at: last if at is None else at, initial=first))[1:]


def pages_unordered(read: Callable[[int], Iterable[Page]]) -> Iterator[Rows]:
    """The rows of a set that has no reliable order, and is therefore read more than once.

    `read(number)` reads the complete set, the first page in the size `smaller(page_size, number)`.
    A set of one page is complete. Others are read until a pass brings no new row, and as many rows
    as are known: if the set does not change, that proves completeness in any order. If rows are
    deleted, the proof is a pass without duplicates that brings the rows of the one before it.
    """
    known: set[Any] = set()
    last: set[Any] = set()
    for number in range(_MOST_PASSES):
        before, size, pages, found = len(known), 0, 0, set[Any]()
        for page in read(number):
            pages, size = pages + 1, size + len(page.rows)
            fresh = {row.get("id"): row for row in page.rows if row.get("id") not in known}
            found.update(row.get("id") for row in page.rows)
            known.update(fresh)
            yield list(fresh.values())
        if pages == 1 or (len(known) == before and (size == before or (size == len(found) and found == last))):
            return
        last = found
    raise PaginationError(
        f"The rows came in a different order each of {_MOST_PASSES} times. A larger page_size shows more of them."
    )


def smaller(page_size: int, number: int) -> int:
    """The size of a first page: `page_size`, then others, spread evenly (a golden section)."""
    return page_size - int(page_size * (number * 0.618034 % 1))


def consecutive_pages(page_at: Callable[[int, int], Page], number: int) -> Iterator[Page]:
    """The pages of a set by offset, in the order of the API. `page_at(offset, number)` gets one.

    PostgreSQL orders tied rows by where the page ends, and so hides the same ones at the beginning
    of a page each time. Hence all pages of another pass begin elsewhere, because its first page is
    smaller: pages of two rows suffice.
    """
    offset = 0
    while True:
        page = page_at(offset, 0 if offset else number)
        yield page
        if not page.full:
            return
        offset += page.size


def pages_with_ties(
    page_at: Callable[[int, int], Page], tied_at: Callable[[Any], Iterable[Rows]], field: str
) -> Callable[[int], Iterator[Page]]:
    """A `read` for `pages_unordered`, for a table that the API orders by `field` alone.

    A tie hides rows only where a page ends within it. If two passes do not suffice, every second
    one begins with those ties, each by itself: `tied_at(value)` gets its rows.
    """
    edges: set[Any] = set()

    def read(number: int) -> Iterator[Page]:
        if number and number % 2 == 0:
            for value in sorted(edges):
                yield from (Page(rows, full=True) for rows in tied_at(value))
        for page in consecutive_pages(page_at, number):
            edges.update(row[field] for row in page.rows[-1:] if row.get(field) is not None)
            yield page

    return read


def unseen(rows: Rows, seen: Collection[Any]) -> Rows:
    """The rows whose ids are not in `seen`."""
    return [row for row in rows if row.get("id") not in seen] if seen else rows


def ids_of(rows: Iterable[Row]) -> frozenset[Any]:
    """The ids of the rows that have one."""
    return frozenset(row["id"] for row in rows if "id" in row)


def _times_of_full_page(
    page: Page, field: str, start: datetime | None, end: datetime | None
) -> tuple[datetime, datetime] | None:
    """The times of the first and the last row; None where no page follows.

    Raises PaginationError where no page could follow, or rows are outside of the range from
    `start` to `end`.
    """
    if page.full and not page.rows:
        raise PaginationError("The server said that more rows follow an empty page.")
    times = []
    for row in page.rows[:1] + page.rows[-1:]:
        text = row.get(field)
        at = parse_time(text)
        if at is None and page.full:
            raise PaginationError(f"A row has {text!r} as its {field}, which the table is paged by.")
        if (start or end) and not (at and (start or BEGINNING) <= at <= (end or END)):
            bounds = ("at or after", start), ("at or before", end)
            asked = " and ".join(f"{side} {format_time(bound)}" for side, bound in bounds if bound)
            raise BoundIgnoredError(f"Asked for rows with {field} {asked}, the server sent one with {text!r}.")
        if at and page.full:
            times.append(at)
    return (times[0], times[1]) if times else None


def read_in_parts(
    page_at: Callable[[int, int], Page | None], offset: int, size: int
) -> tuple[dict[int, Row], list[int]]:
    """The rows of a page that fails as a whole, by offset, and the offsets that fail alone.

    The page is halved, down to single rows. `page_at(offset, limit)` gets a part, None where it
    fails. Each part begins with the last row of the one before it, and in the end all is where it
    was: a row that was deleted meanwhile would hide another. Raises PaginationError where rows
    have moved.
    """
    rows: dict[int, Row] = {}
    failed: list[int] = []

    def take(start: int, limit: int) -> None:
        overlap = int(start - 1 in rows)
        page = page_at(start - overlap, limit + overlap)
        if page is None and limit > 1:
            halve(start, limit)
        elif page is None:
            failed.append(start)
        elif overlap and page.rows[:1] != [rows[start - 1]]:
            raise PaginationError(_MOVED)
        else:
            rows.update(enumerate(page.rows[overlap:], start))

    def halve(start: int, limit: int) -> None:
        take(start, limit // 2)
        take(start + limit // 2, limit - limit // 2)

    if size > 1:
        halve(offset, size)
    else:
        failed.append(offset)
    # In order: a row that is deleted now moves one that is looked at later.
    for place in sorted([*failed, *(place for place in rows if place + 1 not in rows)]):
        page = page_at(place, 1)
        if (page and page.rows[:1]) != ([rows[place]] if place in rows else None):
            raise PaginationError(_MOVED)
    if len(ids_of(rows.values())) < sum("id" in row for row in rows.values()):
        raise PaginationError(_MOVED)
    return rows, failed
