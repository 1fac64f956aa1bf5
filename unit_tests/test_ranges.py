import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_prefect.paging import Row, Rows
from source_prefect.progress.ranges import (
    Range,
    Remaining,
    cut_by_rows,
    cut_by_time,
    read_in_parallel,
    read_ranges,
    within,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


class Table:
    """Rows at these seconds, and what it cost to ask for some of them."""

    def __init__(self, seconds: list[int]) -> None:
        self.times = sorted(map(at, seconds))
        self.requests = self.passed = 0

    def time_at(self, start: datetime, position: int) -> datetime | None:
        rest = self.times[bisect_left(self.times, start) :]
        self.requests += 1
        self.passed += min(position, len(rest))
        return rest[position] if position < len(rest) else None

    def rows(self, span: Range) -> int:
        return sum(time in span for time in self.times)

    def cut(self, end: datetime | None, page_size: int, count: int = 4) -> list[Range]:
        return cut_by_rows(self.time_at, NOON, end, page_size, count)


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 3), st.none() | st.just(at(30)))
def test_ranges_cover_the_time_without_gap_or_overlap(seconds: list[int], page_size: int, end: datetime | None) -> None:
    ranges = Table(seconds).cut(end, page_size)
    assert ranges[0].start == NOON
    assert ranges[-1].end == end
    assert len(ranges) <= 4
    for one, next_one in pairwise(ranges):
        assert one.end is not None
        assert one.start <= one.end
        assert next_one.start == one.end + TICK


def test_a_short_history_is_one_range() -> None:
    assert Table([0, 3600]).cut(at(3600), 200) == [Range(NOON, at(3600))]


@pytest.mark.parametrize("rows", [10_000, 33_000, 200_000, 1_000_000])
@pytest.mark.parametrize("oldest", [-1, -1_000_000_000], ids=["even", "one run years before the others"])
def test_ranges_have_as_many_rows_each_and_few_requests_find_them(rows: int, oldest: int) -> None:
    table = Table([0, *range(1_000_000_000 + oldest, 1_000_000_000 + oldest + rows)])
    sizes = [table.rows(each) for each in table.cut(at(2_000_000_000), 200)]
    assert len(sizes) == 4
    assert max(sizes) < 1.2 * rows / 4
    assert table.requests <= 15
    assert table.passed < 3 * rows + 2000


def test_rows_that_tie_are_in_one_range_however_many() -> None:
    assert Table([5] * 500 + [6]).cut(at(6), 4) == [Range(NOON, at(5) - TICK), Range(at(5), at(6))]


@given(st.integers(0, 10_000), st.integers(0, 20))
def test_ranges_by_time_are_none_longer_than_allowed(minutes: int, count: int) -> None:
    longest = timedelta(days=2)
    end = NOON + timedelta(minutes=minutes)
    ranges = cut_by_time(NOON, end, count, longest)
    assert len(ranges) >= max(1, count)
    assert ranges[0].start == NOON
    assert ranges[-1].end is None
    assert end - ranges[-1].start <= longest
    for one, next_one in pairwise(ranges):
        assert one.end is not None
        assert one.end - one.start <= longest
        assert next_one.start == one.end + TICK


@pytest.mark.parametrize("end", [at(-3600), NOON, at(60)])
@pytest.mark.parametrize("count", [0, 1])
def test_a_short_time_or_none_is_one_range(end: datetime, count: int) -> None:
    assert cut_by_time(NOON, end, count, timedelta(minutes=1)) == [Range(NOON, None)]


seconds = st.integers(0, 20)
some_ranges = st.lists(st.builds(lambda start, end: Range(at(start), end and at(end)), seconds, st.none() | seconds))


@given(some_ranges, st.none() | seconds, st.none() | seconds)
def test_parts_of_ranges_hold_the_times_between_two_others(
    ranges: list[Range], since: int | None, until: int | None
) -> None:
    parts = within(ranges, None if since is None else at(since), None if until is None else at(until))
    for second in range(-1, 25):
        is_between = (since is None or second >= since) and (until is None or second <= until)
        assert any(at(second) in each for each in parts) == (is_between and any(at(second) in each for each in ranges))


@pytest.mark.parametrize("workers", [3, 4])
def test_what_remains_is_told_after_as_many_pages_as_there_are_workers(workers: int) -> None:
    ranges = [Range(at(100 * n), at(100 * n + 99)) for n in range(6)]

    def read(each: Range) -> Iterator[Rows]:
        for first in range(0, 100, 10):
            yield [{"at": each.start + timedelta(seconds=second)} for second in range(first, first + 10)]

    def rest(each: Range, row: Row) -> Range:
        return each._replace(start=row["at"])

    delivered: list[datetime] = []
    since = told = 0
    for step in read_ranges(ranges, read, rest, workers):
        if isinstance(step, Remaining):
            assert since == workers
            since, told = 0, told + 1
            assert len(step.ranges) <= len(ranges)
            assert {at(n) for n in range(600)} <= {*delivered} | {
                at(n) for n in range(600) if any(at(n) in each for each in step.ranges)
            }
            # The last row of a page may tie with one that has not come.
            assert sum(time in each for time in delivered for each in step.ranges) <= workers
        else:
            since += 1
            delivered += [row["at"] for row in step]
    assert told == 60 // workers
    assert sorted(delivered) == [at(n) for n in range(600)]


def pages(part: int) -> Iterator[Rows]:
    for number in range(3):
        yield [{"id": f"{part}-{number}"}]


@pytest.mark.parametrize("workers", [1, 4])
def test_every_page_of_every_part_comes_and_the_end_of_each_part_behind_them(workers: int) -> None:
    seen: dict[int, list[str]] = {}
    ended = []
    for piece in read_in_parallel(range(10), pages, workers):
        if piece.rows is None:
            assert len(seen[piece.number]) == 3
            ended.append(piece.number)
        else:
            seen.setdefault(piece.number, []).append(piece.rows[0]["id"])
    assert sorted(ended) == list(range(10))
    assert seen == {part: [f"{part}-{n}" for n in range(3)] for part in range(10)}


def test_parts_are_read_at_the_same_time_by_threads_that_keep_no_process_alive() -> None:
    together = threading.Barrier(4, timeout=10)

    def read(_part: int) -> Iterator[Rows]:
        assert threading.current_thread().daemon
        together.wait()
        yield []

    assert len(list(read_in_parallel(range(4), read, 4))) == 8


def test_the_first_error_is_raised_once_and_ends_the_others() -> None:
    begun = []

    def read(part: int) -> Iterator[Rows]:
        begun.append(part)
        yield [{"id": str(part)}]
        if part >= 3:
            raise ValueError(f"part {part}")
        time.sleep(0.01)

    with pytest.raises(ValueError, match="part 3"):
        for _ in read_in_parallel(range(1_000), read, 1):
            pass
    time.sleep(0.1)
    assert begun == [0, 1, 2, 3]


def test_nothing_more_is_read_when_nobody_listens_any_more() -> None:
    read_pages = []

    def read(part: int) -> Iterator[Rows]:
        for number in range(1_000):
            read_pages.append((part, number))
            yield [{"id": str(number)}]

    pieces = read_in_parallel(range(8), read, 4)
    next(pieces)
    pieces.close()
    time.sleep(0.3)
    count = len(read_pages)
    time.sleep(0.3)
    assert len(read_pages) == count < 50
