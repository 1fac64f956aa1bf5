from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from source_prefect.progress.windows import ContiguousProgress, Window, windows_by_rows, windows_by_time

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def rows_windows(seconds: list[int], page_size: int, end: datetime | None) -> list[Window]:
    times = sorted(at(second) for second in seconds)

    def time_at(start: datetime, position: int) -> datetime | None:
        rest = [time for time in times if time >= start]
        return rest[position] if position < len(rest) else None

    return list(windows_by_rows(time_at, NOON, end, page_size, workers=4))


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(2, 5), st.none() | st.just(at(30)))
def test_windows_cover_the_time_without_gap_or_overlap(
    seconds: list[int], page_size: int, end: datetime | None
) -> None:
    windows = rows_windows(seconds, page_size, end)
    assert windows[0].start == NOON
    assert windows[-1].end == end
    for one, next_one in pairwise(windows):
        assert one.end is not None
        assert next_one.start == one.end + TICK


def test_a_history_of_less_than_a_page_is_one_window() -> None:
    assert rows_windows([0, 3600], 200, at(3600)) == [Window(NOON, at(3600))]


def test_one_old_run_does_not_make_the_others_share_a_window() -> None:
    recent = list(range(1_000_000_000, 1_000_000_400))
    windows = rows_windows([0, *recent], 100, at(1_000_000_400))
    assert len(windows) == 5


def test_windows_grow_with_what_was_read() -> None:
    windows = rows_windows(list(range(100_000)), 20, at(100_000))
    for window in windows[:-1]:
        assert window.end is not None
        # One row a second.
        rows = (window.end - window.start) / timedelta(seconds=1)
        rows_before = (window.start - NOON) / timedelta(seconds=1)
        assert rows <= max(19, rows_before / 20 + 19)
    assert len(windows) < 150


def test_rows_that_tie_are_in_one_window_however_many() -> None:
    assert rows_windows([5] * 50 + [6], 4, at(6))[:2] == [Window(NOON, at(5) - TICK), Window(at(5), at(5))]


@given(st.integers(0, 10_000), st.integers(0, 20))
def test_windows_by_time_are_none_longer_than_allowed(minutes: int, count: int) -> None:
    longest = timedelta(days=2)
    end = NOON + timedelta(minutes=minutes)
    windows = list(windows_by_time(NOON, end, count, longest))
    assert len(windows) >= max(1, count)
    assert windows[0].start == NOON
    assert windows[-1].end is None
    assert end - windows[-1].start <= longest
    for one, next_one in pairwise(windows):
        assert one.end is not None
        assert one.end - one.start <= longest
        assert next_one.start == one.end + TICK


@given(st.permutations(range(6)))
def test_progress_is_the_last_window_without_a_gap_before_it(order: list[int]) -> None:
    windows = [Window(at(n), at(n + 1)) for n in range(6)]
    progress, done = ContiguousProgress(), set()
    for number in order:
        moved = progress.completed(number, windows[number])
        done.add(number)
        contiguous = next((n for n in range(7) if n not in done), 0)
        assert moved == (windows[contiguous - 1].end if contiguous > number else None)
