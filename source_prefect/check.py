"""The check of a connection: it answers quickly, and reports which streams cannot be read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from threading import Thread
from typing import TypeVar

from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.sources.streams.concurrent.availability_strategy import StreamAvailability

from source_prefect.pagination import Rows
from source_prefect.sync.parallel import read_in_parallel

# Together with the start of the process, less than 15 s.
CONNECTION_SECONDS = 9.0
STREAMS_SECONDS = 3.0
# Within those of the connection, after the question which workspaces there are.
WORKSPACE_SECONDS = 7.0

T = TypeVar("T")
Try = tuple[str, Callable[[], StreamAvailability]]


def unreadable(streams: Iterable[AbstractStream], workers: int) -> str | None:
    """One sentence about the streams whose first page cannot be read; None where all can.

    Streams without a cursor are left out: they read all flows or deployments before their first row.
    """
    tried = [(stream.name, stream.check_availability) for stream in streams if stream.cursor_field]
    reasons = [f"{name} ({reason})" for name, reason in _reasons(tried, workers)]
    return f"Connected, but these streams cannot be read: {'; '.join(reasons)}" if reasons else None


def unavailable(streams: Sequence[tuple[str, AbstractStream]]) -> list[str]:
    """Why a stream cannot be read in some workspaces, all tried at the same time, each with a label for messages."""

    def availability(label: str, stream: AbstractStream) -> StreamAvailability:
        found = within(WORKSPACE_SECONDS, stream.check_availability)
        return found or StreamAvailability.unavailable(f"{label} did not answer within {WORKSPACE_SECONDS:.0f} s")

    tried = [(label, partial(availability, label, stream)) for label, stream in streams]
    return [reason for _, reason in _reasons(tried, len(tried))]


def _reasons(tried: Sequence[Try], workers: int) -> list[tuple[str, str]]:
    """Why something is not available, each with its name, in alphabetical order; nothing about what is."""

    def reason(one: Try) -> Iterator[Rows]:
        name, check = one
        availability = check()
        if not availability.is_available:
            yield [{"name": name, "reason": availability.reason}]

    rows = [row for piece in read_in_parallel(tried, reason, workers) for row in piece.rows or ()]
    return sorted((row["name"], row["reason"]) for row in rows)


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
    thread = Thread(target=run, name="check", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    return done[0] if done else None
