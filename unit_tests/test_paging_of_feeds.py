"""Reading feeds, and sets that have no order, from tables that change while they are read."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_prefect.paging import (
    BoundIgnoredError,
    Page,
    PaginationError,
    Row,
    Rows,
    consecutive_pages,
    pages_ascending,
    pages_unordered,
    smaller,
)
from source_prefect.times import format_time, parse_time

START = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT = 3


def row(identifier: int, second: int) -> Row:
    return {"id": str(identifier), "at": format_time(START + timedelta(microseconds=second))}


class Feed:
    """A table in the order of `at`; rows of one time come in another order every time."""

    def __init__(self, rows: list[Row], meanwhile: Callable[["Feed", int], None] | None = None) -> None:
        self.rows = rows
        self.requests = 0
        self._meanwhile = meanwhile
        self._random = random.Random(1)

    def _ordered(self, since: str, until: str | None) -> list[Row]:
        if self._meanwhile:
            self._meanwhile(self, self.requests)
        self.requests += 1
        chosen = [r for r in self.rows if r["at"] >= since and (until is None or r["at"] <= until)]
        self._random.shuffle(chosen)
        return sorted(chosen, key=lambda r: str(r["at"]))

    def page_from(self, since: datetime) -> Page:
        rows = self._ordered(format_time(since), None)
        return Page(rows[:LIMIT], full=len(rows) > LIMIT)

    def tied(self, time: datetime) -> Iterator[Rows]:
        at = format_time(time)

        def page_at(offset: int, number: int) -> Page:
            limit = smaller(LIMIT, number)
            rows = self._ordered(at, at)[offset : offset + limit]
            return Page(rows, full=len(rows) == limit)

        return pages_unordered(lambda number: consecutive_pages(page_at, number))

    def read(self) -> list[str]:
        return ids(pages_ascending(self.page_from, self.tied, "at", START))


@given(st.lists(st.integers(min_value=0, max_value=6), max_size=25))
def test_every_row_of_a_feed_comes_once_in_order(seconds: list[int]) -> None:
    rows = [row(number, second) for number, second in enumerate(seconds)]
    ids = Feed(rows).read()
    assert sorted(ids) == sorted(r["id"] for r in rows)
    times = {r["id"]: r["at"] for r in rows}
    assert [times[i] for i in ids] == sorted(times.values())


def test_rows_deleted_at_the_old_end_hide_no_other() -> None:
    def retention(feed: Feed, request: int) -> None:
        if request == 2:
            del feed.rows[:5]

    feed = Feed([row(n, n) for n in range(20)], retention)
    assert feed.read() == [str(n) for n in range(20)]


def test_rows_added_at_the_new_end_are_met() -> None:
    def arrival(feed: Feed, request: int) -> None:
        if request == 2:
            feed.rows += [row(n, n) for n in range(10, 15)]

    assert Feed([row(n, n) for n in range(10)], arrival).read() == [str(n) for n in range(15)]


def test_a_server_that_ignores_the_bound_is_noticed() -> None:
    rows = [row(n, n) for n in range(10)]
    bound = START + timedelta(seconds=5)
    pages = pages_ascending(lambda _since: Page(rows[:LIMIT], full=True), lambda _at: iter(()), "at", bound)
    with pytest.raises(BoundIgnoredError, match="Asked for rows with at at or after 2026-01-01T00:00:05"):
        list(pages)


def test_an_empty_page_that_more_rows_follow_is_no_end() -> None:
    pages = pages_ascending(lambda _since: Page([], full=True), lambda _at: iter(()), "at", START)
    with pytest.raises(PaginationError, match="more rows follow an empty page"):
        list(pages)


def passes(tables: list[list[int]], limit: int) -> Callable[[int], Iterator[Page]]:
    """The passes over a set that looks like each of these tables in turn; the last one stays."""

    def read(number: int) -> Iterator[Page]:
        table = [row(n, 0) for n in tables[min(number, len(tables) - 1)]]

        def page_at(offset: int, _: int) -> Page:
            rows = table[offset : offset + limit]
            return Page(rows, full=len(rows) == limit)

        return consecutive_pages(page_at, number)

    return read


def ids(pages: Iterator[Rows]) -> list[str]:
    return [r["id"] for rows in pages for r in rows]


def test_a_set_that_fits_on_a_page_is_read_once() -> None:
    requests = []

    def read(number: int) -> Iterator[Page]:
        requests.append(number)
        yield Page([row(1, 0), row(2, 0)], full=False)

    assert ids(pages_unordered(read)) == ["1", "2"]
    assert requests == [0]


def test_a_row_that_one_pass_missed_comes_with_the_next() -> None:
    # A row left in front of the boundary between two pages while the first pass was there: 3 was
    # not seen.
    assert ids(pages_unordered(passes([[1, 2, 4, 5], [2, 3, 4, 5]], limit=2))) == ["1", "2", "4", "5", "3"]


def test_a_row_that_hid_behind_another_twice_is_still_found() -> None:
    # Shuffled ties: the passes show 2 twice, and 3 not at all, until they are cut otherwise.
    assert sorted(ids(pages_unordered(passes([[1, 2, 2, 4], [1, 2, 2, 4], [1, 2, 3, 4]], limit=2)))) == list("1234")


def test_a_set_that_never_settles_is_an_error() -> None:
    with pytest.raises(PaginationError, match="different order each of 20 times"):
        list(pages_unordered(passes([[1, 2, 2, 4]], limit=2)))


@pytest.mark.parametrize("size", [2, 3, 6, 200])
def test_no_two_passes_in_a_row_have_a_page_that_begins_at_the_same_row(size: int) -> None:
    def begin(number: int) -> set[int]:
        asked: list[int] = []

        def page_at(offset: int, number: int) -> Page:
            asked.append(offset)
            rows = [row(n, 0) for n in range(1000)[offset : offset + smaller(size, number)]]
            return Page(rows, full=offset + len(rows) < 1000)

        assert sum(page.size for page in consecutive_pages(page_at, number)) == 1000
        return set(asked)

    assert begin(0) & begin(1) == begin(1) & begin(2) == {0}
    assert begin(0) == set(range(0, 1000, size))


def test_times_are_compared_as_times() -> None:
    # The fraction is left out where it is zero, and text without one sorts behind text with one.
    whole, half = "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.500000Z"
    first, second = {"id": "1", "at": whole}, {"id": "2", "at": half}
    asked: list[datetime] = []
    asked_first = parse_time(whole)
    assert asked_first

    def page_from(since: datetime) -> Page:
        asked.append(since)
        return Page([first, second], full=True) if len(asked) == 1 else Page([second], full=False)

    assert ids(pages_ascending(page_from, lambda _at: iter(()), "at", asked_first)) == ["1", "2"]
    assert asked == [parse_time(whole), parse_time(half)]
