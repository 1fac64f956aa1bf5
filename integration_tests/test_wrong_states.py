"""States that hold little, that make no sense, or that a full refresh is given."""

from datetime import timedelta
from typing import Any

import pytest

from devtools.connector import State
from devtools.connector import read_here as read
from devtools.data.bulk import insert_events, insert_logs
from devtools.data.seeding import (
    make_flow,
    make_one_of_everything,
    make_pipeline,
    now,
    state_at,
)
from devtools.servers.prefect import PrefectServer
from integration_tests.connecting import one_worker
from source_prefect.progress.state import VERSION


@pytest.fixture
def config(empty: PrefectServer) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": empty.url}, "page_size": 20}


@pytest.mark.parametrize("stream", ["flows", "flow_runs", "logs", "events", "deployments"])
def test_a_full_refresh_brings_everything_whatever_state_is_handed_over(
    empty: PrefectServer, config: dict[str, Any], stream: str
) -> None:
    make_pipeline(empty, "before")
    empty.wait_for_events()
    state = state_at(now() - timedelta(minutes=1), stream)
    state[0]["stream"]["stream_state"] |= {"timestamp": f"{now():%FT%T.%f}Z", "occurred": f"{now():%FT%T.%f}Z"}
    assert read(config, [stream], state, sync_mode="full_refresh").ok().ids(stream) == (
        read(config, [stream], sync_mode="full_refresh").ok().ids(stream)
    )


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
    whole = read(one_worker(empty.url), STREAMS).ok()
    later = read(one_worker(empty.url), STREAMS, states(f"{now() - timedelta(days=2):%FT%T.%f}Z")).ok()
    assert {stream: set(later.ids(stream)) for stream in STREAMS} == {s: set(whole.ids(s)) for s in STREAMS}
    current = read(one_worker(empty.url), STREAMS, later.state).ok()
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
    sync = read(one_worker(empty.url), ["flow_runs", "flows"], old)
    assert sync.exit_code == 1
    assert sync.errors[0]["message"].startswith("The state of the stream flow_runs has ")
    assert sync.statuses["flows"][-1] == "COMPLETE"
