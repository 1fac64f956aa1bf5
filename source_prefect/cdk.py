"""What the connector relies on in the CDK beyond its documentation, each with a test in
test_cdk_contracts.py.

    one partition for each workspace    a thread reads it, from its first row to its last
    a state is a message                queued after records, it is printed after them
    one error for one failure           what a partition raises becomes one trace; others go on

The CDK's own cursor slices time by the calendar and derives its state from the config, so streams
have a cursor of ours. Its own queue counts records; ours counts their bytes.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import chain
from queue import Queue
from typing import Any, NamedTuple, Protocol

import requests
from airbyte_cdk.models import AirbyteMessage, AirbyteStateMessage
from airbyte_cdk.sources.concurrent_source.concurrent_source import ConcurrentSource
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.declarative.models.declarative_component_schema import ConcurrencyLevel, DeclarativeStream
from airbyte_cdk.sources.declarative.parsers.model_to_component_factory import ModelToComponentFactory
from airbyte_cdk.sources.declarative.requesters import HttpRequester
from airbyte_cdk.sources.message import InMemoryMessageRepository, MessageRepository
from airbyte_cdk.sources.message.concurrent_repository import ConcurrentMessageRepository
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.sources.streams.concurrent.cursor import Cursor, CursorField, FinalStateCursor
from airbyte_cdk.sources.streams.concurrent.default_stream import DefaultStream
from airbyte_cdk.sources.streams.concurrent.partitions.partition import Partition
from airbyte_cdk.sources.streams.concurrent.partitions.partition_generator import PartitionGenerator
from airbyte_cdk.sources.streams.concurrent.partitions.types import QueueItem
from airbyte_cdk.sources.types import Record
from airbyte_cdk.sources.utils.slice_logger import DebugSliceLogger

from source_prefect.progress.state import part_of_state, with_part

# The bytes of records that wait to be printed.
MOST_QUEUED = 12_000_000

# A column of a record takes so much besides its text, and so does each other item.
_COLUMN = 100


class QueuedRecord(Record):
    """A record that knows its size: about the bytes that it takes."""

    def __init__(self, data: Mapping[str, Any], stream_name: str) -> None:
        super().__init__(data, stream_name)
        self.size = _COLUMN * (1 + len(data)) + sum([len(value) for value in data.values() if type(value) is str])

    def __bool__(self) -> bool:
        return True  # Even if it is empty: the CDK ends its loop at an item that is false.


class QueueClosedError(Exception):
    """The command that the queue belongs to has ended."""


class ByteQueue(Queue[QueueItem]):
    """The queue of what is to be printed, bounded by the size of its records.

    Closed at the end of the command, it refuses what a thread that was left behind brings.
    """

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._size = 0
        self._is_closed = False

    def _qsize(self) -> int:
        return self._size

    def _put(self, item: QueueItem) -> None:
        if self._is_closed:
            raise QueueClosedError("The command has ended.")
        self._size += getattr(item, "size", _COLUMN)
        super()._put(item)

    def _get(self) -> QueueItem:
        item: QueueItem = super()._get()
        self._size -= getattr(item, "size", _COLUMN)
        return item

    def close(self) -> None:
        """Drop all items, and refuse further ones: the threads that wait for room end."""
        with self.mutex:
            self._is_closed = True
            self.queue.clear()
            self._size = 0
            self.not_full.notify_all()


class States(Protocol):
    """The states of a stream, by workspace; a server has an empty id."""

    column: str

    def part(self, workspace_id: str) -> Mapping[str, Any]:
        """What the last sync saved. Raises StateError."""

    def save(self, workspace_id: str, state: Mapping[str, Any]) -> None:
        """The next sync may start from this state: all rows that it covers have been yielded."""


class NoStates(FinalStateCursor):
    """The states of a stream that is always read completely, or of one that is tried: none."""

    column = ""

    def part(self, workspace_id: str) -> Mapping[str, Any]:  # noqa: ARG002  (as of States)
        return {}

    def save(self, workspace_id: str, state: Mapping[str, Any]) -> None:
        """Nothing."""


class StreamCursor(FinalStateCursor):
    """The state of one stream: what the last sync saved, and the checkpoints of this one.

    The scans report what has been delivered. Records and partitions alone do not move the cursor.
    """

    def __init__(self, stream: str, column: str, saved: Mapping[str, Any], outbox: "Outbox") -> None:
        super().__init__(stream, None, outbox.messages)
        self.column = column
        self._saved = self._state = saved
        self._sent: Mapping[str, Any] | None = None
        self._outbox = outbox
        self._lock = threading.Lock()

    def part(self, workspace_id: str) -> Mapping[str, Any]:
        return part_of_state(self._stream_name, self._saved, workspace_id)

    def save(self, workspace_id: str, state: Mapping[str, Any]) -> None:
        # In one step: no older state may follow, of a workspace or of another.
        with self._lock:
            self._state = with_part(self._state, workspace_id, state)
            for message in self._unsent():
                # `emit_message` puts it into a buffer that all threads share. The main thread
                # could take it from there and, while the queue is full, print it before the
                # records in the queue.
                self._outbox.queue.put(message)

    @property
    def state(self) -> MutableMapping[str, Any]:
        return dict(self._state)

    def ensure_at_least_one_state_emitted(self) -> None:
        # All partitions have ended. A lock or a full queue would stop the only thread that empties
        # the queue.
        for message in self._unsent():
            self._outbox.messages.emit_message(message)

    def _unsent(self) -> Iterator[AirbyteMessage]:
        """The message with the state, if it has not been sent."""
        if self._state != self._sent:
            self._sent = self._state
            manager = ConnectorStateManager()
            manager.update_state_for_stream(self._stream_name, None, self._state)
            yield manager.create_state_message(self._stream_name, None)


@dataclass(eq=False)
class ScanPartition(Partition):
    """The records of one scan, which the CDK reads in one thread."""

    stream: str
    records: Callable[[], Iterable[Record]]

    def read(self) -> Iterable[Record]:
        try:
            yield from self.records()
        except (Exception, GeneratorExit):
            raise
        except BaseException as error:
            # The CDK would wait for the end of a thread that has ended.
            raise RuntimeError(f"The thread of the stream {self.stream} was stopped: {error!r}.") from error

    def to_slice(self) -> Mapping[str, Any]:
        return {}

    def stream_name(self) -> str:
        return self.stream

    __hash__ = object.__hash__


@dataclass
class _Partitions(PartitionGenerator):
    partitions: Sequence[Partition]

    def generate(self) -> Iterable[Partition]:
        return self.partitions


class Declared(NamedTuple):
    """A stream as the CDK built it from the manifest."""

    stream: DefaultStream
    name: str
    schema: Mapping[str, Any]
    cursor_field: str | None
    retriever: Any

    def reading(self, partitions: Sequence[Partition], cursor: Cursor) -> DefaultStream:
        """The stream with these partitions and this cursor in place of the CDK's."""
        return DefaultStream(
            partition_generator=_Partitions(partitions),
            name=self.name,
            json_schema=self.schema,
            primary_key=[column for [column] in self.stream.as_airbyte_stream().source_defined_primary_key or []],
            cursor_field=CursorField(self.cursor_field) if self.cursor_field else None,
            logger=logging.getLogger(f"airbyte.{self.name}"),
            cursor=cursor,
        )


