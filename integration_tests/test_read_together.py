"""Task runs and their edges: one read serves both, and each is the same as when read alone."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import State, Sync, catalog
from devtools.connector import read as read_as_process
from devtools.connector import read_here as read
from devtools.data.bulk import history, insert_task_runs
from devtools.data.seeding import execute, make_flow, make_run, state_at
from devtools.servers.faults import impatient
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Proxy, Request, pass_on, proxy

TASK_RUNS, EDGES = TOGETHER = ["task_runs", "task_dependencies"]
RUNS = 300
ROWS = {TASK_RUNS: RUNS, EDGES: 2 * RUNS}
NOW = datetime.now(UTC).replace(microsecond=0)
# Of the run that ended last: within reach of a later sync.
LAST_END = NOW - timedelta(hours=1)
RAN = ["STARTED", "RUNNING", "COMPLETE"]


@pytest.fixture(scope="module")
def rows(server: PrefectServer) -> PrefectServer:
    """A task run a day, with two edges each."""
    flow_run = make_run(server, make_flow(server, "nightly"), "COMPLETED")
    insert_task_runs(server.database, flow_run, history(RUNS, until=LAST_END, every=timedelta(days=1)))
    inputs = {"x": [{"input_type": "parameter", "name": "regions"}], "y": [{"input_type": "constant", "type": "int"}]}
    execute(server, "UPDATE task_run SET task_inputs = ?", json.dumps(inputs))
    return server


@pytest.fixture(scope="module")
def gate(rows: PrefectServer) -> Iterator[Proxy]:
    with proxy(rows.url) as running:
        yield running


@pytest.fixture
def config(gate: Proxy) -> dict[str, Any]:
    """Of small pages, so that a first sync takes tens of requests."""
    gate.behaviour = pass_on
    gate.log.clear()
    return {"connection": {"type": "server", "api_url": gate.url}, "page_size": 20}


@pytest.fixture
def first(config: dict[str, Any], gate: Proxy) -> Sync:
    """A first sync of both."""
    sync = read(config, TOGETHER).ok()
    gate.log.clear()
    return sync


def requests_of(gate: Proxy) -> int:
    """The requests since the last call."""
    count = len(gate.log)
    gate.log.clear()
    return count


def assert_whole(sync: Sync) -> None:
    """Every row of both streams, and none twice."""
    for stream, count in ROWS.items():
        assert len(sync.ids(stream)) == len(set(sync.ids(stream))) == count


def content(sync: Sync, stream: str) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in sync.records[stream])


def states(**cursors: datetime) -> State:
    return [state for stream, cursor in cursors.items() for state in state_at(cursor, stream)]


def test_they_take_the_requests_of_task_runs_and_bring_the_rows_of_separate_syncs(
    config: dict[str, Any], gate: Proxy
) -> None:
    firsts, taken = {}, {}
    for streams in ([TASK_RUNS], [EDGES], TOGETHER):
        first = read(config, streams).ok()
        taken["first", len(streams)] = requests_of(gate)
        idle = read(config, streams, first.state).ok()
        taken["idle", len(streams)] = requests_of(gate)
        firsts[tuple(streams)] = first, idle
    print(f"requests: {taken}")
    assert taken["first", 2] == taken["first", 1] > 20
    assert taken["idle", 2] == taken["idle", 1]
    for stream in TOGETHER:
        for together, alone in zip(firsts[TASK_RUNS, EDGES], firsts[(stream,)], strict=True):
            assert content(together, stream) == content(alone, stream)
    first, idle = firsts[TASK_RUNS, EDGES]
    assert_whole(first)
    assert {tuple(first.statuses[stream]) for stream in TOGETHER} == {tuple(RAN)}
    assert min(len(first.states[stream]) for stream in TOGETHER) > 3, "checkpoints of both during a first sync"
    assert first.cursor(TASK_RUNS) == first.cursor(EDGES) is not None
    assert idle.cursor(TASK_RUNS) == idle.cursor(EDGES) is not None


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("streams", [TOGETHER, [EDGES, "flows", "flow_runs", "logs", TASK_RUNS]])
def test_neither_the_order_of_the_catalog_nor_the_threads_matter(
    config: dict[str, Any], gate: Proxy, streams: list[str], workers: int
) -> None:
    config |= {"page_size": 200, "num_workers": workers}
    read(config, [TASK_RUNS], sync_mode="full_refresh").ok()
    alone = requests_of(gate)
    sync = read(config, streams, sync_mode="full_refresh").ok()
    assert len(gate.requests("task_runs/filter")) == alone
    assert_whole(sync)
    assert [sync.statuses[stream] for stream in TOGETHER] == [RAN, RAN]
    assert all(statuses[-1] == "COMPLETE" for statuses in sync.statuses.values())


@pytest.mark.parametrize("in_full", TOGETHER)
def test_sync_modes_may_differ_in_a_first_sync(
    config: dict[str, Any], gate: Proxy, monkeypatch: pytest.MonkeyPatch, in_full: str
) -> None:
    mixed = catalog(TOGETHER, "incremental")
    mixed["streams"][TOGETHER.index(in_full)]["sync_mode"] = "full_refresh"
    monkeypatch.setattr("devtools.connector.catalog", lambda *_: mixed)
    assert_whole(read({**config, "page_size": 200}, TOGETHER).ok())
    assert len(gate.log) < 7, "which one of them takes"


def test_what_changed_comes_in_both(first: Sync, config: dict[str, Any], gate: Proxy, rows: PrefectServer) -> None:
    [changed] = rows.post("task_runs/filter", {"limit": 1, "sort": "END_TIME_DESC"})
    update = "UPDATE task_run SET updated = ? WHERE id = ?"
    execute(rows, update, f"{datetime.now(UTC):%F %T.%f}", changed["id"])
    later = read(config, TOGETHER, first.state).ok()
    assert later.ids(TASK_RUNS) == [changed["id"]]
    assert [edge["task_run_id"] for edge in later.records[EDGES]] == 2 * [changed["id"]]
    taken = requests_of(gate)
    read(config, [TASK_RUNS], first.state).ok()
    assert taken == requests_of(gate)
    execute(rows, update, f"{LAST_END:%F %T.%f}", changed["id"])


def test_after_a_kill_nothing_is_lost_in_either(config: dict[str, Any]) -> None:
    killed = read_as_process(config, TOGETHER, killed_when=lambda sync: len(sync.ids(TASK_RUNS)) >= RUNS * 0.6)
    assert killed.exit_code == -9
    resumed = read(config, TOGETHER, killed.state).ok()
    for stream, count in ROWS.items():
        # A destination may drop what came after the last state.
        kept = killed.ids(stream)[: killed.committed[stream]]
        assert 0 < len(kept) < count
        assert len({*kept, *resumed.ids(stream)}) == count
        assert len(resumed.ids(stream)) < count, "it began in the middle"


@pytest.mark.parametrize("streams", [TOGETHER, TOGETHER[::-1]])
def test_a_key_that_expires_in_the_middle_fails_both_with_one_error_each(
    config: dict[str, Any], gate: Proxy, streams: list[str]
) -> None:
    def expire(request: Request, forward: Forward) -> Answer:
        is_late = request.path == "task_runs/filter" and len(gate.requests(request.path)) > 15
        return Answer(401, b'{"detail":"Invalid authentication credentials"}') if is_late else forward(request)

    gate.behaviour = expire
    with impatient():
        failed = read(config, [*streams, "flows"])
    assert failed.seconds < 10
    *errors, closing = failed.errors
    told = {error["stream_descriptor"]["name"]: error["message"] for error in errors}
    assert len(errors) == len(told) == 2
    [reason] = [stream for stream, message in told.items() if "Prefect rejected the credentials (401)" in message]
    [other] = set(TOGETHER) - {reason}
    assert told[other] == f"The stream {other} is read together with {reason}, which failed."
    assert {error["failure_type"] for error in errors} == {"config_error"}
    assert closing["internal_message"] == "Concurrent read failure"
    assert [failed.statuses[stream][-1] for stream in TOGETHER] == ["INCOMPLETE", "INCOMPLETE"]
    assert failed.statuses["flows"][-1] == "COMPLETE"
    gate.behaviour = pass_on
    after = read(config, TOGETHER, failed.state).ok()
    for stream, count in ROWS.items():
        kept = failed.ids(stream)[: failed.committed[stream]]
        assert len({*kept, *after.ids(stream)}) == count


@pytest.mark.parametrize("reset", TOGETHER)
def test_a_reset_of_one_reads_them_separately_once(
    first: Sync, config: dict[str, Any], gate: Proxy, reset: str
) -> None:
    [other] = set(TOGETHER) - {reset}
    kept = [state for state in first.state if state["stream"]["stream_descriptor"]["name"] == other]
    idle = read(config, [other], kept).ok()
    alone = requests_of(gate)
    sync = read(config, TOGETHER, kept).ok()
    assert len(set(sync.ids(reset))) == len(sync.ids(reset)) == ROWS[reset]
    assert content(sync, other) == content(idle, other)
    assert [line for line in sync.logs if "read separately" in line] == [
        "task_dependencies and task_runs are read separately in this sync: their states differ."
    ]
    assert requests_of(gate) > alone
    read(config, TOGETHER, sync.state).ok()
    assert requests_of(gate) == alone


@pytest.mark.parametrize(("apart", "is_shared"), [(timedelta(hours=23), True), (timedelta(days=2), False)])
@pytest.mark.parametrize("ahead", TOGETHER)
def test_of_two_cursors_less_than_a_day_apart_the_earlier_one_serves_both(
    config: dict[str, Any], gate: Proxy, ahead: str, apart: timedelta, is_shared: bool
) -> None:
    cursors = {stream: NOW if stream == ahead else NOW - apart for stream in TOGETHER}
    sync = read(config, TOGETHER, states(**cursors)).ok()
    requests = requests_of(gate)
    alone = {stream: read(config, [stream], states(**cursors)).ok() for stream in TOGETHER}
    assert (requests < requests_of(gate)) is is_shared
    [behind] = set(TOGETHER) - {ahead}
    assert content(sync, behind) == content(alone[behind], behind) != []
    task_runs = {stream: {row.get("task_run_id", row["id"]) for row in sync.records[stream]} for stream in TOGETHER}
    assert (task_runs[ahead] == task_runs[behind]) is is_shared
    if is_shared:
        assert sync.cursor(TASK_RUNS) == sync.cursor(EDGES)
    else:
        assert content(sync, ahead) == content(alone[ahead], ahead)


def test_a_damaged_state_fails_its_own_stream_only(config: dict[str, Any]) -> None:
    damaged = [*states(task_runs=NOW), *states(task_dependencies=NOW)]
    damaged[1]["stream"]["stream_state"] = {"updated": "garbage"}
    failed = read(config, TOGETHER, damaged)
    assert [error["stream_descriptor"]["name"] for error in failed.errors[:-1]] == [EDGES]
    assert failed.statuses[TASK_RUNS][-1] == "COMPLETE"
    assert failed.statuses[EDGES][-1] == "INCOMPLETE"


def test_without_task_runs_both_are_complete(config: dict[str, Any], gate: Proxy) -> None:
    gate.behaviour = lambda _request, _forward: Answer.of([])
    sync = read(config, TOGETHER).ok()
    assert [sync.statuses[stream] for stream in TOGETHER] == [["STARTED", "COMPLETE"], ["STARTED", "COMPLETE"]]
    assert len(gate.log) == 1
