"""Reading a table page by page while it changes. No HTTP in here: a page is whatever the caller's function gets.

Every walk goes from the newest row to the oldest and yields rows that it has not yielded before.
"""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple

from source_prefect.times import ONE_MICROSECOND, format_time, parse_time

Row = dict[str, Any]

_END_OF_TIME = datetime.max.replace(tzinfo=timezone.utc)


class Page(NamedTuple):
    """One answer. `full` says that it holds as many rows as were asked for, so that more may follow."""

    rows: list[Row]
    full: bool


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
            self.before = self._just_before(last)
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

    @staticmethod
    def _just_before(at: str) -> str:
        time = parse_time(at)
        if time is None:  # pragma: no cover  (_check has parsed it)
            raise ValueError(at)
        return format_time(time - ONE_MICROSECOND)


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