def declared(streams: Iterable[Mapping[str, Any]], config: Mapping[str, Any]) -> list[Declared]:
    """The streams of a resolved manifest, built for one command. Each component gets `config`."""
    factory = ModelToComponentFactory()
    built = [factory.create_component(DeclarativeStream, stream, config) for stream in streams]
    return [Declared(it, it.name, it.get_json_schema(), it.cursor_field, _retriever_of(it)) for it in built]


def concurrency_level(manifest: Mapping[str, Any], config: Mapping[str, Any]) -> int:
    """How many threads read partitions, as the manifest declares it."""
    level = ModelToComponentFactory().create_component(ConcurrencyLevel, manifest["concurrency_level"], config)
    return int(level.get_concurrency_level())


class Outbox(NamedTuple):
    """Where the records and messages of a sync wait to be printed."""

    queue: ByteQueue
    messages: MessageRepository

    @classmethod
    def new(cls) -> "Outbox":
        queue = ByteQueue(MOST_QUEUED)
        return cls(queue, ConcurrentMessageRepository(queue, InMemoryMessageRepository()))


def read(streams: list[AbstractStream], outbox: Outbox, workers: int) -> Iterator[AirbyteMessage]:
    """The messages of a sync of these streams. The threads end with the generator."""
    if not streams:
        return  # The CDK would wait for ever for their partitions.
    source = ConcurrentSource.create(
        num_workers=workers,
        initial_number_of_partitions_to_generate=max(workers // 2, 1),
        logger=logging.getLogger("airbyte"),
        slice_logger=DebugSliceLogger(),
        queue=outbox.queue,
        message_repository=outbox.messages,
    )
    try:
        yield from source.read(streams)
    finally:
        outbox.queue.close()


def stream_states(messages: Iterable[AirbyteStateMessage]) -> dict[str, Mapping[str, Any]]:
    """The saved state of each stream, from either kind of state message."""
    states = chain.from_iterable(
        each.global_.stream_states if each.global_ else [each.stream] if each.stream else [] for each in messages
    )
    return {each.stream_descriptor.name: vars(each.stream_state) for each in states if each.stream_state is not None}


def _retriever_of(stream: AbstractStream) -> Any:
    """The retriever of a stream. Raises RuntimeError where the CDK keeps it elsewhere."""
    try:
        return stream._stream_partition_generator._partition_factory._retriever  # type: ignore[attr-defined]
    except AttributeError as error:
        raise RuntimeError(f"This version of the CDK keeps a stream's retriever elsewhere: {error}.") from None


def log_no_bodies(requester: HttpRequester) -> None:
    """Log no bodies of answers: with `--debug`, the CDK would, whatever `leave_out` says."""
    requester._http_client._logger.addFilter(_without_body)


def _without_body(record: logging.LogRecord) -> bool:
    vars(record).pop("body", None)
    return True


def session_of(requester: HttpRequester) -> requests.Session:
    """The session of a requester. Raises RuntimeError where the CDK keeps it elsewhere."""
    try:
        return requester._http_client._session
    except AttributeError as error:
        raise RuntimeError(f"This version of the CDK keeps a requester's session elsewhere: {error}.") from None
