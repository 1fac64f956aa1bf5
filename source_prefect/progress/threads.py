"""Reads several parts of a table at the same time, in threads that pass on their pages."""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from queue import Empty, Full, Queue
from typing import Generic, NamedTuple, TypeVar

from source_prefect.paging import Rows
from source_prefect.progress.windows import ContiguousProgress, Window

Part = TypeVar("Part")

# How soon a thread notices that its rows are no longer wanted, in seconds.
_POLL = 0.1


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
    reader = _Reader(parts, read, workers)
    try:
        yield from reader.pieces()
    finally:
        reader.stop()


class ReadTo(NamedTuple):
    """All rows up to this time have been yielded."""

    time: datetime


def read_windows(
    windows: Iterable[Window], read: Callable[[Window], Iterable[Rows]], workers: int, page_size: int
) -> Iterator[Rows | ReadTo]:
    """Every page of every window, and how far the completed windows leave no gap, at most once a page."""
    progress, since_checkpoint = ContiguousProgress(), 0
    read_to = None
    for piece in read_in_parallel(windows, read, workers):
        if piece.rows is not None:
            since_checkpoint += len(piece.rows)
            yield piece.rows
            continue
        read_to = progress.completed(piece.number, piece.part) or read_to
        if read_to and since_checkpoint >= page_size:
            yield ReadTo(read_to)
            read_to, since_checkpoint = None, 0


class _Reader(Generic[Part]):
    def __init__(self, parts: Iterable[Part], read: Callable[[Part], Iterable[Rows]], workers: int) -> None:
        self._parts = enumerate(parts)
        self._read = read
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._results: Queue[Piece[Part] | BaseException | None] = Queue(maxsize=workers)
        self._running = workers
        for number in range(workers):
            # Daemons: a thread that sleeps before a retry must not keep a failed process alive.
            threading.Thread(target=self._work, name=f"window-{number}", daemon=True).start()

    def pieces(self) -> Iterator[Piece[Part]]:
        while self._running:
            result = self._results.get()
            if result is None:
                self._running -= 1
            elif isinstance(result, BaseException):
                raise result
            else:
                yield result

    def stop(self) -> None:
        self._stopped.set()
        with suppress(Empty):
            while True:
                self._results.get_nowait()

    def _work(self) -> None:
        try:
            for number, part in self._remaining():
                for rows in self._read(part):
                    if not self._put(Piece(number, part, rows)):
                        return
                self._put(Piece(number, part, None))
        except BaseException as error:
            self._put(error)
        finally:
            self._put(None)

    def _remaining(self) -> Iterator[tuple[int, Part]]:
        while (taken := self._take()) is not None:
            yield taken

    def _take(self) -> tuple[int, Part] | None:
        """The next part; generators must not be advanced by two threads at once."""
        with self._lock:
            return None if self._stopped.is_set() else next(self._parts, None)

    def _put(self, result: Piece[Part] | BaseException | None) -> bool:
        """Pass on a result. Returns whether more are wanted."""
        while not self._stopped.is_set():
            try:
                self._results.put(result, timeout=_POLL)
            except Full:
                continue
            return True
        return False
