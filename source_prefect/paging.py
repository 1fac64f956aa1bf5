"""Reading a table page by page while it changes. No HTTP in here: a page is whatever the caller's function gets.

Every walk yields rows that it has not yielded before. Tables are read from the newest row to the oldest, feeds (logs,
events) the other way round.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple

from source_prefect.times import ONE_MICROSECOND, format_time, parse_time

Row = dict[str, Any]

_END_OF_TIME = datetime.max.replace(tzinfo=timezone.utc)


class Page(NamedTuple):
    """One answer. `full` says that more may follow: it holds as many rows as were asked for, or names a `next_page`."""

    rows: list[Row]
    full: bool
    next_page: str | None = None


class BoundIgnoredError(Exception):
    """The server answered with rows beyond the time that it was asked to stay before."""


class TimeWalk:
    """The rows of a set in descending order of `field`, each page at the price of the first.

    `newest(before)` gets the newest page of the rows at or before that time (all of them where it is None);
    `instant(at, offset)` a page of the rows of exactly that time, in descending order of their ids.

    A page begins at the time where the last one ended: `before` is inclusive, so the rows that share the
    border's time come again and are dropped by their ids (`border`). They are not stepped over by an offset:
    were one of them to leave the set in between, a row behind it would be skipped. When a whole page has one
    time, that instant is read by itself, and the walk goes on below it.

    `before` and `border` tell where the walk has come; a new walk that is given them goes on from there.
    """

    def __init__(
        self,
        newest: Callable[[str | None], Page],
        instant: Callable[[str, int], Page],
        field: str,
        *,
        before: str | None = None,
        border: Collection[str] = (),
    ) -> None:
        self._newest = newest
        self._instant = instant
        self._field = field
        self.before = before
        self.border = frozenset(border)
        self.done = False

    def __iter__(self) -> Iterator[list[Row]]:
        while not self.done:
            yield from self.step()

    def step(self) -> Iterator[list[Row]]:
        """One page, or the whole of an instant that fills a page; `before` and `border` hold when it is through."""
        page = self._newest(self.before)
        self._check(page)
        if not page.full:
            yield self._fresh(page.rows)
            self.done = True
            return
        last = page.rows[-1][self._field]
        if page.rows[0].get(self._field) == last:
            yield from self._whole_instant(last)
            self.before = format_time(_time(last) - ONE_MICROSECOND)
            self.border = frozenset()
        else:
            yield self._fresh(page.rows)
            self.border = frozenset(row["id"] for row in page.rows if row.get(self._field) == last and "id" in row)
            self.before = last

    def _whole_instant(self, at: str) -> Iterator[list[Row]]:
        for rows in offset_walk(lambda offset: self._instant(at, offset), key=lambda row: row.get("id")):
            yield self._fresh(rows)

    def _fresh(self, rows: list[Row]) -> list[Row]:
        return [row for row in rows if row.get("id") not in self.border] if self.border else rows

    def _check(self, page: Page) -> None:
        if page.full and parse_time(page.rows[-1].get(self._field)) is None:
            raise ValueError(f"Cannot page by {self._field}: a row has {page.rows[-1].get(self._field)!r} there.")
        if self.before is not None and page.rows:
            first, bound = parse_time(page.rows[0].get(self._field)), parse_time(self.before)
            if first is None or (bound is not None and first > bound):
                raise BoundIgnoredError(
                    f"Asked for rows with {self._field} at or before {self.before}, the server sent one with "
                    f"{page.rows[0].get(self._field)!r}."
                )


def time_key(field: str) -> Callable[[Row], datetime | None]:
    """The key of `offset_walk` for a table in descending order of a time."""
    return lambda row: parse_time(row.get(field))


def offset_walk(page_at: Callable[[int], Page], key: Callable[[Row], Any]) -> Iterator[list[Row]]:
    """The rows of a set in descending order of `key`, where the API can page by offset only.

    `page_at(offset)` gets a page. The next page is asked for from the rows that share the last row's key, and
    must begin at or before them. Where rows came in front, it begins earlier, and what was seen is dropped;
    where rows went, it begins too late, and the walk steps back until the pages meet again.
    """
    offset = 0
    size = 0
    border: Any = None
    border_ids: set[str] = set()
    while True:
        page = page_at(offset)
        size = max(size, len(page.rows))
        keys = _without_gaps(page.rows, key, border)
        if offset and not (keys and (keys[0] > border or page.rows[0].get("id") in border_ids)):
            offset = max(0, offset - size + 1)
            continue
        fresh = [
            (row, at)
            for row, at in zip(page.rows, keys, strict=True)
            if border is None or at < border or (at == border and row.get("id") not in border_ids)
        ]
        if fresh:
            if fresh[-1][1] != border:
                border = fresh[-1][1]
                border_ids = set()
            border_ids.update(row["id"] for row, at in fresh if at == border and "id" in row)
        yield [row for row, _ in fresh]
        if not page.full:
            return
        # From the first row with the border's key, or, where they fill the page, from its last row.
        offset += next((i for i, at in enumerate(keys) if at <= border), 0) or len(keys) - 1


def _without_gaps(rows: list[Row], key: Callable[[Row], Any], border: Any) -> list[Any]:
    """The keys of the rows; a row without one is taken to stand with the row before it, or else with the first."""
    keys = [key(row) for row in rows]
    last = border if border is not None else next((at for at in keys if at is not None), _END_OF_TIME)
    for i, at in enumerate(keys):
        keys[i] = last = at if at is not None else last
    return keys


def ascending_walk(
    page_from: Callable[[str], Page],
    instant: Callable[[str], Iterable[list[Row]]],
    field: str,
    since: str,
) -> Iterator[list[Row]]:
    """The rows of a feed, to which rows are only added, in ascending order of `field` from `since` on.

    As in `TimeWalk`, a page begins at the time where the last one ended, so that it costs as much as the first,
    and so that rows that retention takes away at the old end move nothing across a page's border.

    `page_from(since)` gets the oldest page of the rows at or after that time; `instant(at)` all rows of exactly
    that time, for where a whole page has one time.
    """
    border: set[str] = set()
    while True:
        page = page_from(since)
        _check_ascending(page, field, since)
        fresh = [row for row in page.rows if row["id"] not in border]
        if not page.full:
            yield fresh
            return
        last = page.rows[-1][field]
        if page.rows[0][field] == last:
            for rows in instant(last):
                yield [row for row in rows if row["id"] not in border]
            since, border = format_time(_time(last) + ONE_MICROSECOND), set()
        else:
            yield fresh
            since, border = last, {row["id"] for row in page.rows if row[field] == last}


def _check_ascending(page: Page, field: str, since: str) -> None:
    if page.full and not page.rows:
        raise ValueError("The server said that more rows follow an empty page.")
    if page.rows and _time(page.rows[0][field]) < _time(since):
        raise BoundIgnoredError(
            f"Asked for rows with {field} at or after {since}, the server sent one with {page.rows[0][field]!r}."
        )


def _time(text: str) -> datetime:
    time = parse_time(text)
    if time is None:
        raise ValueError(f"{text!r} is no time to page by.")
    return time


# How often a set is read before it counts as one that cannot be read.
_MOST_PASSES = 20


def unordered_walk(read: Callable[[int], Iterable[Page]]) -> Iterator[list[Row]]:
    """The rows of a set whose order cannot be chosen, or relied on, and which therefore is read more than once.

    `read(number)` reads the whole set page by page; with another number, in pages of another size, so that rows
    of equal rank that the database shuffles from page to page are shuffled otherwise.

    What fits into one page is one answer, and complete. Longer sets are read until a pass brings nothing new and
    as many rows are known as it had: in a set at rest that is proof of completeness, whatever the order. Where
    rows go or are renamed meanwhile, missing one takes two passes that do so at the same row.
    """
    known: set[str] = set()
    for number in range(_MOST_PASSES):
        before = len(known)
        pages = rows = 0
        for page in read(number):
            pages += 1
            rows += len(page.rows)
            fresh = {row["id"]: row for row in page.rows if row["id"] not in known}
            known.update(fresh)
            yield list(fresh.values())
        if pages == 1 or rows <= len(known) == before:
            return
    raise ValueError(f"The rows came in another order each of {_MOST_PASSES} times.")


def offset_pages(page_at: Callable[[int], Page]) -> Iterator[Page]:
    """The pages of a set, one after the other, as the API cuts them."""
    offset = 0
    while True:
        page = page_at(offset)
        yield page
        if not page.full:
            return
        offset += len(page.rows)
