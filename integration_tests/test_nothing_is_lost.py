"""Rows that are easily lost in silence: odd times, clocks that were wrong, settings that were mended, late changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.bulk import Run, history, insert_events, insert_flow_runs, insert_logs, insert_task_runs
from devtools.connector import State, Sync
from devtools.connector import read_here as read
from devtools.proxy import Answer, Forward, Proxy, Request
from devtools.server import PrefectServer
from integration_tests.seeding import (
    execute,
    make_deployment,
    make_flow,
    make_run,
    make_task_run,
    now,
    set_state,
    state_at,
)
from source_prefect.progress.state import VERSION
from source_prefect.times import latest

DAY = timedelta(days=1)
RUNS = ["flow_runs", "task_runs"]


@pytest.fixture
def config(empty: PrefectServer) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": empty.url}, "page_size": 20}


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(row["id"] for row in rows)


def insert_runs(server: PrefectServer, stream: str, runs: list[Run]) -> list[str]:
    flow = make_flow(server)
    if stream == "flow_runs":
        return insert_flow_runs(server.database, flow, runs)
    return insert_task_runs(server.database, make_run(server, flow), runs)


@pytest.mark.parametrize("recent", [0, 40])
@pytest.mark.parametrize("stream", RUNS)
def test_runs_due_at_any_time_arrive(empty: PrefectServer, config: dict[str, Any], stream: str, recent: int) -> None:
    old = list(history(130, until=datetime(2019, 12, 31, tzinfo=UTC), every=20 * DAY))
    far = [Run(datetime(year, 1, 1, tzinfo=UTC), None, now(), "SCHEDULED") for year in (1970, 2040, 9999)]
    insert_runs(empty, stream, [*old, *far, *history(recent, until=now(), every=DAY)])
    first = read(config, [stream], sync_mode="full_refresh").ok()
    assert ids(first.records[stream]) == ids(empty.rows(stream, sort="ID_DESC"))


def test_log_lines_of_any_time_arrive(empty: PrefectServer, config: dict[str, Any]) -> None:
    times = [datetime(2012, 1, 1, tzinfo=UTC) + n * 30 * DAY for n in range(60)]
    inserted = insert_logs(empty.database, times)
    assert sorted(read(config, ["logs"]).ok().ids("logs")) == sorted(inserted)


@pytest.mark.parametrize("stream", [*RUNS, "logs", "events", "artifacts"])
def test_a_start_date_in_the_future_can_be_corrected(empty: PrefectServer, config: dict[str, Any], stream: str) -> None:
    insert_runs(empty, "flow_runs", list(history(30, until=now(), every=timedelta(hours=1))))
    insert_runs(empty, "task_runs", list(history(30, until=now(), every=timedelta(hours=1))))
    insert_logs(empty.database, [now() - timedelta(hours=n) for n in range(30)])
    insert_events(empty.database, [now() - timedelta(hours=n) for n in range(30)])
    empty.post("artifacts/", {"key": "report", "type": "markdown", "data": "# Orders"})
    empty.wait_for_events()
    wrong = read({**config, "start_date": f"{now() + 9 * DAY:%Y-%m-%d}"}, [stream]).ok()
    assert wrong.ids(stream) == []
    right = read({**config, "start_date": f"{now() - 30 * DAY:%Y-%m-%d}"}, [stream], wrong.state).ok()
    expected = read({**config, "start_date": f"{now() - 30 * DAY:%Y-%m-%d}"}, [stream]).ok()
    assert set(right.ids(stream)) == set(expected.ids(stream)) != set()


@pytest.mark.parametrize("stream", [*RUNS, "artifacts"])
def test_a_start_date_that_is_moved_back_brings_the_rows_before_it(
    empty: PrefectServer, config: dict[str, Any], stream: str
) -> None:
    insert_runs(empty, "flow_runs", list(history(50, until=now(), every=DAY)))
    insert_runs(empty, "task_runs", list(history(50, until=now(), every=DAY)))
    empty.post("artifacts/", {"key": "report", "type": "markdown", "data": "# Orders"})
    execute(empty, "UPDATE artifact SET created = '2026-01-01 00:00:00.000000', updated = '2026-01-01 00:00:00.000000'")
    late = read({**config, "start_date": f"{now() - 10 * DAY:%Y-%m-%d}"}, [stream]).ok()
    every = read({**config, "start_date": "2025-01-01"}, [stream], late.state).ok()
    assert {*late.ids(stream), *every.ids(stream)} == set(read(config, [stream]).ok().ids(stream)) != set()
    whole = read(config, [stream], late.state).ok()
    assert set(whole.ids(stream)) == {*late.ids(stream), *every.ids(stream)}


AHEAD = [timedelta(hours=1), 2 * DAY]


@pytest.mark.parametrize("ahead", AHEAD, ids=str)
@pytest.mark.parametrize("stream", ["flows", "deployments", *RUNS, "logs", "events", "work_pools"])
def test_a_cursor_ahead_of_the_servers_clock_hides_nothing(
    empty: PrefectServer, config: dict[str, Any], stream: str, ahead: timedelta
) -> None:
    make_everything(empty, "before")
    empty.wait_for_events()
    first = read(config, [stream]).ok()
    make_everything(empty, "after")
    empty.wait_for_events()
    later = read(config, [stream], moved(first, ahead)).ok()
    whole = read(config, [stream]).ok()
    assert set(whole.ids(stream)) - set(first.ids(stream)) <= set(later.ids(stream))
    assert len(later.ids(stream)) > 0
    assert any("the server's clock says" in line for line in later.logs)
    again = read(config, [stream], later.state).ok()
    assert not any("the server's clock says" in line for line in again.logs)


def make_everything(server: PrefectServer, name: str) -> None:
    flow = make_flow(server, name)
    make_deployment(server, flow, name)
    make_task_run(server, make_run(server, flow, "COMPLETED"), name, "COMPLETED")
    insert_logs(server.database, [now()])
    server.post("work_pools/", {"name": name, "type": "process"})


def moved(sync: Sync, ahead: timedelta) -> State:
    """The state of a sync on a server whose clock was ahead."""
    state = sync.state
    for message in state:
        saved = message["stream"]["stream_state"]
        for field in {"updated", "timestamp", "occurred"} & saved.keys():
            at = datetime.fromisoformat(saved[field].replace("Z", "+00:00")) + ahead
            saved[field] = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return state


def test_a_clock_that_was_set_back_behind_the_cursor_hides_nothing(
    empty: PrefectServer, config: dict[str, Any]
) -> None:
    """The cursor is in the past, but later changes are dated before it."""
    flow = make_flow(empty)
    run = make_run(empty, flow, "COMPLETED")
    state = state_at(now() - timedelta(minutes=30), "flow_runs")
    # The server's clock was an hour ahead of the connector's, and is not any more.
    state[0]["stream"]["stream_state"] |= {"version": VERSION, "clock_offset": 3600}
    execute(empty, "UPDATE flow_run SET updated = ?, end_time = ?", *[f"{now() - timedelta(minutes=50):%F %T.%f}"] * 2)
    assert read(config, ["flow_runs"], state).ok().ids("flow_runs") == [run]


def test_without_a_lookback_window_a_run_that_was_committed_late_arrives(
    empty: PrefectServer, config: dict[str, Any]
) -> None:
    flow = make_flow(empty)
    run = make_run(empty, flow, "RUNNING")
    make_run(empty, flow, "COMPLETED")
    zero = {**config, "lookback_window": "PT0S"}
    first = read(zero, ["flow_runs"]).ok()
    # Its transaction waited for the database: it ended before the cursor, and was committed after it.
    set_state(empty, "flow_runs", run, "COMPLETED")
    at = datetime.fromisoformat((first.cursor("flow_runs") or "").replace("Z", "+00:00")) - timedelta(seconds=10)
    execute(empty, "UPDATE flow_run SET end_time = ?, updated = ? WHERE id = ?", *[f"{at:%F %T.%f}"] * 2, run)
    later = read(zero, ["flow_runs"], first.state).ok()
    assert later.by_id("flow_runs")[run]["state_type"] == "COMPLETED"


@pytest.mark.parametrize("delayed", [0, 1, 2, 3])
def test_windows_of_logs_do_not_depend_on_the_order_of_threads(
    empty: PrefectServer, empty_gate: Proxy, delayed: int
) -> None:
    inserted = insert_logs(empty.database, [now() - n * timedelta(hours=3) for n in range(200)])
    bounded: list[Request] = []

    def slow_down_one(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if request.path == "logs/filter" and "before_" in request.body["logs"]["timestamp"]:
            bounded.append(request)
            answer.delay = 0.3 if len(bounded) == delayed + 1 else 0.0
        return answer

    empty_gate.behaviour = slow_down_one
    sync = read({"connection": {"type": "server", "api_url": empty_gate.url}, "page_size": 20}, ["logs"]).ok()
    assert sorted(sync.ids("logs")) == sorted(inserted)


@pytest.mark.parametrize("start_date", [None, "2020-01-01"])
def test_task_runs_without_a_due_time_arrive(
    empty: PrefectServer, config: dict[str, Any], start_date: str | None
) -> None:
    """The server stores such task runs when it ingests an event without the time."""
    inserted = insert_runs(empty, "task_runs", list(history(50, until=now(), every=timedelta(hours=1))))
    setting = {"start_date": start_date} if start_date else {}
    undated, unfinished = inserted[:25], inserted[25:50]
    for run in undated:
        execute(empty, "UPDATE task_run SET expected_start_time = NULL WHERE id = ?", run)
    first = read({**config, **setting}, ["task_runs"], sync_mode="full_refresh").ok()
    assert sorted(first.ids("task_runs")) == sorted(inserted)
    # Later, when they have not ended, they are among the unfinished.
    for run in [*undated, *unfinished]:
        execute(empty, "UPDATE task_run SET end_time = NULL, updated = ? WHERE id = ?", f"{now():%F %T.%f}", run)
    later = read({**config, **setting}, ["task_runs"], first.state).ok()
    assert sorted(set(later.ids("task_runs"))) == sorted(inserted)


def test_a_deployment_shows_the_limit_and_the_queue_as_they_are_now(
    empty: PrefectServer, config: dict[str, Any]
) -> None:
    empty.post("work_pools/", {"name": "pool", "type": "process"})
    queue = empty.post("work_pools/pool/queues/", {"name": "slow"})["id"]
    deployment = empty.post(
        "deployments/",
        {"name": "nightly", "flow_id": make_flow(empty), "concurrency_limit": 1, "work_pool_name": "pool",
         "work_queue_name": "slow"},
    )["id"]  # fmt: skip
    make_deployment(empty, make_flow(empty, "other"), "other")
    execute(empty, "UPDATE deployment SET updated = '2026-01-01 00:00:00.000000'")
    execute(empty, "UPDATE deployment_schedule SET updated = '2026-01-01 00:00:00.000000'")
    state = read(config, ["deployments"]).ok().state
    state = read(config, ["deployments"], later_by(state)).ok().state
    [limit] = empty.rows("v2/concurrency_limits")
    empty.patch(f"v2/concurrency_limits/{limit['id']}", {"limit": 7})
    changed = read(config, ["deployments"], later_by(state)).ok()
    assert changed.by_id("deployments")[deployment]["global_concurrency_limit_limit"] == 7
    empty.patch(f"work_queues/{queue}", {"name": "fast"})
    renamed = read(config, ["deployments"], later_by(changed.state)).ok()
    assert renamed.by_id("deployments")[deployment]["work_queue_name"] == "fast"
    assert read(config, ["deployments"], later_by(renamed.state)).ok().ids("deployments") == []


def later_by(state: State) -> State:
    """The state of a sync that has seen a change just now, so that the rows themselves are long unchanged."""
    for message in state:
        message["stream"]["stream_state"]["updated"] = f"{now():%FT%T.%f}Z"
    return state


def test_a_deleted_schedule_is_noticed_behind_a_proxy_without_a_clock(empty: PrefectServer, empty_gate: Proxy) -> None:
    def without_date(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        answer.headers = {name: value for name, value in answer.headers.items() if name.lower() != "date"}
        return answer

    empty_gate.behaviour = without_date
    config = {"connection": {"type": "server", "api_url": empty_gate.url}}
    deployment = make_deployment(empty, make_flow(empty), "nightly")
    execute(empty, "UPDATE deployment SET updated = '2026-01-01 00:00:00.000000'")
    execute(empty, "UPDATE deployment_schedule SET updated = '2026-01-01 00:00:00.000000'")
    make_deployment(empty, make_flow(empty, "other"), "other")
    first = read(config, ["deployments"]).ok()
    [schedule] = empty.get(f"deployments/{deployment}")["schedules"]
    empty.delete(f"deployments/{deployment}/schedules/{schedule['id']}")
    later = read(config, ["deployments"], first.state).ok()
    before, after = (sync.by_id("deployments")[deployment] for sync in (first, later))
    assert after["schedules"] == "[]"
    updated = [row["updated"] for row in (before, after)]
    assert updated[0] != updated[1] == latest(updated), "a destination would keep the older row"


@pytest.mark.parametrize("stream", ["flows", "flow_runs", "logs", "events", "deployments"])
def test_a_full_refresh_brings_everything_whatever_state_is_handed_over(
    empty: PrefectServer, config: dict[str, Any], stream: str
) -> None:
    make_everything(empty, "before")
    empty.wait_for_events()
    state = state_at(now() - timedelta(minutes=1), stream)
    state[0]["stream"]["stream_state"] |= {"timestamp": f"{now():%FT%T.%f}Z", "occurred": f"{now():%FT%T.%f}Z"}
    assert read(config, [stream], state, sync_mode="full_refresh").ok().ids(stream) == (
        read(config, [stream], sync_mode="full_refresh").ok().ids(stream)
    )
