"""A failure ends soon, is said once, costs no other stream, and the next sync makes up for it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import Sync, read, read_here
from devtools.data.bulk import (
    history,
    insert_deployments,
    insert_events,
    insert_flow_runs,
    insert_logs,
    insert_task_runs,
)
from devtools.data.seeding import make_flow
from devtools.servers.faults import impatient
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Behaviour, Forward, Proxy, Request, pass_on

NOW = datetime.now(UTC).replace(microsecond=0)
ROWS = 300
WORKERS = 4

# A stream of each kind, and where its rows are read.
KINDS = {
    "flow_runs": "flow_runs/filter",
    "task_runs": "task_runs/filter",
    "logs": "logs/filter",
    "events": "events/filter",
    "flow_run_state_transitions": "events/filter",
    "deployments": "deployments/filter",
    "lineage": "deployments/filter",
    "work_pools": "work_pools/filter",
}
HTML = Answer(200, b"<!doctype html><title>Log in</title>", {"Content-Type": "text/html"})
REJECTED = Answer(401, b'{"detail":"Invalid authentication credentials"}')


@pytest.fixture(scope="module", autouse=True)
def _rows(server: PrefectServer) -> None:
    hours = [NOW - n * timedelta(hours=1) for n in range(1, ROWS)]
    runs = insert_flow_runs(server.database, make_flow(server), history(ROWS, until=NOW, every=timedelta(days=2)))
    insert_task_runs(server.database, runs[0], history(ROWS, until=NOW, every=timedelta(days=2)))
    insert_logs(server.database, hours)
    completed = {"validated_state": {"type": "COMPLETED", "name": "Completed"}}
    insert_events(server.database, hours, event="prefect.flow-run.Completed", payload=completed)
    insert_deployments(server.database, [["om-source:a.b.c"]] * ROWS, until=NOW)
    for number in range(60):
        server.post("work_pools/", {"name": f"pool-{number}", "type": "process"})
    server.post("variables/", {"name": "batch_size", "value": 500})


@pytest.fixture
def config(gate: Proxy) -> Iterator[dict[str, Any]]:
    gate.log.clear()
    gate.behaviour = pass_on
    with impatient():
        yield {"connection": {"type": "server", "api_url": gate.url}, "page_size": 20, "num_workers": WORKERS}


def from_request(number: int, path: str, answer: Answer) -> Behaviour:
    """The server, but for the requests to a path from this one on, counted from 1."""
    asked = iter(range(1, 100_000))

    def behave(request: Request, forward: Forward) -> Answer:
        return answer if request.path.startswith(path) and next(asked) >= number else forward(request)

    return behave


def assert_one_error(sync: Sync, stream: str, said: str) -> None:
    own, closing = sync.errors
    assert said in own["message"]
    assert own["stream_descriptor"]["name"] == stream
    assert closing["message"].startswith("Concurrent read failure") or stream in closing["message"]
    assert sync.exit_code == 1
    assert sync.statuses[stream][-1] == "INCOMPLETE"


@pytest.mark.parametrize(("stream", "path"), KINDS.items())
def test_a_key_that_expires_during_a_sync_is_one_error(
    config: dict[str, Any], gate: Proxy, stream: str, path: str
) -> None:
    gate.behaviour = from_request(3, path, REJECTED)
    failed = read_here(config, [stream, "variables"])
    assert_one_error(failed, stream, "Prefect rejected the credentials (401)")
    rejected = gate.requests(path)[2:]
    assert len(rejected) <= WORKERS
    assert failed.statuses["variables"][-1] == "COMPLETE"
    assert len(failed.records["variables"]) == 1
    gate.behaviour = pass_on
    after = read_here(config, [stream], failed.state).ok()
    whole = read_here(config, [stream]).ok()
    # A destination may drop what came after the last state.
    kept = failed.ids(stream)[: failed.committed[stream]]
    assert {*kept, *after.ids(stream)} == set(whole.ids(stream)) != set()


@pytest.mark.parametrize("stream", ["flow_runs", "logs", "events", "deployments"])
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (HTML, "answered with a page of HTML"),
        (Answer(500, b"{}"), "Prefect answered 500"),
        (Answer(422, b'{"detail":[{"loc":["body"],"msg":"Extra inputs are not permitted"}]}'), "(422)"),
    ],
    ids=["HTML", "500", "422"],
)
def test_an_answer_that_stays_wrong_is_one_error(
    config: dict[str, Any], gate: Proxy, stream: str, answer: Answer, said: str
) -> None:
    gate.behaviour = from_request(4, KINDS[stream], answer)
    failed = read_here(config, [stream])
    assert_one_error(failed, stream, said)
    assert len(gate.requests(KINDS[stream])) <= 3 + 6 * WORKERS


@pytest.mark.parametrize("stream", ["flow_runs", "task_runs", "logs"])
def test_a_server_that_ignores_a_time_bound_is_one_error(config: dict[str, Any], gate: Proxy, stream: str) -> None:
    def ignore_bounds(request: Request, forward: Forward) -> Answer:
        table = request.body.get(stream) or {}
        for bounds in table.values():
            if isinstance(bounds, dict):
                bounds.pop("before_", None)
                bounds.pop("after_", None)
        return forward(request)

    gate.behaviour = ignore_bounds
    failed = read_here(config, [stream])
    assert_one_error(failed, stream, f"The stream {stream} stopped because rows could be missing. Asked for rows with")
    assert len(gate.log) < 20


def test_a_failure_prints_little_and_ends_soon(gate: Proxy) -> None:
    config = {"connection": {"type": "server", "api_url": gate.url}, "page_size": 20}
    gate.behaviour = from_request(3, "flow_runs", REJECTED)
    failed = read(config, ["flow_runs"])
    assert_one_error(failed, "flow_runs", "Prefect rejected the credentials (401)")
    assert failed.printed < 100_000
    assert failed.seconds < 20, "starting the process included"


def test_a_first_sync_that_fails_keeps_its_checkpoints(config: dict[str, Any], gate: Proxy) -> None:
    gate.behaviour = from_request(16, "flow_runs", REJECTED)
    failed = read_here(config, ["flow_runs"])
    assert_one_error(failed, "flow_runs", "401")
    state = failed.state[0]["stream"]["stream_state"]
    assert state["remaining"]
    gate.behaviour = pass_on
    after = read_here(config, ["flow_runs"], failed.state).ok()
    assert len(after.ids("flow_runs")) < ROWS
    kept = failed.ids("flow_runs")[: failed.committed["flow_runs"]]
    assert len({*kept, *after.ids("flow_runs")}) == ROWS


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            Answer(429, b"", {"Retry-After": "86400"}),
            "to wait for 86400 s; the connector waits for at most 600 s",
        ),
        (Answer(503, b"", {"Retry-After": "7200"}), "to wait for 7200 s; the connector waits for at most 600 s"),
    ],
    ids=["429", "503"],
)
def test_a_server_that_asks_for_a_day_is_not_waited_for(
    config: dict[str, Any], gate: Proxy, answer: Answer, said: str
) -> None:
    gate.behaviour = lambda _request, _forward: answer
    failed = read_here(config, ["flows"])
    assert_one_error(failed, "flows", said)
    # After a 503, a smaller and another page are asked for once each: one bad row may be the
    # reason.
    assert len(gate.log) == (3 if answer.status == 503 else 1)


def test_a_body_that_trickles_is_given_up(config: dict[str, Any], gate: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_prefect.http.limits.LONGEST_ANSWER", 0.3)
    gate.behaviour = lambda _request, _forward: Answer(trickle=0.05)
    failed = read_here(config, ["variables"])
    assert_one_error(failed, "variables", "Read timed out")


@pytest.mark.parametrize(
    ("stream", "saved", "said"),
    [
        ("events", {"occurred": "garbage"}, "The state of the stream events has 'garbage' as `occurred`"),
        ("logs", {"timestamp": []}, "The state of the stream logs has [] as `timestamp`"),
        (
            "flow_runs",
            {"state_type": "date-range", "slices": "broken"},
            "The state of the stream flow_runs has no `updated`",
        ),
        ("deployments", {"updated": 7, "schedules": ["a"]}, "The state of the stream deployments has 7 as `updated`"),
    ],
)
def test_a_damaged_state_fails_its_own_stream_only(
    config: dict[str, Any], stream: str, saved: dict[str, Any], said: str
) -> None:
    state = [{"type": "STREAM", "stream": {"stream_descriptor": {"name": stream}, "stream_state": saved}}]
    failed = read_here(config, [stream, "variables"], state)
    assert_one_error(failed, stream, said)
    assert failed.errors[0]["failure_type"] == "config_error"
    assert failed.statuses["variables"][-1] == "COMPLETE"
    [kept] = [each["stream"]["stream_state"] for each in failed.states[stream]]
    assert kept == saved


def test_a_damaged_state_of_a_stream_that_is_not_read_is_no_matter(config: dict[str, Any]) -> None:
    saved = {"stream_descriptor": {"name": "events"}, "stream_state": {"occurred": "garbage"}}
    assert read_here(config, ["variables"], [{"type": "STREAM", "stream": saved}]).ok().ids("variables")


def test_500_rows_are_few_requests_and_fewer_states(gate: Proxy) -> None:
    gate.log.clear()
    gate.behaviour = pass_on
    sync = read_here({"connection": {"type": "server", "api_url": gate.url}}).ok()
    assert {stream: len(states) for stream, states in sync.states.items() if len(states) > 10} == {}
    # Workers and the status of queues cost a request for each of the sixty pools.
    paths = [it.path for it in gate.log if not it.path.endswith(("/workers/filter", "/status"))]
    assert len(paths) <= 60, json.dumps(sorted(paths))
