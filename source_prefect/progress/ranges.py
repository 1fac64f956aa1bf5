"""Cuts a long time into ranges that are read at the same time, and knows what remains of each."""

import threading
from bisect import bisect, insort
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain
from queue import SimpleQueue
from typing import NamedTuple, TypeVar

from source_prefect.paging import Row, Rows
from source_prefect.times import BEGINNING, END, ONE_MICROSECOND

# In pages: a shorter range is not worth the requests that cut it. The size of a table is found to
# as many pages, or to this fraction: the last range is by an eighth longer or shorter than the
# others.
SHORTEST = 10
_FRACTION = 16

Part = TypeVar("Part")


class Range(NamedTuple):
    """From `start` to `end`, both included; without an end where `end` is None."""

    start: datetime
    end: datetime | None

    def __contains__(self, time: object) -> bool:
        return isinstance(time, datetime) and self.start <= time <= (self.end or END)


def within(ranges: Iterable[Range], since: datetime | None, until: datetime | None) -> tuple[Range, ...]:
    """The parts of the ranges between two times, both included."""
    parts = (
        Range(max(each.start, since or BEGINNING), min(filter(None, (each.end, until)), default=None))
        for each in ranges
    )
    return tuple(part for part in parts if part.end is None or part.start <= part.end)


def cut_by_rows(
    time_at: Callable[[datetime, int], datetime | None],
    start: datetime,
    end: datetime | None,
    page_size: int,
    count: int,
) -> list[Range]:
    """At most `count` ranges from `start` to `end`, of about as many rows each.

    `time_at(start, position)` gets the time of the row at that position, counted from 0, among the
    rows from `start` on in ascending order; None where there are fewer rows. The positions are
    counted from the nearest known one, so that a database passes over each row about twice. If
    rows come and go meanwhile, the ranges get less even.
    """
    known = [(0, start)]

    def find(position: int) -> datetime | None:
        place, since = known[bisect(known, (position, END)) - 1]
        at = time_at(since, position - place)
        if at is None or (end and at > end):
            return None
        insort(known, (position, at))
        return at

    shortest = SHORTEST * page_size
    # There are more rows than `fewest`, and not more than `most`.
    fewest, most = 0, shortest
    while find(most):
        fewest, most = most, 4 * most
    while most - fewest > max(shortest, fewest // _FRACTION):
        middle = (fewest + most) // 2
        fewest, most = (middle, most) if find(middle) else (fewest, middle)
    rows = (fewest + most) // 2
    count = min(count, rows // shortest)
    cuts = sorted({at for n in range(1, count) if (at := find(rows * n // count))} - {start})
    # Rows that tie stay together.
    return [Range(*both) for both in zip([start, *cuts], [*(at - ONE_MICROSECOND for at in cuts), end], strict=True)]


def cut_by_time(start: datetime, end: datetime, count: int, longest: timedelta = END - BEGINNING) -> list[Range]:
    """At least `count` equal ranges from `start`, none longer than `longest`, the last open."""
    span = max(end - start, timedelta(0))
    count = max(1, count, -(-span // longest))
    starts = [start + number * (span / count) for number in range(count)]
    return [Range(*both) for both in zip(starts, [*(at - ONE_MICROSECOND for at in starts[1:]), None], strict=True)]


class Remaining(NamedTuple):
    """All rows have been yielded, except those of these ranges."""

    ranges: tuple[Range, ...]


def read_ranges(
    ranges: Sequence[Range],
    read: Callable[[Range], Iterable[Rows]],
    rest: Callable[[Range, Row], Range],
    workers: int,
) -> Iterator[Rows | Remaining]:
    """Every page of every range, and, after as many pages as there are workers, what remains.

    `rest(range, row)` is what remains of a range after this row of it.
    """
    left, pages = dict(enumerate(ranges)), 0
    for number, rows in read_in_parallel(ranges, read, workers):
        if rows is None:
            del left[number]
            continue
        if rows:
            left[number] = rest(left[number], rows[-1])
        yield rows
        pages += 1
        if pages % workers == 0:
            yield Remaining(tuple(left.values()))


class Piece(NamedTuple):
    """A page of a part, or its end, where `rows` is None. `number` counts the parts from 0."""

    number: int
    rows: Rows | None


def read_in_parallel(
    parts: Sequence[Part], read: Callable[[Part], Iterable[Rows]], workers: int
) -> Generator[Piece, None, None]:
    """Every page of every part, as they arrive; the pages of one part stay in order.

    The first error ends the read: it is raised here, no thread passes on another page, and the
    other threads' errors are dropped.
    """
    waiting: SimpleQueue[tuple[int, Part] | None] = SimpleQueue()
    running = min(workers, len(parts))
    for item in (*enumerate(parts), *[None] * running):
        waiting.put(item)
    stopped = threading.Event()
    # Each thread puts its error, or None, at its end.
    results: SimpleQueue[Piece | BaseException | None] = SimpleQueue()
    # For how many more pages the queue has room.
    room = threading.Semaphore(workers)

    def work() -> None:
        try:
            while not stopped.is_set() and (taken := waiting.get()):
                number, part = taken
                pages: Iterable[Rows | None] = chain(read(part), [None])
                for rows in pages:
                    room.acquire()
                    if stopped.is_set():
                        return
                    results.put(Piece(number, rows))
        except BaseException as error:
            results.put(error)
        else:
            results.put(None)

    for number in range(running):
        # Daemons: a thread that sleeps before a retry must not keep a failed process alive.
        threading.Thread(target=work, name=f"range-{number}", daemon=True).start()
    try:
        while running:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            if result is None:
                running -= 1
            else:
                room.release()
                yield result
    finally:
        stopped.set()
        room.release(workers)  # Threads that wait for room end.
