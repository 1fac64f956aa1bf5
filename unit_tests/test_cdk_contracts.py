"""What source_prefect/cdk.py knows about the CDK. What an upgrade changes fails here."""

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
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
    Level,
    Status,
    StreamDescriptor,
    Type,
)
from airbyte_cdk.sources.declarative.parsers.model_to_component_factory import ModelToComponentFactory
from airbyte_cdk.sources.message import InMemoryMessageRepository
from airbyte_cdk.sources.message.concurrent_repository import ConcurrentMessageRepository

from devtools.connector import catalog, read_here
from source_prefect import SourcePrefect, cdk, manifest
from source_prefect.cdk import ByteQueue, Declared, Outbox, ScanPartition, StreamCursor, session_of, stream_states
from source_prefect.http.session import Session
from source_prefect.http.transport import IN_A_SYNC
from source_prefect.reading.scan import PrefectRetriever
from source_prefect.settings.parse import parse

API = "http://127.0.0.1:4200/api"
LOGGER = logging.getLogger("airbyte")
CONFIG: dict[str, Any] = {"connection": {"type": "server", "api_url": API}}
NOW = "2026-01-09T00:00:00Z"
FLOWS = [{"id": f"flow-{n}", "created": f"2026-01-0{n}T00:00:00Z", "updated": NOW} for n in (3, 2, 1)]


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(parse(CONFIG, manifest.load()["spec"]["connection_specification"]), IN_A_SYNC) as session:
        yield session


@pytest.fixture(scope="module")
def streams(session: Session) -> dict[str, Declared]:
    """All streams as the CDK builds them from the manifest."""
    written = manifest.load()
    built = cdk.declared(manifest.resolved(written, manifest.stream_names(written))["streams"], session)
    return {stream.name: stream for stream in built}


@pytest.fixture
def api() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker() as mocker:
        yield mocker


def page(request: Any, _context: Any) -> list[dict[str, Any]]:
    """A page of the flows."""
    start = request.json().get("offset", 0)
    return FLOWS[start : start + request.json()["limit"]]


# What the CDK builds from the manifest


def test_the_names_of_the_streams_are_those_under_which_they_are_declared(streams: dict[str, Declared]) -> None:
    assert list(streams) == manifest.stream_names(manifest.load())


def test_a_stream_has_the_cursor_field_that_the_manifest_names(streams: dict[str, Declared]) -> None:
    fields = {name: stream.cursor_field for name, stream in streams.items()}
    snapshots = {"lineage", "deployment_schedules", "workers", "work_queue_status", "workspaces"}
    assert {name for name, field in fields.items() if not field} == snapshots
    assert (fields["flows"], fields["logs"], fields["events"]) == ("updated", "timestamp", "occurred")


def test_the_retriever_of_each_stream_is_ours_and_has_what_the_manifest_says(
    streams: dict[str, Declared], session: Session
) -> None:
    for name, stream in streams.items():
        assert isinstance(stream.retriever, PrefectRetriever)
        assert stream.retriever.name == name
        assert stream.retriever.config is session
        assert stream.retriever.paginator.get_page_size() == session.settings.page_size
    transformations = streams["flows"].retriever.transformations
    assert [type(each).__name__ for each in transformations] == ["FlattenRecord", "LinkToUi"]


def test_a_retriever_that_is_kept_elsewhere_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = SimpleNamespace(name="flows", cursor_field="updated", get_json_schema=dict)
    monkeypatch.setattr(ModelToComponentFactory, "create_component", lambda *_: changed)
    with pytest.raises(RuntimeError, match="This version of the CDK keeps a stream's retriever elsewhere: "):
        cdk.declared([{}], {})


def test_requests_of_all_streams_go_through_the_transport_of_the_command(
    streams: dict[str, Declared], session: Session
) -> None:
    requesters = [stream.retriever.requester for stream in streams.values()]
    requesters.append(streams["events"].retriever.next_page_requester)
    for requester in requesters:
        assert isinstance(session_of(requester), requests.Session)
        assert session_of(requester).get_adapter(API) is session.transport


