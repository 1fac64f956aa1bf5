"""Reading in descending order, from a table in memory that changes between any two pages."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

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
    pages_by_offset,
    pages_descending,
    smaller,
    time_key,
)
from source_prefect.times import ONE_MICROSECOND, format_time, parse_time

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def at(second: int) -> str:
    return format_time(NOON + timedelta(seconds=second))


def tick(number: int) -> str:
    """Times as close to each other as times can be."""
    return format_time(NOON + number * ONE_MICROSECOND)


class Table:
    """Rows with an id and a time. A change, if one is left, happens after every page."""

    def __init__(self, ticks: list[int], limit: int, changes: list[tuple[str, int]]) -> None:
        self.rows = {f"{n:03}": tick(number) for n, number in enumerate(ticks)}
        self.throughout = set(self.rows)
        self.limit = limit
        self.changes = iter(changes)
        self.pages = 0

    def before(self, before: datetime | None) -> Page:
        return self._page([row for row in self._sorted() if before is None or row["time"] <= format_time(before)])

    def tied(self, time: datetime, offset: int) -> Page:
        rows = [row for row in self._sorted() if row["time"] == format_time(time)]
        return self._page(sorted(rows, key=lambda row: row["id"], reverse=True)[offset:])

    def page_at(self, offset: int, number: int) -> Page:
        return self._page(self._sorted()[offset:], smaller(self.limit, number))

    def _sorted(self) -> list[Row]:
        rows: list[Row] = [{"id": row_id, "time": time} for row_id, time in self.rows.items()]
        return sorted(rows, key=lambda row: (row["time"], row["id"]), reverse=True)

    def _page(self, rows: list[Row], size: int = 0) -> Page:
        self.pages += 1
        assert self.pages < 500, "the pages do not end"
        size = size or self.limit
        page = Page(rows[:size], full=len(rows) >= size)
        self._change(*next(self.changes, ("nothing", 0)))
        return page

    def _change(self, what: str, value: int) -> None:
        if what == "insert":
            self.rows[f"new-{self.pages:03}"] = tick(value)
        if what.startswith("delete") and self.rows:
            first = value % len(self.rows)
            for gone in sorted(self.rows)[first : first + (3 if what == "delete three" else 1)]:
                del self.rows[gone]
                self.throughout.discard(gone)


tables = st.builds(
    Table,
    # Few different times, so that many rows share one.
    st.lists(st.integers(0, 6), max_size=40),
    st.integers(2, 6),
    st.lists(st.tuples(st.sampled_from(["insert", "delete", "delete three"]), st.integers(0, 50))),
)


def _ids(pages: Iterator[list[Row]]) -> Counter[str]:
    return Counter(row["id"] for rows in pages for row in rows)


def _assert_exactly_once(got: Counter[str], table: Table) -> None:
    assert table.throughout <= set(got), "a row was hidden"
    assert max(got.values(), default=1) == 1, "a row was repeated"


def by_time(table: Table) -> Iterator[Rows]:
    return pages_descending(table.before, table.tied, "time")


def by_offset(table: Table) -> Iterator[Rows]:
    return pages_by_offset(table.page_at, time_key("time"))


@given(tables)
def test_pages_bounded_by_time_bring_each_row_once(table: Table) -> None:
    _assert_exactly_once(_ids(by_time(table)), table)


@given(tables)
def test_pages_by_offset_bring_each_row_once(table: Table) -> None:
    _assert_exactly_once(_ids(by_offset(table)), table)


@given(tables)
def test_reading_goes_on_behind_a_page_that_was_read_before(table: Table) -> None:
    first = table.before(None)
    got = Counter(row["id"] for row in first.rows)
    if first.full:
        last = parse_time(first.rows[-1]["time"])
        got += _ids(pages_descending(table.before, table.tied, "time", before=last, seen=set(got)))
    _assert_exactly_once(got, table)


@pytest.mark.parametrize("pages_of", [by_time, by_offset])
@pytest.mark.parametrize(("count", "pages"), [(0, 1), (9, 1), (10, 2), (11, 2), (28, 4), (100, 12)])
def test_each_page_brings_nine_new_rows_of_ten(pages_of: Callable[[Table], Any], count: int, pages: int) -> None:
    """One row of each page is that which it has in common with the last."""
    table = Table(list(range(count)), limit=10, changes=[])
    assert sum(_ids(pages_of(table)).values()) == count
    assert table.pages == pages


def test_a_tie_of_several_pages_is_read_by_its_ids_and_each_page_brings_nine_new_rows_of_ten() -> None:
    table = Table([0] * 27, limit=10, changes=[])
    assert sum(_ids(by_time(table)).values()) == 27
    # The page that the tie fills, the tie, and what comes before it.
    assert table.pages == 1 + 3 + 1


def test_rows_without_an_id_are_passed_on() -> None:
    rows: list[Row] = [{"time": at(second)} for second in (9, 8, 7, 7, 7, 3)]

    def page_before(before: datetime | None) -> Page:
        those = [row for row in rows if before is None or row["time"] <= format_time(before)]
        return Page(those[:4], full=len(those) >= 4)

    def tied_at(time: datetime, offset: int) -> Page:
        return Page([row for row in rows if row["time"] == format_time(time)][offset : offset + 4], full=False)

    got = [row["time"] for page in pages_descending(page_before, tied_at, "time") for row in page]
    assert sorted(set(got), reverse=True) == [at(9), at(8), at(7), at(3)]


def test_a_server_that_ignores_the_bound_is_noticed() -> None:
    always = Page([{"id": "a", "time": at(2)}, {"id": "b", "time": at(1)}], full=True)
    pages = pages_descending(lambda _before: always, lambda _at, _offset: always, "time")
    with pytest.raises(BoundIgnoredError, match="the server sent one with '2026-11-20T12:00:02"):
        _ids(pages)


def test_a_row_without_the_time_cannot_be_paged_by() -> None:
    page = Page([{"id": "a", "time": at(2)}, {"id": "b", "time": None}], full=True)
    pages = pages_descending(lambda _before: page, lambda _at, _offset: page, "time")
    with pytest.raises(PaginationError, match="A row has None as its time, which the table is paged by"):
        _ids(pages)


def test_a_table_row_without_its_time_stays_where_it_is() -> None:
    rows: list[Row] = [{"id": str(n), "time": None if n in (0, 4, 5) else at(100 - n)} for n in range(10)]
    pages = pages_by_offset(lambda at, _: Page(rows[at : at + 3], len(rows) - at >= 3), time_key("time"))
    assert [row["id"] for page in pages for row in page] == [str(n) for n in range(10)]


def test_rows_deleted_while_a_tie_is_read_in_no_order_hide_none_of_it() -> None:
    """The set that is read in no order looks whole: it has lost as many rows as it misses."""
    table = Table([1] + [2] * 14, 7, [("nothing", 0), ("delete", 12), ("delete", 5), ("delete", 11), ("nothing", 0)])
    _assert_exactly_once(_ids(by_offset(table)), table)


@pytest.mark.parametrize(
    ("ticks", "limit", "changes"),
    [
        (
            [2] * 22 + [0, 0, 3, 0, 3, 4, 3, 3, 4, 3, 3, 3, 4],
            4,
            {3: ("delete", 34), 5: ("delete", 31), 6: ("delete", 30)},
        ),
        (
            [1, 0, 2, 0, 3, 2, 2, 1, 0, 2, 2, 3, 3, 2, 2, 2, 3],
            2,
            {5: ("insert", 4), 7: ("insert", 4), 10: ("delete three", 5), 12: ("delete three", 7),
             18: ("delete three", 3), 23: ("delete", 5)},
        ),
    ],
)  # fmt: skip
def test_a_gap_in_a_tie_that_was_read_in_no_order_is_read_again(
    ticks: list[int], limit: int, changes: dict[int, tuple[str, int]]
) -> None:
    """A row that was only in that set must not be taken for one of the last page."""
    table = Table(ticks, limit, [changes.get(number, ("nothing", 0)) for number in range(24)])
    _assert_exactly_once(_ids(by_offset(table)), table)


def test_rows_deleted_before_a_tie_hide_none_of_it() -> None:
    """The next page begins within the tie, but behind a row of it."""
    table = Table([2, 2, 1, 0, 3, 3, 2], 3, [("delete three", 47)])
    _assert_exactly_once(_ids(by_offset(table)), table)


def test_a_table_none_of_whose_rows_has_the_time_is_read_to_its_end() -> None:
    rows: list[Row] = [{"id": str(n), "time": None} for n in range(7)]
    pages = pages_by_offset(lambda at, _: Page(rows[at : at + 3], len(rows) - at >= 3), time_key("time"))
    assert {row["id"] for page in pages for row in page} == {row["id"] for row in rows}


def test_places_that_no_request_brings_shift_no_page() -> None:
    offsets = []

    def page_at(offset: int, _: int) -> Page:
        offsets.append(offset)
        # Of four places, one cannot be read.
        rows = [{"id": str(n), "time": at(100 - n)} for n in range(offset, min(offset + 4, 11)) if n % 4 != 1]
        return Page(rows, full=offset + 4 <= 11, unreadable=[n % 4 for n in range(offset, offset + 4) if n % 4 == 1])

    assert [row["id"] for page in consecutive_pages(page_at, 0) for row in page.rows] == [*"0234678", "10"]
    assert offsets == [0, 4, 8]


def test_a_tie_that_fills_no_page_is_not_read_again() -> None:
    table = Table([0] * 9 + [1], limit=10, changes=[])
    assert sum(_ids(by_offset(table)).values()) == 10
    assert table.pages == 2


class Shuffled:
    """A table that orders ties by offset and page size, as PostgreSQL does without an index."""

    def __init__(self, ticks: list[int], limit: int) -> None:
        self.rows: list[Row] = [{"id": f"{n:03}", "time": tick(number)} for n, number in enumerate(ticks)]
        self.limit = limit
        self.pages = 0

    def page_at(self, offset: int, number: int) -> Page:
        self.pages += 1
        size = smaller(self.limit, number)
        shuffled = Random(f"{offset} {size}").sample(self.rows, len(self.rows))
        rows = sorted(shuffled, key=lambda row: row["time"], reverse=True)[offset : offset + size]
        return Page(rows, full=len(rows) >= size)


@given(st.lists(st.integers(0, 3), max_size=40))
def test_ties_of_more_than_a_page_in_no_order_bring_each_row_once(ticks: list[int]) -> None:
    table = Shuffled(ticks, limit=12)
    assert _ids(pages_by_offset(table.page_at, time_key("time"))) == {row["id"]: 1 for row in table.rows}


def test_a_tie_of_one_row_more_than_a_page_in_no_order_brings_each_row_once() -> None:
    table = Shuffled([0] * 6, limit=5)
    assert _ids(pages_by_offset(table.page_at, time_key("time"))) == {row["id"]: 1 for row in table.rows}


@pytest.mark.parametrize(("rows", "pages"), [(60, 2), (300, 7)])
def test_a_tie_of_more_than_a_page_is_read_twice_more(rows: int, pages: int) -> None:
    table = Table([0] * rows, limit=50, changes=[])
    assert sum(_ids(by_offset(table)).values()) == rows
    assert table.pages <= 3 * pages


@pytest.mark.parametrize("full", [True, False])
def test_a_server_that_ignores_the_other_bound_is_noticed_too(full: bool) -> None:
    rows: list[Row] = [{"id": "a", "time": at(2)}, {"id": "b", "time": at(1)}]
    descending = pages_descending(
        lambda _: Page(rows, full), lambda _at, _: Page(rows, full), "time", after=NOON + 2 * SECOND
    )
    with pytest.raises(BoundIgnoredError, match="at or after 2026-11-20T12:00:02"):
        _ids(descending)
    ascending = pages_ascending(lambda _: Page(rows[::-1], full), lambda _: [], "time", NOON, until=NOON + SECOND)
    with pytest.raises(BoundIgnoredError, match="and at or before 2026-11-20T12:00:01"):
        _ids(ascending)


def test_time_key_reads_what_every_prefect_writes() -> None:
    same = ["2026-11-20T12:00:00Z", "2026-11-20T12:00:00.000000Z", "2026-11-20T12:00:00+00:00"]
    assert {time_key("time")({"time": text}) for text in same} == {parse_time(same[0])} == {NOON}


class Numbers:
    """A table of numbers, the latest first, of which some come or go after each request."""

    def __init__(self, count: int, change: Callable[["Numbers"], object]) -> None:
        self.rows = list(range(count))
        self.change = change
        self.requests = 0

    def page_at(self, offset: int, number: int) -> Page:
        self.requests += 1
        assert self.requests < 5000
        size = smaller(10, number)
        found = self.rows[::-1][offset : offset + size]
        self.change(self)
        return Page([{"id": n, "at": n} for n in found], full=len(found) == size)

    def grow(self) -> None:
        self.rows.extend(range(len(self.rows), len(self.rows) + 10))

    def read(self) -> list[int]:
        return [row["id"] for rows in pages_by_offset(self.page_at, key=lambda row: row["at"]) for row in rows]


def test_a_thousand_pages_in_a_row_may_bring_known_rows_alone() -> None:
    """Those while the table grows, and a ninth as many until the offset has caught up."""
    table = Numbers(100, lambda table: table.grow() if table.requests <= 890 else None)
    assert table.read() == list(range(99, -1, -1))
    table = Numbers(100, lambda table: table.grow() if table.requests <= 910 else None)
    with pytest.raises(PaginationError, match="grows faster than it is read"):
        table.read()


def test_any_number_of_pages_may_bring_known_rows_alone_if_others_bring_new_ones() -> None:
    table = Numbers(11_000, lambda table: table.grow() if table.requests % 2 else None)
    assert table.read() == list(range(10_999, -1, -1))


def test_a_table_that_loses_rows_all_the_time_is_read_to_its_end() -> None:
    """The offset steps back after each, and no farther than it must."""
    table = Numbers(600, lambda table: table.rows.pop() if table.requests % 4 == 0 else None)
    read = table.read()
    assert read == sorted(read, reverse=True)
    assert set(read) >= set(table.rows)
    assert table.requests < 130


def test_however_many_rows_are_deleted_at_once_the_others_arrive() -> None:
    def delete_most(table: Numbers) -> None:
        if table.requests == 40:
            del table.rows[-340:]

    table = Numbers(400, delete_most)
    read = table.read()
    assert read == sorted(read, reverse=True)
    assert set(read) >= set(range(60))


@pytest.mark.parametrize("size", [2, 10, 200])
def test_a_first_page_is_as_large_as_the_others_and_then_smaller_each_time_in_another_way(size: int) -> None:
    sizes = [smaller(size, number) for number in range(6)]
    assert sizes[0] == size
    assert all(1 <= each <= size for each in sizes)
    assert len(set(sizes)) >= min(size, 5)


@pytest.mark.parametrize("growth", [9, 10, 11, 25])
@pytest.mark.parametrize("size", [10])
def test_a_table_that_grows_as_fast_as_it_is_read_ends_the_read(growth: int, size: int) -> None:
    rows = list(range(1000))
    requests = 0

    def page_at(offset: int, number: int) -> Page:
        nonlocal requests
        requests += 1
        assert requests < 5000
        found = rows[::-1][offset : offset + smaller(size, number)]
        rows.extend(range(len(rows), len(rows) + growth))
        return Page([{"id": n, "at": n} for n in found], full=len(found) == size)

    with pytest.raises(PaginationError, match="grows faster than it is read"):
        list(pages_by_offset(page_at, key=lambda row: row["at"]))
