"""Reading a set without a reliable order, from a table that changes between any two pages."""

from hypothesis import example, given
from hypothesis import strategies as st

from source_prefect.paging import Page, PaginationError, consecutive_pages, pages_unordered, smaller

# Of one kind: one of each, between two requests, look as if nothing had changed.
CHANGES = st.sampled_from(["insert", "delete"]).flatmap(
    lambda kind: st.lists(st.tuples(st.sampled_from(["nothing", kind]), st.integers(0, 20)), max_size=30)
)


# In each of two passes, a row is deleted behind which another one then hides.
@example(
    count=6,
    size=2,
    changes=[("nothing", 0), ("delete", 0), ("nothing", 0), ("nothing", 0), ("nothing", 0), ("delete", 0)],
)
@example(count=6, size=2, changes=[("delete", 0), ("nothing", 0), ("nothing", 0), ("nothing", 0), ("delete", 0)])
@example(count=6, size=2, changes=[("delete", 0), ("nothing", 0), ("nothing", 0), ("delete", 0)])
@given(count=st.integers(1, 12), size=st.integers(2, 4), changes=CHANGES)
def test_a_row_that_is_there_throughout_is_read_or_the_read_fails(
    count: int, size: int, changes: list[tuple[str, int]]
) -> None:
    rows = [{"id": number} for number in range(count)]
    gone: set[int] = set()
    left = iter(changes)

    def page_at(offset: int, number: int) -> Page:
        limit = smaller(size, number)
        found = rows[offset : offset + limit]
        what, where = next(left, ("nothing", 0))
        if what == "delete" and rows:
            gone.add(rows.pop(where % len(rows))["id"])
        elif what == "insert":
            rows.insert(where % (len(rows) + 1), {"id": 100 + len(rows)})
        return Page(list(found), full=len(found) == limit)

    try:
        read = list(pages_unordered(lambda number: consecutive_pages(page_at, number)))
    except PaginationError:
        return
    ids = [row["id"] for page in read for row in page]
    assert len(ids) == len(set(ids))
    assert set(range(count)) - gone <= set(ids)
