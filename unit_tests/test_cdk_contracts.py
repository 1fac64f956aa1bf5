"""What the connector knows about the CDK (source_prefect/cdk.py). After an upgrade, what has changed fails here."""

import logging
import threading
from collections.abc import Iterator, Mapping
from queue import Queue
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import requests_mock
from airbyte_cdk.models import (
    AirbyteGlobalState,
    AirbyteMessage,
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateType,
    AirbyteStreamState,
    ConfiguredAirbyteCatalogSerializer,
    FailureType,
    Level,
    Status,
    StreamDescriptor,
    Type,
)
from airbyte_cdk.sources.declarative.yaml_declarative_source import YamlDeclarativeSource
from airbyte_cdk.sources.message import InMemoryMessageRepository
from airbyte_cdk.sources.message.concurrent_repository import ConcurrentMessageRepository
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.sources.streams.concurrent.default_stream import DefaultStream
from airbyte_cdk.sources.streams.http.exceptions import BaseBackoffException
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from devtools.connector import catalog, read_here
from source_prefect import SourcePrefect
from source_prefect.cdk import (
    StreamCursor,
    given_up,
    joined,
    retriever_of,
    session_of,
    stream_states,
    unquoted,
)
from source_prefect.http.transport import Transport
from source_prefect.reading.scan import PrefectRetriever

API = "http://127.0.0.1:4200/api"
LOGGER = logging.getLogger("airbyte")
CONFIG: dict[str, Any] = {"connection": {"type": "server", "api_url": API}}
NOW = "2026-01-09T00:00:00Z"
FLOWS = [{"id": f"flow-{n}", "created": f"2026-01-0{n}T00:00:00Z", "updated": NOW} for n in (3, 2, 1)]


@pytest.fixture(scope="module")
def source() -> SourcePrefect:
    return SourcePrefect(config=CONFIG)


@pytest.fixture(scope="module")
def streams(source: SourcePrefect) -> dict[str, DefaultStream]:
    return {stream.name: stream for stream in source.streams(CONFIG) if isinstance(stream, DefaultStream)}


@pytest.fixture
def built(source: SourcePrefect) -> DefaultStream:
    """The stream `flows` as the CDK builds it from the manifest."""
    [flows] = [stream for stream in YamlDeclarativeSource.streams(source, CONFIG) if stream.name == "flows"]
    assert isinstance(flows, DefaultStream)
    return flows


@pytest.fixture
def api() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker() as mocker:
        yield mocker


def test_every_stream_is_one_partition(streams: dict[str, DefaultStream]) -> None:
    assert {name: len(list(stream.generate_partitions())) for name, stream in streams.items()} == dict.fromkeys(
        streams, 1
    )


def test_every_stream_with_a_cursor_has_ours_and_its_retriever_has_the_same(streams: dict[str, DefaultStream]) -> None:
    ours = {name for name, stream in streams.items() if isinstance(stream.cursor, StreamCursor)}
    assert set(streams) - ours == {"lineage", "deployment_schedules", "workspaces"}
    assert streams["flows"].cursor_field == "updated"
    assert streams["logs"].cursor_field == "timestamp"
    assert streams["events"].cursor_field == "occurred"


def test_the_retriever_of_a_stream_is_found_and_has_its_transformations(built: DefaultStream) -> None:
    retriever = retriever_of(built)
    assert isinstance(retriever, PrefectRetriever)
    assert [type(each).__name__ for each in retriever.transformations] == ["FlattenRecord", "LinkToUi"]
    messages = ConcurrentMessageRepository(Queue(), InMemoryMessageRepository())
    stream = joined({"": built}, {"updated": "then"}, messages)
    assert isinstance(stream.cursor, StreamCursor)
    assert stream.cursor.saved == {"updated": "then"}
    assert retriever.cursor is stream.cursor


def test_a_retriever_that_is_kept_elsewhere_is_a_sentence() -> None:
    with pytest.raises(RuntimeError, match="This version of the CDK keeps a stream's retriever elsewhere: "):
        retriever_of(SimpleNamespace())  # type: ignore[arg-type]  # what a changed CDK would hand over


