"""What the connector relies on in the CDK beyond its documentation, each with a test in test_cdk_contracts.py.

    a stream is one partition    the retriever reads it in one thread, from its first row to its last
    a state is a message         put into the queue of the records, it stays behind those before it
    one error for one failure    what a partition raises becomes one trace, and does not affect the other streams

The CDK's own cursor slices time by the calendar and derives its state from the config, so streams have a cursor of
ours. The functions at the end access private attributes of the CDK.
"""

import ast
import logging
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Protocol, cast

import requests
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateType,
    AirbyteStreamState,
    StreamDescriptor,
    Type,
)
from airbyte_cdk.sources.declarative.requesters import HttpRequester
from airbyte_cdk.sources.message import MessageRepository
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.sources.streams.concurrent.cursor import Cursor, CursorField
from airbyte_cdk.sources.streams.concurrent.default_stream import DefaultStream
from airbyte_cdk.sources.streams.concurrent.partitions.partition import Partition
from airbyte_cdk.sources.streams.concurrent.partitions.partition_generator import PartitionGenerator
from airbyte_cdk.sources.streams.http.exceptions import BaseBackoffException
from airbyte_cdk.sources.types import Record
from airbyte_cdk.utils.traced_exception import AirbyteTracedException


class StreamCursor(Cursor):
    """The state of one stream: what the last sync saved, and the checkpoints of this one.

    The retriever reports what has been delivered. Records alone do not move the cursor.
    """

    def __init__(self, stream: str, cursor_field: str, saved: Mapping[str, Any], messages: MessageRepository) -> None:
        self.cursor_field = cursor_field
        self.saved = saved
        self._stream = stream
        self._messages = messages
        self._state: Mapping[str, Any] = saved
        self._is_sent = False

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """The next sync may start from this state: all rows that it covers have been yielded."""
        self._is_sent = self._is_sent and state == self._state
        self._state = state
        self._send()

    @property
    def state(self) -> MutableMapping[str, Any]:
        return dict(self._state)

    def ensure_at_least_one_state_emitted(self) -> None:
        self._send()

    def observe(self, record: Record) -> None:
        """Nothing."""

    def close_partition(self, partition: Partition) -> None:
        """Nothing."""

    def should_be_synced(self, record: Record) -> bool:  # noqa: ARG002  (the CDK's signature)
        return True

    def _send(self) -> None:
        if self._is_sent:
            return
        self._is_sent = True
        descriptor = StreamDescriptor(name=self._stream)
        stream = AirbyteStreamState(stream_descriptor=descriptor, stream_state=AirbyteStateBlob(self.state))
        state = AirbyteStateMessage(type=AirbyteStateType.STREAM, stream=stream)
        self._messages.emit_message(AirbyteMessage(type=Type.STATE, state=state))


class Resumable(Protocol):
    """A retriever that continues from a state."""

    cursor: StreamCursor | None


def resumable(stream: AbstractStream, saved: Mapping[str, Any], messages: MessageRepository) -> AbstractStream:
    """The stream with a `StreamCursor`, which its retriever shares. A stream without a cursor is returned unchanged."""
    if not isinstance(stream, DefaultStream) or stream.cursor_field is None:
        return stream
    cursor = StreamCursor(stream.name, stream.cursor_field, saved, messages)
    retriever_of(stream).cursor = cursor
    return DefaultStream(
        partition_generator=_Partitions(stream),
        name=stream.name,
        json_schema=stream.get_json_schema,
        primary_key=[column for [column] in stream.as_airbyte_stream().source_defined_primary_key or []],
        cursor_field=CursorField(stream.cursor_field),
        logger=logging.getLogger(f"airbyte.{stream.name}"),
        cursor=cursor,
    )


class _Partitions(PartitionGenerator):
    def __init__(self, stream: DefaultStream) -> None:
        self._stream = stream

    def generate(self) -> Iterable[Partition]:
        return self._stream.generate_partitions()


def stream_states(messages: Iterable[AirbyteStateMessage]) -> dict[str, Mapping[str, Any]]:
    """The saved state of each stream, from either kind of state message."""
    states: dict[str, Mapping[str, Any]] = {}
    for message in messages:
        streams = message.global_.stream_states if message.global_ else [message.stream] if message.stream else []
        for stream in streams:
            if stream.stream_state is not None:
                states[stream.stream_descriptor.name] = vars(stream.stream_state)
    return states


def retriever_of(stream: DefaultStream) -> Resumable:
    """The retriever that the CDK built for a stream. Raises RuntimeError where the CDK keeps it elsewhere."""
    try:
        return cast(Resumable, stream._stream_partition_generator._partition_factory._retriever)  # type: ignore[attr-defined]
    except AttributeError as error:
        raise RuntimeError(f"This version of the CDK keeps a stream's retriever elsewhere: {error}.") from None


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
    message = f"The stream {stream} gave up after several tries. {reason}"
    return AirbyteTracedException(message=message, internal_message=message, failure_type=error.failure_type)


def unquoted(message: str) -> str:
    """The reason of a failed check without the `repr` that the CDK applies; unchanged where it applies none."""
    try:
        return str(ast.literal_eval(message))
    except (SyntaxError, ValueError):
        return message
