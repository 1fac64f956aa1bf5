"""Reading in descending order, from a table in memory that changes between any two pages."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_prefect.pagination import (
    BoundIgnoredError,
    Page,
    PaginationError,
    Row,
    Rows,
    pages_by_offset,
    pages_descending,
    time_key,
)
from source_prefect.times import ONE_MICROSECOND, format_time, parse_time

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


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

    def page_at(self, offset: int) -> Page:
        return self._page(self._sorted()[offset:])

    def _sorted(self) -> list[Row]:
        rows: list[Row] = [{"id": row_id, "time": time} for row_id, time in self.rows.items()]
        return sorted(rows, key=lambda row: (row["time"], row["id"]), reverse=True)

    def _page(self, rows: list[Row]) -> Page:
        self.pages += 1
        assert self.pages < 500, "the pages do not end"
        page = Page(rows[: self.limit], full=len(rows) >= self.limit)
        self._change(*next(self.changes, ("nothing", 0)))
        return page

    def _change(self, what: str, value: int) -> None:
        if what == "insert":
            self.rows[f"new-{self.pages:03}"] = tick(value)
        if what == "delete" and self.rows:
            gone = sorted(self.rows)[value % len(self.rows)]
            del self.rows[gone]
            self.throughout.discard(gone)


tables = st.builds(
    Table,
    # Few different times, so that many rows share one.
    st.lists(st.integers(0, 6), max_size=40),
    st.integers(2, 6),
    st.lists(st.tuples(st.sampled_from(["insert", "delete"]), st.integers(0, 50))),
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
    pages = pages_by_offset(lambda offset: Page(rows[offset : offset + 3], len(rows) - offset >= 3), time_key("time"))
    assert [row["id"] for page in pages for row in page] == [str(n) for n in range(10)]


def test_a_tie_that_is_ordered_anew_for_each_offset_is_an_error_and_not_read_forever() -> None:
    rows: list[Row] = [{"id": f"{n:02}", "time": at(0)} for n in range(60)]
    requests = iter(range(100))

    def page_at(offset: int) -> Page:
        """As PostgreSQL sorts without an index: another order, but the same again, for each offset."""
        next(requests)
        order = rows if offset == 0 else rows[::-1]
        return Page(order[offset : offset + 20], full=offset + 20 <= 60)

    with pytest.raises(PaginationError, match="More than a page of rows tie at 2026-11-20 12:00:00"):
        _ids(pages_by_offset(page_at, time_key("time")))


def test_time_key_reads_what_every_prefect_writes() -> None:
    same = ["2026-11-20T12:00:00Z", "2026-11-20T12:00:00.000000Z", "2026-11-20T12:00:00+00:00"]
    assert {time_key("time")({"time": text}) for text in same} == {parse_time(same[0])} == {NOON}
