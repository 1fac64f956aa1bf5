"""What the connector relies on in the CDK beyond its documentation, each with a test in test_cdk_contracts.py.

    one partition for each workspace    a retriever reads it in one thread, from its first row to its last
    a state is a message                put into the queue of the records, it stays behind those before it
    one error for one failure           what a partition raises becomes one trace, and does not affect the others

The CDK's own cursor slices time by the calendar and derives its state from the config, so streams have a cursor of
ours. The functions at the end access private attributes of the CDK.
"""

import ast
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from functools import cached_property
from queue import Queue
from typing import Any, Protocol, cast

import requests
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateType,
    AirbyteStreamState,
    FailureType,
    StreamDescriptor,
    Type,
)
from airbyte_cdk.sources.declarative.requesters import HttpRequester
from airbyte_cdk.sources.message import MessageRepository
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.sources.streams.concurrent.availability_strategy import StreamAvailability
from airbyte_cdk.sources.streams.concurrent.cursor import Cursor, CursorField
from airbyte_cdk.sources.streams.concurrent.default_stream import DefaultStream
from airbyte_cdk.sources.streams.concurrent.partitions.partition import Partition
from airbyte_cdk.sources.streams.concurrent.partitions.partition_generator import PartitionGenerator
from airbyte_cdk.sources.streams.concurrent.partitions.types import QueueItem
from airbyte_cdk.sources.streams.http.exceptions import BaseBackoffException
from airbyte_cdk.sources.types import Record
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.check import unavailable
from source_prefect.sync.state import names_workspaces, part_of_state, with_part


