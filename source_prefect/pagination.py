"""Reading a table page by page while it changes. No HTTP in here: the caller's function gets a page.

Each function yields the rows of one page at a time, and no row twice.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple

from source_prefect.times import ONE_MICROSECOND, format_time, parse_time

Row = dict[str, Any]
Rows = list[Row]

_LATEST = datetime.max.replace(tzinfo=timezone.utc)


# How often rows are read without progress before the read fails.
_MOST_PASSES = 20


class Page(NamedTuple):
    """One answer. `full` says that more rows may follow: it has as many as were asked for.

    `total` is the number of rows that match the request, where the API reports it (events).
    """

    rows: Rows
    full: bool
    next_page: str | None = None
    total: int = 0


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
    before: datetime | None = None,
    seen: Collection[Any] = (),
) -> Iterator[Rows]:
    """The rows in descending order of the time `field`, at or before `before`, without those whose ids are in `seen`.

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
        _check_descending(page, field, before)
        if not page.full:
            yield _unseen(page.rows, seen)
            return
        last = _time(page.rows[-1][field])
        if _time(page.rows[0][field]) == last:
            for rows in pages_by_offset(lambda offset, at=last: tied_at(at, offset), key=lambda row: row.get("id")):  # type: ignore[misc]
                yield _unseen(rows, seen)
            before, seen = last - ONE_MICROSECOND, frozenset()
        else:
            yield _unseen(page.rows, seen)
            before, seen = last, _ids_at(page.rows, field, last)


def pages_ascending(
    page_from: Callable[[datetime], Page],
    tied_at: Callable[[datetime], Iterable[Rows]],
    field: str,
    since: datetime,
) -> Iterator[Rows]:
    """The rows in ascending order of the time `field`, at or after `since`, of a table to which rows are only added.

    Bounded by time as in `pages_descending`: rows that retention deletes at the old end shift no page.

    `page_from(time)` gets the oldest page of the rows at or after a time; `tied_at(time)` all rows of exactly that
    time.
    """
    seen: frozenset[Any] = frozenset()
    while True:
        page = page_from(since)
        _check_ascending(page, field, since)
        if not page.full:
            yield _unseen(page.rows, seen)
            return
        last = _time(page.rows[-1][field])
        if _time(page.rows[0][field]) == last:
            for rows in tied_at(last):
                yield _unseen(rows, seen)
            since, seen = last + ONE_MICROSECOND, frozenset()
        else:
            yield _unseen(page.rows, seen)
            since, seen = last, _ids_at(page.rows, field, last)


def time_key(field: str) -> Callable[[Row], datetime | None]:
    """The key of `pages_by_offset` for a table in descending order of a time."""
    return lambda row: parse_time(row.get(field))


def pages_by_offset(page_at: Callable[[int], Page], key: Callable[[Row], Any]) -> Iterator[Rows]:
    """The rows in descending order of `key`, where the API can page by offset only.

    `page_at(offset)` gets a page. The next page must overlap the rows that tie with the last row. If rows were
    inserted before them, it begins earlier, and rows already yielded are dropped. If rows were deleted, it begins
    too late, and the offset steps back until the pages overlap again.

    Raises PaginationError where a database orders a tie of more than a page differently for each offset.
    """
    turns, stepped_back = 0, False
    offset = 0
    size = 0
    boundary: Any = None
    tied_ids: set[str] = set()
    while True:
        page = page_at(offset)
        size = max(size, len(page.rows))
        keys = _without_gaps(page.rows, key, boundary)
        if offset and not (keys and (keys[0] > boundary or page.rows[0].get("id") in tied_ids)):
            turns += not stepped_back
            if turns > _MOST_PASSES:
                raise PaginationError(
                    f"More than a page of rows tie at {boundary}, in an order that is never the same."
                )
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
                tied_ids = set()
            tied_ids.update(row["id"] for row, at in fresh if at == boundary and "id" in row)
        yield [row for row, _ in fresh]
        if not page.full:
            return
        # From the first row that ties with the last one, or, where they fill the page, from its last row.
        offset += next((i for i, at in enumerate(keys) if at <= boundary), 0) or len(keys) - 1


def _without_gaps(rows: Rows, key: Callable[[Row], Any], boundary: Any) -> list[Any]:
    """The keys of the rows; a row without one takes that of the row before it, or else of the first that has one."""
    keys = [key(row) for row in rows]
    last = boundary if boundary is not None else next((at for at in keys if at is not None), _LATEST)
    for i, at in enumerate(keys):
        keys[i] = last = at if at is not None else last
    return keys


def pages_unordered(read: Callable[[int], Iterable[Page]]) -> Iterator[Rows]:
    """The rows of a set that has no reliable order, and is therefore read more than once.

    `read(number)` reads the whole set. Each number stands for another page size, so that the database shuffles tied
    rows differently between pages.

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


def _check_descending(page: Page, field: str, before: datetime | None) -> None:
    if page.full and parse_time(page.rows[-1].get(field)) is None:
        raise PaginationError(f"A row has {page.rows[-1].get(field)!r} as its {field}, which the table is paged by.")
    if before is not None and page.rows:
        first = parse_time(page.rows[0].get(field))
        if first is None or first > before:
            raise BoundIgnoredError(
                f"Asked for rows with {field} at or before {format_time(before)}, the server sent one with "
                f"{page.rows[0].get(field)!r}."
            )


def _check_ascending(page: Page, field: str, since: datetime) -> None:
    if page.full and not page.rows:
        raise PaginationError("The server said that more rows follow an empty page.")
    if page.rows and _time(page.rows[0].get(field)) < since:
        raise BoundIgnoredError(
            f"Asked for rows with {field} at or after {format_time(since)}, the server sent one with "
            f"{page.rows[0][field]!r}."
        )


def _time(text: Any) -> datetime:
    time = parse_time(text)
    if time is None:
        raise PaginationError(f"A row has {text!r} as the time that the table is paged by.")
    return time
