"""One read for two streams that are made of the same pages: each page is requested once."""

import logging
import threading
from collections.abc import Iterable, Iterator
from datetime import timedelta

from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.sources.streams.concurrent.default_stream import DefaultStream
from airbyte_cdk.sources.streams.core import StreamData

from source_prefect.cdk import failure, retriever_of
from source_prefect.streams.runs import RunRetriever, TaskDependencyRetriever
from source_prefect.sync.state import StateError, StreamState

LOGGER = logging.getLogger("airbyte")

# Of two cursors that differ by less, the earlier one serves both streams: some rows of the other one come again.
_CLOSE = timedelta(days=1)


class SharedRead:
    """Reads a stream, and with it one that is made of its pages.

    The CDK reads each stream's partition in a thread. The partition that starts first brings the records of both
    streams. The other one waits for its end, so that its stream is complete after its last record, and brings nothing.
    """

    def __init__(self, pages: RunRetriever, derived: TaskDependencyRetriever) -> None:
        self._pages = pages
        self._failed = {
            stream.name: f"The stream {stream.label} is read together with {other.label}, which failed."
            for stream, other in ((pages, derived), (derived, pages))
        }
        self._lock = threading.Lock()
        self._has_begun = False
        self._ended = threading.Event()
        self._error: BaseException | None = None

    def records(self, stream: str) -> Iterator[StreamData]:
        """The records that the partition of one of the two streams brings. Raises AirbyteTracedException."""
        with self._lock:
            is_first, self._has_begun = not self._has_begun, True
        if is_first:
            try:
                yield from self._pages.read()
            except BaseException as error:  # of a generator that is closed as well
                self._error = error
                raise
            finally:
                self._ended.set()
            return
        self._ended.wait()
        if self._error:
            raise failure(self._failed[stream], getattr(self._error, "failure_type", FailureType.system_error))


def share_pages(streams: Iterable[AbstractStream]) -> None:
    """Of these streams, read each that is made of the pages of another together with it, if both begin alike."""
    retrievers: dict[str, RunRetriever] = {}
    for stream in streams:
        if isinstance(stream, DefaultStream) and isinstance(retriever := retriever_of(stream), RunRetriever):
            retriever.columns = frozenset(stream.get_json_schema()["properties"])
            retrievers[stream.name] = retriever
    for derived in retrievers.values():
        if isinstance(derived, TaskDependencyRetriever) and (pages := retrievers.get(derived.pages_of)):
            _share(pages, derived)


def _share(pages: RunRetriever, derived: TaskDependencyRetriever) -> None:
    try:
        state, derived_state = pages.saved_state(), derived.saved_state()
    except StateError:
        return  # Its own stream will raise it again, and fail alone.
    if state != derived_state:
        behind = _behind(state, derived_state)
        if behind is None:
            LOGGER.info(f"{derived.label} and {pages.label} are read separately in this sync: their states differ.")
            return
        if behind is derived_state:
            pages.cursor.saved = derived.cursor.saved
    pages.derived = derived
    pages.shared = derived.shared = SharedRead(pages, derived)


def _behind(first: StreamState, second: StreamState) -> StreamState | None:
    """The state to begin both streams from; None where the rows from there on would be too many for one of them."""
    if not first.cursor or not second.cursor or first.read_to or second.read_to:
        return None
    if first.start_date != second.start_date or abs(first.cursor - second.cursor) >= _CLOSE:
        return None
    return first if first.cursor <= second.cursor else second