class StreamCursor(Cursor):
    """The state of one stream: what the last sync saved, and the checkpoints of this one.

    The retrievers report what has been delivered. Records alone do not move the cursor.
    """

    def __init__(self, stream: str, cursor_field: str, saved: Mapping[str, Any], messages: MessageRepository) -> None:
        self.cursor_field = cursor_field
        self.saved = saved
        self.name = stream
        self._messages = messages
        self._queue = queue_of(messages)
        self._lock = threading.Lock()
        self._state: Mapping[str, Any] = saved
        self._is_sent = False

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """The next sync may start from this state: all rows that it covers have been yielded."""
        self.change(lambda _: state)

    def change(self, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        """Change the state and send it, in one step: no older state may follow, of a partition or of another."""
        with self._lock:
            state = change(self._state)
            self._is_sent = self._is_sent and state == self._state
            self._state = state
            for message in self._unsent():
                # `emit_message` puts it into a buffer that all threads share. The main thread could take it from there
                # and, while the queue is full, print it before the records in the queue.
                self._queue.put(message)

    @property
    def state(self) -> MutableMapping[str, Any]:
        return dict(self._state)

    def ensure_at_least_one_state_emitted(self) -> None:
        # All partitions have ended. A lock or a full queue would stop the only thread that empties the queue.
        for message in self._unsent():
            self._messages.emit_message(message)

    def observe(self, record: Record) -> None:
        """Nothing."""

    def close_partition(self, partition: Partition) -> None:
        """Nothing."""

    def should_be_synced(self, record: Record) -> bool:  # noqa: ARG002  (the CDK's signature)
        return True

    def _unsent(self) -> Iterator[AirbyteMessage]:
        """The message with the state, if it has not been sent."""
        if self._is_sent:
            return
        self._is_sent = True
        descriptor = StreamDescriptor(name=self.name)
        stream = AirbyteStreamState(stream_descriptor=descriptor, stream_state=AirbyteStateBlob(self.state))
        state = AirbyteStateMessage(type=AirbyteStateType.STREAM, stream=stream)
        yield AirbyteMessage(type=Type.STATE, state=state)


class WorkspaceCursor:
    """The part of a stream's state that belongs to one workspace of Prefect Cloud.

    `is_only`: no other workspace is read, so a state without parts belongs to this one.
    """

    def __init__(self, stream: StreamCursor, workspace_id: str, is_only: bool) -> None:
        self.cursor_field = stream.cursor_field
        self._stream = stream
        self._workspace_id = workspace_id
        self._is_only = is_only

    @cached_property
    def saved(self) -> Mapping[str, Any]:
        """What the last sync saved; another state may be put in its place. Raises StateError."""
        whole = self._stream.saved
        if names_workspaces(whole):
            return part_of_state(self._stream.name, whole, self._workspace_id)
        return whole if self._is_only else {}

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """See `StreamCursor.checkpoint`."""
        self._stream.change(lambda whole: with_part(whole, self._workspace_id, state))


class Resumable(Protocol):
    """A retriever that continues from a state. `label`: its stream and its workspace, for messages."""

    label: str
    cursor: StreamCursor | WorkspaceCursor | None


def joined(
    streams: Mapping[str, AbstractStream], saved: Mapping[str, Any], messages: MessageRepository
) -> AbstractStream:
    """The streams of one name as one stream, with one partition for each workspace, by its id.

    A `StreamCursor` holds their states, and their retrievers share it. A server's only stream has an empty id.
    """
    [first, *others] = streams.values()
    if not isinstance(first, DefaultStream) or not (first.cursor_field or others):
        return first
    cursor = first.cursor
    if first.cursor_field:
        cursor = StreamCursor(first.name, first.cursor_field, saved, messages)
        for workspace_id, stream in streams.items():
            part = WorkspaceCursor(cursor, workspace_id, is_only=not others) if workspace_id else cursor
            retriever_of(stream).cursor = part
    return _JoinedStream(
        list(streams.values()),
        name=first.name,
        json_schema=first.get_json_schema,
        primary_key=[column for [column] in first.as_airbyte_stream().source_defined_primary_key or []],
        cursor_field=CursorField(first.cursor_field) if first.cursor_field else None,
        logger=logging.getLogger(f"airbyte.{first.name}"),
        cursor=cursor,
    )


class _JoinedStream(DefaultStream):
    def __init__(self, streams: Sequence[AbstractStream], **settings: Any) -> None:
        super().__init__(partition_generator=_Partitions(streams), **settings)
        self._streams = streams

    def check_availability(self) -> StreamAvailability:
        """Whether all workspaces can be read. The CDK tries the first partition only."""
        if len(self._streams) == 1:
            return super().check_availability()
        reasons = unavailable([(retriever_of(stream).label, stream) for stream in self._streams])
        return StreamAvailability.unavailable("; ".join(reasons)) if reasons else StreamAvailability.available()


class _Partitions(PartitionGenerator):
    def __init__(self, streams: Sequence[AbstractStream]) -> None:
        self._streams = streams

    def generate(self) -> Iterable[Partition]:
        for stream in self._streams:
            yield from stream.generate_partitions()


def stream_states(messages: Iterable[AirbyteStateMessage]) -> dict[str, Mapping[str, Any]]:
    """The saved state of each stream, from either kind of state message."""
    states: dict[str, Mapping[str, Any]] = {}
    for message in messages:
        streams = message.global_.stream_states if message.global_ else [message.stream] if message.stream else []
        for stream in streams:
            if stream.stream_state is not None:
                states[stream.stream_descriptor.name] = vars(stream.stream_state)
    return states


def retriever_of(stream: AbstractStream) -> Resumable:
    """The retriever that the CDK built for a stream. Raises RuntimeError where the CDK keeps it elsewhere."""
    try:
        return cast(Resumable, stream._stream_partition_generator._partition_factory._retriever)  # type: ignore[attr-defined]
    except AttributeError as error:
        raise RuntimeError(f"This version of the CDK keeps a stream's retriever elsewhere: {error}.") from None


def queue_of(messages: MessageRepository) -> Queue[QueueItem]:
    """The queue of the records and messages to print. Raises RuntimeError where the CDK keeps it elsewhere."""
    try:
        return cast(Queue[QueueItem], messages._queue)  # type: ignore[attr-defined]
    except AttributeError as error:
        raise RuntimeError(f"This version of the CDK keeps its queue elsewhere: {error}.") from None


def session_of(requester: HttpRequester) -> requests.Session:
    """The session that a requester sends with. Raises RuntimeError where the CDK keeps it elsewhere."""
    try:
        return requester._http_client._session
    except AttributeError as error:
        raise RuntimeError(f"This version of the CDK keeps a requester's session elsewhere: {error}.") from None


def given_up(stream: str, error: AirbyteTracedException) -> AirbyteTracedException:
    """The error of a request, with its reason first: after the last try, the CDK says only "please see logs"."""
    reason = error.__context__
    if not isinstance(reason, BaseBackoffException):
        return error
    return failure(f"The stream {stream} gave up after several tries. {reason}", error.failure_type)


def failure(message: str, failure_type: FailureType) -> AirbyteTracedException:
    """An error that says the same to users and in the logs."""
    return AirbyteTracedException(message=message, internal_message=message, failure_type=failure_type)


def unquoted(message: str) -> str:
    """The reason of a failed check without the `repr` that the CDK applies; unchanged where it applies none."""
    try:
        return str(ast.literal_eval(message))
    except (SyntaxError, ValueError):
        return message
