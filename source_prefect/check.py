"""The check of a connection: it answers quickly, and reports which streams cannot be read."""

from collections.abc import Callable, Iterable, Iterator, Mapping
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


def unreadable(streams: Iterable[AbstractStream], workers: int) -> str | None:
    """One sentence about the streams whose first page cannot be read; None where all can.

    Streams without a cursor are left out: they read all flows or deployments before their first row.
    """
    tried = {stream.name: stream.check_availability for stream in streams if stream.cursor_field}
    reasons = _reasons(tried, workers)
    if not reasons:
        return None
    return f"Connected, but these streams cannot be read: {'; '.join(f'{name} ({reasons[name]})' for name in reasons)}"


def unavailable(streams: Mapping[str, AbstractStream]) -> list[str]:
    """Why a stream cannot be read in some workspaces, all tried at the same time. The keys name them."""

    def availability(name: str) -> StreamAvailability:
        found = within(WORKSPACE_SECONDS, streams[name].check_availability)
        return found or StreamAvailability.unavailable(f"{name} did not answer within {WORKSPACE_SECONDS:.0f} s")

    return list(_reasons({name: partial(availability, name) for name in streams}, len(streams)).values())


def _reasons(tries: Mapping[str, Callable[[], StreamAvailability]], workers: int) -> dict[str, str]:
    """Why something is not available, by name in alphabetical order; nothing about what is."""

    def reason(name: str) -> Iterator[Rows]:
        availability = tries[name]()
        if not availability.is_available:
            yield [{"name": name, "reason": availability.reason}]

    rows = [row for piece in read_in_parallel(tries, reason, workers) for row in piece.rows or ()]
    return {row["name"]: row["reason"] for row in sorted(rows, key=lambda row: str(row["name"]))}


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
