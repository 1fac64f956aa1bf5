"""The check of a connection: what a person in front of a form is told, soon and by name."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TypeVar

from airbyte_cdk.sources.message import NoopMessageRepository
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.cdk import Declared, NoStates
from source_prefect.cloud import workspaces_to_read
from source_prefect.http.session import Session
from source_prefect.reading.scan import Output, Scan
from source_prefect.settings.values import Workspace

# Together with the start of the process, less than 15 s.
CONNECTION_SECONDS = 9.0
STREAMS_SECONDS = 3.0
# Within those of the connection, after the question which workspaces there are.
WORKSPACE_SECONDS = 7.0

Key = TypeVar("Key")
Result = TypeVar("Result")


class CheckError(Exception):
    """A sentence: why the connection cannot be used."""


def check(
    session: Session, first: Callable[[], Declared], others: Callable[[], Iterable[Declared]], most_tries: int | None
) -> str | None:
    """A sentence about the streams that cannot be read; None where all can.

    `first` must be readable in each workspace: raises CheckError where it is not. `others` are
    tried for some seconds, `most_tries` at most.
    """
    began = time.monotonic()
    found = finished({"": lambda: (workspaces_to_read(session), first())}, CONNECTION_SECONDS, 1)
    silence = CheckError(
        f"{session.settings.connection.api_url} did not answer within {CONNECTION_SECONDS:.0f} s. Is it the address "
        "of a Prefect API, and does the server have time to answer?"
    )
    if not found:
        raise silence
    if isinstance(outcome := found[""], Exception):
        raise CheckError(_reason(outcome))
    workspaces, stream = outcome
    left = began + CONNECTION_SECONDS - time.monotonic()
    seconds = left if len(workspaces) == 1 else min(WORKSPACE_SECONDS, left)
    tried = finished({each: _try(session, each, stream) for each in workspaces}, seconds, len(workspaces))
    silent = [each for each in workspaces if each not in tried]
    if silent and seconds == left:
        # No workspace is accused that had no time to answer.
        raise silence
    reasons = [_reason(error) for error in tried.values() if isinstance(error, Exception)]
    reasons += [f"{each.label} did not answer within {seconds:.0f} s" for each in silent]
    if reasons:
        raise CheckError("; ".join(reasons))
    return _unreadable(session, workspaces, others(), most_tries)


def _unreadable(
    session: Session, workspaces: Iterable[Workspace], streams: Iterable[Declared], most_tries: int | None
) -> str | None:
    tries = {
        (stream.name, each): _try(session, each, stream)
        for each in workspaces
        for stream in streams
        # The others read all flows or deployments before their first row.
        if stream.cursor_field or stream.retriever.is_checked
    }
    allowed = dict(islice(tries.items(), most_tries))
    reasons: dict[str, list[str]] = {}
    for (name, _), error in finished(allowed, STREAMS_SECONDS, session.settings.num_workers).items():
        if isinstance(error, Exception):
            reasons.setdefault(name, []).append(_reason(error))
    named = [f"{name} ({'; '.join(of_stream)})" for name, of_stream in sorted(reasons.items())]
    return f"Connected, but these streams cannot be read: {'; '.join(named)}" if named else None


def _try(session: Session, workspace: Workspace, stream: Declared) -> Callable[[], None]:
    output = Output(stream.retriever, stream.schema, workspace, NoStates(stream.name, None, NoopMessageRepository()))
    return Scan(session, workspace, output).try_one_page


def _reason(error: Exception) -> str:
    return (error.message if isinstance(error, AirbyteTracedException) else None) or str(error)


def finished(work: Mapping[Key, Callable[[], Result]], seconds: float, workers: int) -> dict[Key, Result | Exception]:
    """What has returned or raised within so many seconds. The rest is given up."""
    done: dict[Key, Result | Exception] = {}
    deadline = time.monotonic() + seconds
    # The threads share it: each takes the next call, and Python's lock keeps two from taking the
    # same.
    left = iter(work.items())

    def run() -> None:
        for key, call in left:
            try:
                done[key] = call()
            except Exception as error:
                done[key] = error
            if time.monotonic() > deadline:
                return

    # Daemons: the process may end before them.
    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(workers, len(work)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(done)
