"""Reads several parts of a table at the same time, in threads that pass on their pages."""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import datetime
from itertools import chain
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar

from source_prefect.paging import Rows
from source_prefect.progress.windows import ContiguousProgress, Window

Part = TypeVar("Part")


class Piece(NamedTuple, Generic[Part]):
    """A page of a part, or, where `rows` is None, the end of that part. `number` counts the parts from 0."""

    number: int
    part: Part
    rows: Rows | None


def read_in_parallel(
    parts: Iterable[Part], read: Callable[[Part], Iterable[Rows]], workers: int
) -> Generator[Piece[Part], None, None]:
    """Every page of every part, as they arrive; the pages of one part stay in order.

    `parts` is consumed part by part, as threads become free. The first error ends the read: it is raised here, no
    thread passes on another page, and the other threads' errors are dropped.
    """
    numbered, taking, stopped = enumerate(parts), threading.Lock(), threading.Event()
    # Each thread puts its error, or None, at its end.
    results: SimpleQueue[Piece[Part] | BaseException | None] = SimpleQueue()
    # For how many more pages the queue has room.
    room = threading.Semaphore(workers)
    running = workers

    def work() -> None:
        try:
            while True:
                with taking:  # Two threads must not advance a generator at once.
                    taken = None if stopped.is_set() else next(numbered, None)
                if taken is None:
                    break
                pages: Iterable[Rows | None] = chain(read(taken[1]), [None])
                for rows in pages:
                    room.acquire()
                    if stopped.is_set():
                        return
                    results.put(Piece(*taken, rows))
        except BaseException as error:
            results.put(error)
        else:
            results.put(None)

    for number in range(workers):
        # Daemons: a thread that sleeps before a retry must not keep a failed process alive.
        threading.Thread(target=work, name=f"window-{number}", daemon=True).start()
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


class ReadTo(NamedTuple):
    """All rows up to this time have been yielded."""

    time: datetime


def read_windows(
    windows: Iterable[Window], read: Callable[[Window], Iterable[Rows]], workers: int, page_size: int
) -> Iterator[Rows | ReadTo]:
    """Every page of every window, and how far the completed windows leave no gap, at most once a page."""
    progress, rows_since, read_to = ContiguousProgress(), 0, None
    for number, window, rows in read_in_parallel(windows, read, workers):
        if rows is not None:
            rows_since += len(rows)
            yield rows
            continue
        read_to = progress.completed(number, window) or read_to
        if read_to and rows_since >= page_size:
            yield ReadTo(read_to)
            read_to, rows_since = None, 0
