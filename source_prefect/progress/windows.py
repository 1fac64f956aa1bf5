"""Cuts a long history into parts that are read separately."""

import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from source_prefect.times import END, ONE_MICROSECOND, shift

# Together, the windows under way hold about a fifth of the rows before them. After a kill, they are read again.
_UNDER_WAY = 5


class Window(NamedTuple):
    """From `start` to `end`, both included; without an end where `end` is None."""

    start: datetime
    end: datetime | None


def windows_by_rows(
    time_at: Callable[[datetime, int], datetime | None],
    start: datetime,
    end: datetime | None,
    page_size: int,
    workers: int,
) -> Iterator[Window]:
    """Windows from `start` to `end`, oldest first, cut where the rows are: each has as many pages as the last, or more.

    `time_at(start, position)` gets the time of the row at that position, counted from 0, among the rows from `start`
    on in ascending order; None where there are fewer rows. Each window costs one such request.
    """
    rows_before = 0
    while end is None or start <= end:
        # Consecutive pages have one row in common.
        rows = max(1, math.ceil(rows_before / (_UNDER_WAY * workers * page_size))) * (page_size - 1)
        boundary = time_at(start, rows)
        if boundary is None or (end is not None and boundary > end):
            yield Window(start, end)
            return
        # Rows that tie stay together, even if they are more than planned for the window.
        last = max(start, shift(boundary, -ONE_MICROSECOND))
        yield Window(start, last)
        if last == END:
            return
        start = last + ONE_MICROSECOND
        rows_before += rows


def windows_by_time(start: datetime, end: datetime, count: int, longest: timedelta) -> Iterator[Window]:
    """At least `count` windows of equal length from `start` on, none longer than `longest`; the last one has no end."""
    span = max(end - start, timedelta(0))
    count = max(1, count, -(-span // longest))
    step = span / count
    for number in range(count):
        lower = start + number * step
        yield Window(lower, start + (number + 1) * step - ONE_MICROSECOND if number + 1 < count else None)


class ContiguousProgress:
    """Windows are completed in any order; a state may only cover those that leave no gap."""

    def __init__(self) -> None:
        self._next = 0
        self._ends: dict[int, datetime | None] = {}

    def completed(self, number: int, window: Window) -> datetime | None:
        """The end of the last contiguous completed window, where this one has moved it."""
        self._ends[number] = window.end
        moved = None
        while self._next in self._ends:
            moved = self._ends.pop(self._next)
            self._next += 1
        return moved
