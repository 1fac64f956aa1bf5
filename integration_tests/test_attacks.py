"""Servers and states that are out of order: clocks that disagree or are missing, saved states that make no sense."""

from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import pytest

from devtools.bulk import history, insert_events, insert_flow_runs, insert_logs
from devtools.connector import State
from devtools.connector import read_here as read
from devtools.proxy import Answer, Behaviour, Forward, Proxy, Request
from devtools.server import PrefectServer
from integration_tests.seeding import execute, make_flow, make_one_of_everything, now
from source_prefect.progress.state import VERSION

BEHIND = timedelta(minutes=10)


def in_database(time: datetime) -> str:
    return f"{time:%F %T.%f}"


def config(url: str) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": url}, "page_size": 20, "num_workers": 1}


def two_replicas() -> Behaviour:
    """Two replicas of the API answer by turns; the clock of the second is behind."""
    answered = 0

    def behave(request: Request, forward: Forward) -> Answer:
        nonlocal answered
        answer = forward(request)
        answered += 1
        if answered % 2 == 0:
            date = next(name for name in answer.headers if name.lower() == "date")
            answer.headers[date] = format_datetime(parsedate_to_datetime(answer.headers[date]) - BEHIND, usegmt=True)
        return answer

    return behave


def test_a_run_that_a_replica_with_a_slow_clock_wrote_arrives(empty: PrefectServer, empty_gate: Proxy) -> None:
    runs = insert_flow_runs(empty.database, make_flow(empty), history(50, until=now(), every=timedelta(hours=1)))
    empty_gate.behaviour = two_replicas()
    first = read(config(empty_gate.url), ["flow_runs"]).ok()
    written = in_database(now() - BEHIND + timedelta(seconds=5))
    execute(empty, "UPDATE flow_run SET end_time = ?, updated = ? WHERE id = ?", written, written, runs[30])
    empty_gate.behaviour = two_replicas()
    later = read(config(empty_gate.url), ["flow_runs"], first.state).ok()
    assert runs[30] in later.ids("flow_runs")
    assert not any("was set back" in line for line in later.logs)


def without_date(request: Request, forward: Forward) -> Answer:
    answer = forward(request)
    answer.headers = {name: value for name, value in answer.headers.items() if name.lower() != "date"}
    return answer


@pytest.mark.parametrize("stream", ["flows", "flow_runs"])
def test_without_a_date_a_row_of_the_future_does_not_carry_the_cursor_along(
    empty: PrefectServer, empty_gate: Proxy, stream: str
) -> None:
    empty_gate.behaviour = without_date
    insert_flow_runs(empty.database, make_flow(empty), history(1, until=now(), every=timedelta(hours=1)))
    for table in ("flow", "flow_run"):
        execute(empty, f"UPDATE {table} SET updated = ?", in_database(now() + timedelta(days=9)))
    first = read(config(empty_gate.url), [stream]).ok()
    new = make_flow(empty, "new")
    [run] = insert_flow_runs(empty.database, new, history(1, until=now(), every=timedelta(hours=1)))
    later = read(config(empty_gate.url), [stream], first.state).ok()
    assert {"flows": new, "flow_runs": run}[stream] in later.ids(stream)


CURSORS = {"logs": "timestamp", "events": "occurred"}
STREAMS = [
    *("flows", "deployments", "flow_runs", "task_runs", "artifacts", "variables", "work_pools", "work_queues"),
    *("global_concurrency_limits", "automations", "logs", "events", "flow_run_state_transitions"),
    *("asset_materializations", "asset_lineage"),
]


def everything(server: PrefectServer) -> None:
    make_one_of_everything(server)
    server.post("work_pools/", {"name": "pool", "type": "process"})
    server.post("v2/concurrency_limits/", {"name": "warehouse", "limit": 1})
    insert_logs(server.database, [now() - timedelta(minutes=1)])
    insert_events(server.database, [now() - timedelta(minutes=1)])
    server.wait_for_events()


def states(cursor: str, **more: Any) -> State:
    def field(stream: str) -> str:
        return CURSORS.get(stream, "occurred" if stream.startswith(("flow_run_state", "asset")) else "updated")

    return [
        {
            "type": "STREAM",
            "stream": {"stream_descriptor": {"name": name}, "stream_state": {field(name): cursor, **more}},
        }
        for name in STREAMS
    ]


def test_a_state_that_holds_a_cursor_alone_is_read(empty: PrefectServer) -> None:
    everything(empty)
    whole = read(config(empty.url), STREAMS).ok()
    later = read(config(empty.url), STREAMS, states(f"{now() - timedelta(days=2):%FT%T.%f}Z")).ok()
    assert {stream: set(later.ids(stream)) for stream in STREAMS} == {s: set(whole.ids(s)) for s in STREAMS}
    current = read(config(empty.url), STREAMS, later.state).ok()
    assert all(message["stream"]["stream_state"]["version"] == VERSION for message in current.state)


@pytest.mark.parametrize(
    ("cursor", "more"),
    [
        ("2026-02-30T00:00:00Z", {"version": VERSION}),
        ("2026-01-01T00:00:00Z", {"version": VERSION, "clock_offset": 10**30}),
        (
            "2026-01-01T00:00:00Z",
            {"version": VERSION, "remaining": [["2026-01-01T00:00:00Z", "10000-01-01T00:00:00Z"]]},
        ),
        ("2026-01-01T00:00:00Z", {"version": True}),
    ],
)
def test_a_state_that_no_calendar_has_fails_with_a_sentence(
    empty: PrefectServer, cursor: str, more: dict[str, Any]
) -> None:
    make_flow(empty)
    old = [
        message for message in states(cursor, **more) if message["stream"]["stream_descriptor"]["name"] == "flow_runs"
    ]
    sync = read(config(empty.url), ["flow_runs", "flows"], old)
    assert sync.exit_code == 1
    assert sync.errors[0]["message"].startswith("The state of the stream flow_runs has ")
    assert sync.statuses["flows"][-1] == "COMPLETE"


@pytest.mark.parametrize("stream", ["logs", "events"])
def test_a_first_sync_that_is_cut_short_twice_goes_on_from_the_second_cut(
    empty: PrefectServer, empty_gate: Proxy, stream: str
) -> None:
    times = [now() - n * timedelta(hours=2) for n in range(1600)]
    inserted = insert_logs(empty.database, times) if stream == "logs" else insert_events(empty.database, times)
    setting = config(empty_gate.url) | {"page_size": 50}
    state: State | None = None
    left = []
    for _ in range(2):
        asked = iter(range(1000))
        empty_gate.behaviour = lambda r, forward, asked=asked: forward(r) if next(asked) < 15 else Answer(401)  # type: ignore[misc]
        cut = read(setting, [stream], state)
        assert cut.exit_code == 1
        state = cut.state
        ranges = [map(datetime.fromisoformat, each) for each in state[0]["stream"]["stream_state"]["remaining"]]
        left.append(sum((end - start for start, end in ranges), timedelta(0)))
        inserted = [row for row in inserted if row not in cut.ids(stream)[: cut.committed[stream]]]
    assert left[0] > left[1]
    last = read(config(empty.url), [stream], state).ok()
    assert set(inserted) <= set(last.ids(stream))
