"""The clocks that write rows: replicas disagree, no `Date`, ahead or set back, a late commit."""

from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import pytest

from devtools.connector import State, Sync
from devtools.connector import read_here as read
from devtools.data.bulk import history, insert_flow_runs
from devtools.data.seeding import (
    RUNS,
    execute,
    make_flow,
    make_pipeline,
    make_run,
    now,
    set_state,
    state_at,
)
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Behaviour, Forward, Proxy, Request, without_date
from integration_tests.connecting import one_worker
from source_prefect.progress.state import VERSION

DAY = timedelta(days=1)


@pytest.fixture
def config(empty: PrefectServer) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": empty.url}, "page_size": 20}


AHEAD = [timedelta(hours=1), 2 * DAY]


@pytest.mark.parametrize("ahead", AHEAD, ids=str)
@pytest.mark.parametrize("stream", ["flows", "deployments", *RUNS, "logs", "events", "work_pools"])
def test_a_cursor_ahead_of_the_servers_clock_hides_nothing(
    empty: PrefectServer, config: dict[str, Any], stream: str, ahead: timedelta
) -> None:
    make_pipeline(empty, "before")
    empty.wait_for_events()
    first = read(config, [stream]).ok()
    make_pipeline(empty, "after")
    empty.wait_for_events()
    later = read(config, [stream], moved(first, ahead)).ok()
    whole = read(config, [stream]).ok()
    assert set(whole.ids(stream)) - set(first.ids(stream)) <= set(later.ids(stream))
    assert len(later.ids(stream)) > 0
    assert any("the server's clock says" in line for line in later.logs)
    again = read(config, [stream], later.state).ok()
    assert not any("the server's clock says" in line for line in again.logs)


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
    # Its transaction waited for the database: it ended before the cursor, and was committed after
    # it.
    set_state(empty, "flow_runs", run, "COMPLETED")
    at = datetime.fromisoformat((first.cursor("flow_runs") or "").replace("Z", "+00:00")) - timedelta(seconds=10)
    execute(empty, "UPDATE flow_run SET end_time = ?, updated = ? WHERE id = ?", *[f"{at:%F %T.%f}"] * 2, run)
    later = read(zero, ["flow_runs"], first.state).ok()
    assert later.by_id("flow_runs")[run]["state_type"] == "COMPLETED"


BEHIND = timedelta(minutes=10)


def in_database(time: datetime) -> str:
    return f"{time:%F %T.%f}"


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
    first = read(one_worker(empty_gate.url), ["flow_runs"]).ok()
    written = in_database(now() - BEHIND + timedelta(seconds=5))
    execute(empty, "UPDATE flow_run SET end_time = ?, updated = ? WHERE id = ?", written, written, runs[30])
    empty_gate.behaviour = two_replicas()
    later = read(one_worker(empty_gate.url), ["flow_runs"], first.state).ok()
    assert runs[30] in later.ids("flow_runs")
    assert not any("was set back" in line for line in later.logs)


@pytest.mark.parametrize("stream", ["flows", "flow_runs"])
def test_without_a_date_a_row_of_the_future_does_not_carry_the_cursor_along(
    empty: PrefectServer, empty_gate: Proxy, stream: str
) -> None:
    empty_gate.behaviour = without_date
    insert_flow_runs(empty.database, make_flow(empty), history(1, until=now(), every=timedelta(hours=1)))
    for table in ("flow", "flow_run"):
        execute(empty, f"UPDATE {table} SET updated = ?", in_database(now() + timedelta(days=9)))
    first = read(one_worker(empty_gate.url), [stream]).ok()
    new = make_flow(empty, "new")
    [run] = insert_flow_runs(empty.database, new, history(1, until=now(), every=timedelta(hours=1)))
    later = read(one_worker(empty_gate.url), [stream], first.state).ok()
    assert {"flows": new, "flow_runs": run}[stream] in later.ids(stream)
