"""A database that orders by name alone, and keeps rows of a long tie off every page."""

from collections import Counter
from collections.abc import Iterator

import pytest

from source_prefect.paging import (
    Page,
    PaginationError,
    Rows,
    consecutive_pages,
    pages_unordered,
    pages_with_ties,
    smaller,
)

SIZE = 4
NAMES = ["analytics", "batch", *["default"] * 10, *["gpu"] * 6, "web"]


class Names:
    """Where a page begins or ends within a tie, one row of the tie is on the other side."""

    def __init__(self, names: list[str]) -> None:
        self.rows = [{"id": number, "name": name} for number, name in enumerate(names)]
        # The passes and names that were asked for, in order.
        self.asked_for: list[int | str] = []

    def page_at(self, offset: int, number: int) -> Page:
        if offset == 0:
            self.asked_for.append(number)
        limit = smaller(SIZE, number)
        order: Rows = []
        for name in dict.fromkeys(row["name"] for row in self.rows):
            tie = [row for row in self.rows if row["name"] == name]
            begins, ends = len(order), len(order) + len(tie)
            is_cut_at_its_end = begins < offset + limit < ends
            order += [*tie[1:], tie[0]] if is_cut_at_its_end else tie
        rows = order[offset : offset + limit]
        return Page(rows, full=len(rows) == limit)

    def named(self, name: str) -> Iterator[Rows]:
        self.asked_for.append(name)
        yield [row for row in self.rows if row["name"] == name]


def test_rows_that_no_page_shows_are_read_by_their_name() -> None:
    table = Names(NAMES)
    found = pages_unordered(pages_with_ties(table.page_at, table.named, "name"))
    assert Counter(row["id"] for rows in found for row in rows) == Counter(range(len(NAMES)))
    # After two passes, and then before every second one.
    assert table.asked_for == [0, 1, "batch", "default", "gpu", "web", 2, 3]


def test_without_their_names_the_read_fails_before_it_ends_without_them() -> None:
    table = Names(NAMES)
    with pytest.raises(PaginationError, match="a different order each of 20 times"):
        list(pages_unordered(lambda number: consecutive_pages(table.page_at, number)))


@pytest.mark.parametrize("names", [["default"] * 3, [f"pool-{n:02}" for n in range(30)]], ids=["one page", "no tie"])
def test_no_name_is_asked_for_where_two_passes_agree(names: list[str]) -> None:
    table = Names(names)
    found = pages_unordered(pages_with_ties(table.page_at, table.named, "name"))
    assert Counter(row["id"] for rows in found for row in rows) == Counter(range(len(names)))
    assert set(table.asked_for) <= {0, 1}


def test_a_row_without_a_name_is_passed_on() -> None:
    table = Names(["a", "b", "c"])
    table.rows.append({"id": 3, "name": None})
    found = pages_unordered(pages_with_ties(table.page_at, table.named, "name"))
    assert [row["id"] for rows in found for row in rows] == [0, 1, 2, 3]
