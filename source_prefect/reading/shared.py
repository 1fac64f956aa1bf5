"""Which scans a sync of a workspace makes: one for each stream, or one for two that are made of the same pages."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
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
    """Brings the records of a stream, and with them those of another one that is made of the same pages.

    The CDK reads each stream's partition in a thread. The partition that starts first brings the records of both
    streams. The other one waits for its end, so that its stream is complete after its last record, and brings nothing.
    """

    def __init__(self, scan: Scan, source: Output, derived: Output) -> None:
        self._scan = scan
        self._other = {source: derived, derived: source}
        self._lock = threading.Lock()
        self._has_begun = False
        self._ended = threading.Event()
        self._error: BaseException | None = None

    def of(self, output: Output) -> Records:
        """The records that the partition of one of the two streams brings."""
        return lambda: self._records(output)

    def _records(self, output: Output) -> Iterator[Record]:
        with self._lock:
            is_first, self._has_begun = not self._has_begun, True
        if is_first:
            try:
                yield from self._scan.records()
            except BaseException as error:  # of a generator that is closed as well
                self._error = error
                raise
            finally:
                self._ended.set()
            return
        self._ended.wait()
        if self._error:
            other = self._other[output]
            raise failure(
                f"The stream {output.label} is read together with {other.label}, which failed.",
                getattr(self._error, "failure_type", FailureType.system_error),
            )


def _begin_alike(source: Output, derived: Output) -> bool:
    """Whether both streams can be read from the earlier of their states: that sends few rows again."""
    try:
        first, second = source.saved_state(), derived.saved_state()
    except StateError:
        return False  # Its own stream will raise it again, and fail alone.
    if first == second:
        return True
    if (
        first.cursor
        and second.cursor
        and not (first.read_to or second.read_to)
        and first.settings == second.settings
        and abs(first.cursor - second.cursor) < _CLOSE
    ):
        return True
    LOGGER.info(f"{derived.label} and {source.label} are read separately in this sync: their states differ.")
    return False
