"""PostgreSQL sorts ties by where the page ends, if no index does: every row comes all the same."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg2
import pytest

from devtools.servers.postgres import postgres
from source_prefect.paging import (
    Page,
    Rows,
    consecutive_pages,
    pages_by_offset,
    pages_unordered,
    pages_with_ties,
    smaller,
)

LINES = 1430
POOLS = 1500


@pytest.fixture(scope="module")
def database() -> Iterator[psycopg2.extensions.cursor]:
    with postgres() as url, closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE log AS SELECT id, 1 AS time FROM generate_series(1, %s) AS id", [LINES])
        # What stands before and after a tie was written among its rows.
        cursor.execute(
            "CREATE TABLE queue AS SELECT id, CASE id %% 7 WHEN 0 THEN -id WHEN 1 THEN id ELSE 0 END AS time "
            "FROM generate_series(1, %s) AS id",
            [420],
        )
        cursor.execute(
            "CREATE TABLE many AS SELECT id, CASE id %% 7 WHEN 0 THEN -id WHEN 1 THEN id ELSE id %% 2 END AS time "
            "FROM generate_series(1, %s) AS id",
            [POOLS],
        )
        yield cursor


def ask(database: psycopg2.extensions.cursor, table: str, offset: int, limit: int, where: str = "true") -> Page:
    database.execute(f"SELECT id, time FROM {table} WHERE {where} ORDER BY time DESC LIMIT {limit} OFFSET {offset}")
    rows = [{"id": number, "time": time} for number, time in database.fetchall()]
    return Page(rows, full=len(rows) == limit)


def pager(
    database: psycopg2.extensions.cursor, table: str, size: int, where: str = "true"
) -> Callable[[int, int], Page]:
    return lambda offset, number: ask(database, table, offset, smaller(size, number), where)


@pytest.mark.parametrize("size", [2, 3, 4, 6, 200])
def test_log_lines_of_one_time_come_once_in_three_passes(database: psycopg2.extensions.cursor, size: int) -> None:
    asked = 0

    def page_at(offset: int, number: int) -> Page:
        nonlocal asked
        asked += 1
        return ask(database, "log", offset, smaller(size, number))

    found = pages_unordered(lambda number: consecutive_pages(page_at, number))
    assert Counter(row["id"] for rows in found for row in rows) == Counter(range(1, LINES + 1))
    assert asked <= 3 * (LINES // size + 2)


def test_more_than_a_page_of_ties_among_other_rows_comes_once(database: psycopg2.extensions.cursor) -> None:
    """Queues by name: each of 300 work pools has one that is named "default"."""
    page_at = pager(database, "queue", 200)
    unordered = pages_unordered(lambda number: consecutive_pages(page_at, number))
    by_offset = pages_by_offset(page_at, key=lambda row: row["time"])
    for found in (unordered, by_offset):
        assert Counter(row["id"] for rows in found for row in rows) == Counter(range(1, 421))


@pytest.mark.parametrize("size", [2, 50, 200])
def test_many_queues_of_a_few_names_come_once(database: psycopg2.extensions.cursor, size: int) -> None:
    """Each of 1,500 work pools has a queue of a common name; no page shows some."""

    def named(name: int) -> Iterator[Rows]:
        page_at = pager(database, "many", size, f"time = {name}")
        return pages_unordered(lambda number: consecutive_pages(page_at, number))

    found = pages_unordered(pages_with_ties(pager(database, "many", size), named, "time"))
    assert Counter(row["id"] for rows in found for row in rows) == Counter(range(1, POOLS + 1))
