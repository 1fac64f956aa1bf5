"""A page broken by a row is read in parts: no row is lost quietly, whatever changes meanwhile."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from source_prefect.paging import Page, PaginationError, read_in_parts

SIZE = 16


class Table:
    """Ordered rows, of which some break each page with them, and a change after each request."""

    def __init__(self, rows: int, bad: set[int], changes: list[tuple[str, int]] = []) -> None:  # noqa: B006  (read only)
        self.rows = [{"id": str(n), "is_bad": n in bad} for n in range(rows)]
        self.changes = iter(changes)
        self.gone: set[str] = set()
        self.requests = 0

    def page_at(self, offset: int, limit: int) -> Page | None:
        self.requests += 1
        found = [dict(row) for row in self.rows[offset : offset + limit]]
        self._change(*next(self.changes, ("nothing", 0)))
        return None if any(row["is_bad"] for row in found) else Page(found, full=len(found) >= limit)

    def _change(self, what: str, number: int) -> None:
        if what == "delete" and self.rows:
            self.gone.add(str(self.rows.pop(number % len(self.rows))["id"]))
        elif what == "insert":
            self.rows.insert(number % (len(self.rows) + 1), {"id": f"new {self.requests}", "is_bad": False})


@pytest.mark.parametrize("bad", [{0}, {15}, {7, 8}, {1, 4, 9, 14}, set(range(SIZE))], ids=str)
def test_all_rows_around_the_bad_ones_are_read_and_those_are_told(bad: set[int]) -> None:
    table = Table(40, bad)
    rows, failed = read_in_parts(table.page_at, 0, SIZE)
    assert set(failed) == bad
    assert {place: row["id"] for place, row in rows.items()} == {n: str(n) for n in range(SIZE) if n not in bad}
    assert table.requests <= 4 * SIZE


def test_a_page_at_the_end_of_the_table_has_no_bad_rows_behind_it() -> None:
    rows, failed = read_in_parts(Table(20, {17}).page_at, 10, SIZE)
    assert (sorted(rows), failed) == ([10, 11, 12, 13, 14, 15, 16, 18, 19], [17])


def test_a_page_of_one_row_that_fails_has_a_bad_row() -> None:
    table = Table(20, {7})
    assert read_in_parts(table.page_at, 7, 1) == ({}, [7])
    # It is tried again, because another row may stand there by now.
    assert table.requests == 1
    with pytest.raises(PaginationError, match="Rows moved"):
        read_in_parts(table.page_at, 8, 1)


@pytest.mark.parametrize("bad", [7, 8])
def test_of_a_page_of_two_rows_one_may_be_bad(bad: int) -> None:
    rows, failed = read_in_parts(Table(20, {bad}).page_at, 7, 2)
    assert ([row["id"] for row in rows.values()], failed) == ([str(15 - bad)], [bad])


def test_rows_that_move_while_the_page_is_halved_are_noticed_at_once() -> None:
    table = Table(40, {15}, [("nothing", 0), ("delete", 0)])
    with pytest.raises(PaginationError, match="Rows moved while a page was read in parts"):
        read_in_parts(table.page_at, 0, SIZE)
    assert table.requests < 6


def test_a_row_that_is_met_at_two_places_ends_the_read() -> None:
    """PostgreSQL orders rows that tie differently for another offset."""
    with pytest.raises(PaginationError, match="Rows moved"):
        read_in_parts(lambda _, limit: Page([{"id": "1"}] * limit, full=True), 0, 2)


def test_rows_without_an_id_may_be_alike() -> None:
    rows, failed = read_in_parts(lambda _, limit: Page([{"name": "a"}] * limit, full=True), 0, 2)
    assert (len(rows), failed) == (2, [])


# Of one kind: one of each, between two requests beside a bad row, look as if nothing had changed.
CHANGES = st.sampled_from(["insert", "delete"]).flatmap(
    lambda kind: st.lists(st.tuples(st.sampled_from(["nothing", kind]), st.integers(0, 30)), max_size=40)
)


@settings(max_examples=1500)
# Two rows are deleted around one that is between two bad ones.
@example(
    bad={1, 12, 14},
    changes=[("delete", n) if n in (4, 0) else ("nothing", 0) for n in [9] * 7 + [4] + [9] * 7 + [0, 0]],
)
@given(bad=st.sets(st.integers(0, SIZE - 1), min_size=1, max_size=4), changes=CHANGES)
def test_a_row_that_is_there_throughout_is_read_or_the_page_fails(
    bad: set[int], changes: list[tuple[str, int]]
) -> None:
    table = Table(30, bad, changes)
    try:
        rows, _ = read_in_parts(table.page_at, 0, SIZE)
    except PaginationError:
        return
    got = [int(row["id"]) for row in rows.values() if row["id"].isdecimal()]
    readable = {n for n in range(max(got, default=-1) + 1) if n not in bad and str(n) not in table.gone}
    assert readable <= set(got)
