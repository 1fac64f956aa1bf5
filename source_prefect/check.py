"""The check of a connection: it answers quickly, and reports which streams cannot be read."""

from collections.abc import Callable, Iterable, Iterator
from threading import Thread
from typing import TypeVar

from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream

from source_prefect.pagination import Rows
from source_prefect.sync.parallel import read_in_parallel

# Together with the start of the process, less than 15 s.
CONNECTION_SECONDS = 9.0
STREAMS_SECONDS = 3.0

T = TypeVar("T")


def unreadable(streams: Iterable[AbstractStream], workers: int) -> str | None:
    """One sentence about the streams whose first page cannot be read; None where all can.

    Streams without a cursor are left out: they read all flows or deployments before their first row.
    """

    def reason(stream: AbstractStream) -> Iterator[Rows]:
        availability = stream.check_availability()
        if not availability.is_available:
            yield [{"name": stream.name, "reason": availability.reason}]

    tried = [stream for stream in streams if stream.cursor_field]
    rows = [row for piece in read_in_parallel(tried, reason, workers) for row in piece.rows or ()]
    if not rows:
        return None
    reasons = "; ".join(f"{row['name']} ({row['reason']})" for row in sorted(rows, key=lambda row: str(row["name"])))
    return f"Connected, but these streams cannot be read: {reasons}"


def within(seconds: float, work: Callable[[], T]) -> T | None:
    """The result of the work, or None where it takes longer; it then continues in the background."""
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # raised below, in the thread that waits
            failed.append(error)

    # A daemon: the process may end before it.
    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    return done[0] if done else None