def test_a_session_that_is_kept_elsewhere_is_a_sentence() -> None:
    changed: Any = SimpleNamespace()
    with pytest.raises(RuntimeError, match="This version of the CDK keeps a requester's session elsewhere: "):
        session_of(changed)


def test_the_manifest_says_how_many_threads_read(session: Session) -> None:
    assert cdk.concurrency_level(manifest.load(), session) == session.settings.num_workers == 4


# Each command builds what it needs, and keeps nothing for the next.


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The names of the streams each time that streams are built."""
    built: list[list[str]] = []

    def watched(streams: Iterable[Mapping[str, Any]], config: Mapping[str, Any]) -> list[Declared]:
        made = original(streams, config)
        built.append([stream.name for stream in made])
        return made

    original = cdk.declared
    monkeypatch.setattr(cdk, "declared", watched)
    return built


def test_a_command_builds_only_the_streams_that_it_needs(api: requests_mock.Mocker, built: list[list[str]]) -> None:
    api.get(requests_mock.ANY, json=[])
    api.post(requests_mock.ANY, json=[])
    source, names = SourcePrefect(), manifest.stream_names(manifest.load())
    flows = ConfiguredAirbyteCatalogSerializer.load(catalog(["flows"], "full_refresh"))
    built.clear()
    list(source.read(LOGGER, CONFIG, flows))
    assert {stream.name for stream in source.discover(LOGGER, CONFIG).streams} == set(names)
    source.check(LOGGER, CONFIG)
    assert built == [["flows"], names, ["flows"], [name for name in names if name != "flows"]]


def test_a_source_checks_and_reads_as_often_as_it_is_asked(api: requests_mock.Mocker) -> None:
    api.get(requests_mock.ANY, json=[])
    api.post(requests_mock.ANY, json=[])
    api.post(f"{API}/flows/filter", json=page)
    config, source = {**CONFIG, "page_size": 2}, SourcePrefect()
    flows = ConfiguredAirbyteCatalogSerializer.load(catalog(["flows"], "full_refresh"))
    for _ in range(2):
        assert source.check(LOGGER, config).status == Status.SUCCEEDED
        records = [message.record for message in source.read(LOGGER, config, flows) if message.record]
        assert [record.data["id"] for record in records] == [flow["id"] for flow in FLOWS]


def test_the_cdk_does_not_parse_the_pages_too(api: requests_mock.Mocker, monkeypatch: pytest.MonkeyPatch) -> None:
    api.get(f"{API}/health", json=True)
    api.post(f"{API}/flows/filter", json=page)
    monkeypatch.delattr(requests.Response, "json")
    assert len(read_here(CONFIG, ["flows"]).ok().records["flows"]) == len(FLOWS)


# States


def test_a_state_stays_behind_the_records_it_stands_for(api: requests_mock.Mocker) -> None:
    api.get(f"{API}/health", json=True)
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
    queue, busy, earlier = ByteQueue(1), Busy(), cdk.QueuedRecord({}, "flows")
    queue.put(earlier)
    messages = ConcurrentMessageRepository(queue, busy)
    cursor = StreamCursor("flows", "updated", {}, Outbox(queue, messages))
    worker = threading.Thread(target=cursor.save, args=["", {"updated": NOW}], daemon=True)
    worker.start()
    busy.has_state.wait(0.2)
    messages.log_message(Level.INFO, lambda: {"message": "of the main thread"})
    printed_first = [message.type for message in messages.consume_queue()]
    busy.has_other.set()
    assert queue.get() is earlier
    worker.join(10)
    assert printed_first == [Type.LOG]
    state = queue.get()
    assert isinstance(state, AirbyteMessage)
    assert state.type == Type.STATE


def test_records_alone_do_not_move_the_state(api: requests_mock.Mocker) -> None:
    api.get(f"{API}/health", json=True)
    api.post(f"{API}/flows/filter", [{"json": FLOWS[:2]}, {"status_code": 401}])
    sync = read_here({**CONFIG, "page_size": 2}, ["flows"])
    assert len(sync.ids("flows")) == 2
    assert [state["stream"]["stream_state"] for state in sync.states["flows"]] == [{}]


def test_a_state_that_was_sent_is_not_sent_again() -> None:
    outbox = Outbox.new()
    cursor = StreamCursor("flows", "updated", {}, outbox)
    for _ in range(2):
        cursor.save("", {"updated": NOW})
    cursor.ensure_at_least_one_state_emitted()
    assert not outbox.queue.empty()
    outbox.queue.get()
    assert outbox.queue.empty()


def test_states_of_both_kinds_are_read() -> None:
    def stream_state(name: str) -> AirbyteStreamState:
        return AirbyteStreamState(StreamDescriptor(name), AirbyteStateBlob({"updated": name}))

    one_by_one = [AirbyteStateMessage(type=AirbyteStateType.STREAM, stream=stream_state(name)) for name in "ab"]
    together = AirbyteGlobalState(stream_states=[stream_state(name) for name in "ab"])
    expected = {"a": {"updated": "a"}, "b": {"updated": "b"}}
    assert stream_states(one_by_one) == expected
    assert stream_states([AirbyteStateMessage(type=AirbyteStateType.GLOBAL, global_=together)]) == expected


# Partitions


def test_what_a_partition_raises_is_one_trace_and_one_that_closes(api: requests_mock.Mocker) -> None:
    api.get(f"{API}/health", json=True)
    api.post(f"{API}/flows/filter", status_code=401)
    api.post(f"{API}/variables/filter", json=[])
    sync = read_here(CONFIG, ["flows", "variables"])
    own, closing = sync.errors
    assert own["stream_descriptor"]["name"] == "flows"
    assert closing["internal_message"] == "Concurrent read failure"
    assert (sync.statuses["flows"][-1], sync.statuses["variables"][-1]) == ("INCOMPLETE", "COMPLETE")


@pytest.mark.parametrize("stopped_by", [SystemExit, KeyboardInterrupt])
def test_what_stops_the_thread_of_a_partition_is_an_error_of_its_stream(stopped_by: type[BaseException]) -> None:
    def records() -> Iterator[Any]:
        raise stopped_by
        yield

    with pytest.raises(RuntimeError, match=f"The thread of the stream flows was stopped: {stopped_by.__name__}"):
        list(ScanPartition("flows", records).read())


def test_an_empty_row_ends_no_stream(api: requests_mock.Mocker) -> None:
    """The CDK takes a record that is false for the end of its queue."""
    api.get(f"{API}/health", json=True)
    api.post(f"{API}/work_pools/filter", json=[{"id": "a"}, {}, {"id": "b"}])
    api.post(f"{API}/flows/filter", json=FLOWS)
    sync = read_here(CONFIG, ["work_pools", "flows"]).ok()
    assert sync.records["work_pools"] == [{"id": "a"}, {}, {"id": "b"}]
    assert len(sync.records["flows"]) == len(FLOWS)


def test_a_sync_of_no_stream_ends() -> None:
    assert list(cdk.read([], Outbox.new(), workers=4)) == []


@pytest.mark.parametrize("workers", [1, 4])
def test_a_partition_may_bring_records_of_another_stream(api: requests_mock.Mocker, workers: int) -> None:
    """They are counted and sent as their own stream's, which started before and may end later."""
    origins = {"x": [{"input_type": "parameter", "name": "regions"}]}
    api.get(f"{API}/health", json=True)
    api.post(f"{API}/task_runs/filter", json=[{"id": "run", "updated": NOW, "task_inputs": origins}])
    api.post(f"{API}/flows/filter", json=FLOWS)
    read = ["task_runs", "flows", "task_dependencies"]
    sync = read_here({**CONFIG, "num_workers": workers}, read).ok()
    assert len([request for request in api.request_history if request.method == "POST"]) == 2
    assert sync.ids("task_runs") == ["run"]
    assert [edge["task_run_id"] for edge in sync.records["task_dependencies"]] == ["run"]
    assert {tuple(sync.statuses[stream]) for stream in read} == {("STARTED", "RUNNING", "COMPLETE")}
    assert [len(sync.states[stream]) for stream in read] == [1, 1, 1]