def test_a_queue_that_is_kept_elsewhere_is_a_sentence() -> None:
    with pytest.raises(RuntimeError, match="This version of the CDK keeps its queue elsewhere: "):
        StreamCursor("flows", "updated", {}, InMemoryMessageRepository())


def test_requests_go_through_our_transport(built: DefaultStream) -> None:
    retriever = retriever_of(built)
    assert isinstance(retriever, PrefectRetriever)
    session = session_of(retriever.requester)  # type: ignore[arg-type]  # a PrefectRequester
    assert isinstance(session, requests.Session)
    assert isinstance(session.get_adapter(API), Transport)


def test_a_session_that_is_kept_elsewhere_is_a_sentence() -> None:
    with pytest.raises(RuntimeError, match="This version of the CDK keeps a requester's session elsewhere: "):
        session_of(SimpleNamespace())  # type: ignore[arg-type]  # what a changed CDK would hand over


def test_a_state_stays_behind_the_records_it_stands_for(api: requests_mock.Mocker) -> None:
    api.post(f"{API}/flows/filter", json=FLOWS, headers={"Date": "Fri, 09 Jan 2026 00:00:00 GMT"})
    sync = read_here(CONFIG, ["flows"]).ok()
    assert sync.committed["flows"] == len(sync.records["flows"]) == len(FLOWS)
    assert len(sync.states["flows"]) == 1


class Busy(InMemoryMessageRepository):
    """Does not return from taking in a state before the main thread has sent a message."""

    def __init__(self) -> None:
        super().__init__()
        self.has_state, self.has_other = threading.Event(), threading.Event()

    def emit_message(self, message: AirbyteMessage) -> None:
        super().emit_message(message)
        if message.type == Type.STATE:
            self.has_state.set()
            self.has_other.wait(10)


def test_a_state_stays_behind_the_records_while_the_queue_is_full() -> None:
    queue: Queue[Any] = Queue(maxsize=1)
    queue.put("a record")
    busy = Busy()
    messages = ConcurrentMessageRepository(queue, busy)
    cursor = StreamCursor("flows", "updated", {}, messages)
    worker = threading.Thread(target=cursor.checkpoint, args=[{"updated": NOW}])
    worker.start()
    busy.has_state.wait(0.2)
    messages.log_message(Level.INFO, lambda: {"message": "of the main thread"})
    printed_first = [message.type for message in messages.consume_queue()]
    busy.has_other.set()
    assert queue.get() == "a record"
    worker.join()
    assert printed_first == [Type.LOG]
    assert queue.get().type == Type.STATE


def test_records_alone_do_not_move_the_state(api: requests_mock.Mocker) -> None:
    api.post(f"{API}/flows/filter", [{"json": FLOWS[:2]}, {"status_code": 401}])
    sync = read_here({**CONFIG, "page_size": 2}, ["flows"])
    assert len(sync.ids("flows")) == 2
    assert [state["stream"]["stream_state"] for state in sync.states["flows"]] == [{}]


def test_what_a_partition_raises_is_one_trace_and_one_that_closes(api: requests_mock.Mocker) -> None:
    api.post(f"{API}/flows/filter", status_code=401)
    api.post(f"{API}/variables/filter", json=[])
    sync = read_here(CONFIG, ["flows", "variables"])
    own, closing = sync.errors
    assert own["stream_descriptor"]["name"] == "flows"
    assert closing["internal_message"] == "Concurrent read failure"
    assert (sync.statuses["flows"][-1], sync.statuses["variables"][-1]) == ("INCOMPLETE", "COMPLETE")


