"""Makes the scans of a workspace: one a stream, or one for two streams made of the same pages."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from datetime import timedelta

from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.types import Record

from source_prefect.http.errors import failure
from source_prefect.http.session import Session
from source_prefect.progress.state import StateError
from source_prefect.reading.scan import Output, Scan
from source_prefect.settings.values import Workspace

LOGGER = logging.getLogger("airbyte")

# Cursors closer than this both start at the earlier one: some rows of the other one come again.
_CLOSE = timedelta(days=1)

Records = Callable[[], Iterator[Record]]


def scans(session: Session, workspace: Workspace, outputs: Mapping[str, Output]) -> dict[str, Records]:
    """The records that the partition of each stream brings, by the name of the stream."""
    made: dict[str, Records] = {}
    for name, derived in outputs.items():
        source = outputs.get(derived.retriever.pages_of)
        if source and _begin_alike(source, derived):
            shared = SharedScan(Scan(session, workspace, source, [derived]), source, derived)
            made |= {each.retriever.name: shared.of(each) for each in (source, derived)}
        elif name not in made:
            made[name] = Scan(session, workspace, derived).records
    return made


class SharedScan:
    """Brings the records of a stream together with those of another made of the same pages.

    The CDK reads the partition of each stream in a thread. The one that starts first brings the
    records of both streams. The other one brings nothing; it waits for the end, so that its stream
    is complete after its last record.
    """

    def __init__(self, scan: Scan, source: Output, derived: Output) -> None:
        self._scan = scan
        self._other = {source: derived, derived: source}
        # The first to acquire it reads. It is never released.
        self._reader = threading.Lock()
        self._end: Future[None] = Future()

    def of(self, output: Output) -> Records:
        """The records that the partition of one of the two streams brings."""
        return lambda: self._records(output)

    def _records(self, output: Output) -> Iterator[Record]:
        if self._reader.acquire(blocking=False):
            try:
                yield from self._scan.records()
            except BaseException as error:  # also where the generator is closed
                self._end.set_exception(error)
                raise
            self._end.set_result(None)
        elif cause := self._end.exception():
            raise failure(
                f"The stream {output.label} is read together with {self._other[output].label}, which failed.",
                getattr(cause, "failure_type", FailureType.system_error),
            )


def _begin_alike(source: Output, derived: Output) -> bool:
    """Whether both can be read from the earlier of their states: that sends few rows again."""
    try:
        first, second = source.saved_state(), derived.saved_state()
    except StateError:
        return False  # Its own stream will raise it again, and fail alone.
    if first == second or (
        first.cursor
        and second.cursor
        and not (first.remaining or second.remaining)
        and first.settings == second.settings
        and abs(first.cursor - second.cursor) < _CLOSE
    ):
        return True
    LOGGER.info(f"{derived.label} and {source.label} are read separately in this sync: their states differ.")
    return False