@pytest.mark.parametrize("workers", [1, 4])
def test_a_partition_may_bring_records_of_another_stream(api: requests_mock.Mocker, workers: int) -> None:
    """They are counted and sent as those of their own stream, which has started before and may end later."""
    origins = {"x": [{"input_type": "parameter", "name": "regions"}]}
    api.post(f"{API}/task_runs/filter", json=[{"id": "run", "updated": NOW, "task_inputs": origins}])
    api.post(f"{API}/flows/filter", json=FLOWS)
    read = ["task_runs", "flows", "task_dependencies"]
    sync = read_here({**CONFIG, "num_workers": workers}, read).ok()
    assert api.call_count == 2
    assert sync.ids("task_runs") == ["run"]
    assert [edge["task_run_id"] for edge in sync.records["task_dependencies"]] == ["run"]
    assert {tuple(sync.statuses[stream]) for stream in read} == {("STARTED", "RUNNING", "COMPLETE")}
    assert [len(sync.states[stream]) for stream in read] == [1, 1, 1]


def test_a_sync_builds_only_the_streams_that_it_reads(api: requests_mock.Mocker) -> None:
    built: list[list[str]] = []

    class Watched(SourcePrefect):
        def streams(self, config: Mapping[str, Any]) -> list[AbstractStream]:
            streams = super().streams(config)
            built.append([stream.name for stream in streams])
            return streams

    api.post(f"{API}/flows/filter", json=[])
    source = Watched(config=CONFIG)
    flows = ConfiguredAirbyteCatalogSerializer.load(catalog(["flows"], "full_refresh"))
    messages = source.read(LOGGER, CONFIG, flows)
    next(messages)
    found = source.discover(LOGGER, CONFIG).streams
    assert built == [["flows"], [stream.name for stream in found]]
    assert len(found) > 1


def test_a_check_does_not_shorten_the_sync_that_follows(api: requests_mock.Mocker) -> None:
    def page(request: Any, _context: Any) -> list[dict[str, Any]]:
        start = request.json().get("offset", 0)
        return FLOWS[start : start + request.json()["limit"]]

    api.get(requests_mock.ANY, json=[])
    api.post(requests_mock.ANY, json=[])
    api.post(f"{API}/flows/filter", json=page)
    config = {**CONFIG, "page_size": 2}
    source = SourcePrefect(config=config)
    assert source.check(LOGGER, config).status == Status.SUCCEEDED
    flows = ConfiguredAirbyteCatalogSerializer.load(catalog(["flows"], "full_refresh"))
    records = [message.record for message in source.read(LOGGER, config, flows) if message.record]
    assert [record.data["id"] for record in records] == [flow["id"] for flow in FLOWS]


def test_the_reason_behind_please_see_logs_is_found() -> None:
    try:
        try:
            raise BaseBackoffException(
                request=requests.Request("POST", API).prepare(), response=None, error_message="Prefect answered 503."
            )
        except BaseBackoffException:
            raise AirbyteTracedException(message="Please see logs", failure_type=FailureType.transient_error)  # noqa: B904
    except AirbyteTracedException as error:
        told = given_up("flows", error)
    assert told.message is not None
    assert told.message.startswith("The stream flows gave up after several tries. ")
    assert "Prefect answered 503." in told.message
    assert told.failure_type == FailureType.transient_error


def test_an_error_without_a_reason_behind_it_is_left_as_it_is() -> None:
    error = AirbyteTracedException(message="Prefect rejected the credentials (401).")
    assert given_up("flows", error) is error


@pytest.mark.parametrize(
    ("message", "reason"),
    [("'Prefect\\'s key'", "Prefect's key"), ("Prefect's key", "Prefect's key"), ('"it\'s"', "it's")],
)
def test_the_reason_of_a_failed_check_is_unquoted_where_it_is_quoted(message: str, reason: str) -> None:
    assert unquoted(message) == reason


def test_states_of_both_kinds_are_read() -> None:
    def stream_state(name: str) -> AirbyteStreamState:
        return AirbyteStreamState(StreamDescriptor(name), AirbyteStateBlob({"updated": name}))

    one_by_one = [AirbyteStateMessage(type=AirbyteStateType.STREAM, stream=stream_state(name)) for name in "ab"]
    together = AirbyteGlobalState(stream_states=[stream_state(name) for name in "ab"])
    expected = {"a": {"updated": "a"}, "b": {"updated": "b"}}
    assert stream_states(one_by_one) == expected
    assert stream_states([AirbyteStateMessage(type=AirbyteStateType.GLOBAL, global_=together)]) == expected
