"""Task runs of a Prefect that cannot filter them by end: before 3.6.22, and perhaps on Cloud."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import Sync, read_here
from devtools.data.bulk import Run, insert_flow_runs, insert_task_runs
from devtools.data.seeding import make_flow, set_state, state_at
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Behaviour, Forward, Proxy, Request, pass_on
from integration_tests.older_prefects import refuses_end_time
from source_prefect.times import END, format_time

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)

PAGE_SIZE = 5


def ignores(request: Request, forward: Forward) -> Answer:
    """As an API would that passes over what it does not know."""
    filters = {key: value for key, value in (request.body.get("task_runs") or {}).items() if key != "end_time"}
    body = {**request.body, "task_runs": filters or None}
    return forward(Request(request.method, request.path, request.headers, body, request.number))


WAYS = [refuses_end_time, ignores]


@pytest.fixture
def flow_run_id(server: PrefectServer) -> str:
    server.clear()
    return insert_flow_runs(server.database, make_flow(server), [Run(NOW - HOUR, None, state="RUNNING")])[0]


def _read(gate: Proxy, behaviour: Behaviour, cursor: datetime | None = None, **settings: Any) -> Sync:
    gate.behaviour = behaviour
    gate.log.clear()
    config = {"connection": {"type": "server", "api_url": gate.url}, "page_size": PAGE_SIZE, **settings}
    return read_here(config, ["task_runs"], state_at(cursor, "task_runs") if cursor else None).ok()


def _task_runs_of_a_day(server: PrefectServer, flow_run_id: str) -> list[str]:
    one_by_one = [Run(NOW - HOUR - n * SECOND, NOW - HOUR - n * SECOND + 7 * SECOND) for n in range(13)]
    together = [Run(NOW - 2 * HOUR, NOW - 2 * HOUR + 9 * SECOND)] * (2 * PAGE_SIZE + 1)
    unfinished = [Run(NOW - 3 * HOUR, None, state="RUNNING"), Run(NOW + 5 * HOUR, None, NOW - HOUR, "SCHEDULED")]
    cancelled_before_due = [Run(NOW + timedelta(days=9), NOW - HOUR, state="CANCELLED")]
    return insert_task_runs(server.database, flow_run_id, [*one_by_one, *together, *unfinished, *cancelled_before_due])


@pytest.mark.parametrize("way", WAYS)
def test_a_first_sync_reads_each_once(way: Behaviour, server: PrefectServer, flow_run_id: str, gate: Proxy) -> None:
    ids = _task_runs_of_a_day(server, flow_run_id)
    sync = _read(gate, way)
    assert Counter(sync.ids("task_runs")) == Counter(dict.fromkeys(ids, 1))


@pytest.mark.parametrize("way", WAYS)
def test_a_later_sync_reads_each_once(way: Behaviour, server: PrefectServer, flow_run_id: str, gate: Proxy) -> None:
    ids = _task_runs_of_a_day(server, flow_run_id)
    long_ago = [Run(NOW - timedelta(days=20, hours=n), NOW - timedelta(days=20, hours=n)) for n in range(30)]
    insert_task_runs(server.database, flow_run_id, long_ago)
    sync = _read(gate, way, cursor=NOW - 6 * HOUR)
    assert Counter(sync.ids("task_runs")) == Counter(dict.fromkeys(ids, 1))
    # It does not read back through the history.
    assert len(gate.log) < 30
    (said,) = [line for line in sync.logs if "filter on end_time" in line]
    assert said.startswith(f"task_runs: this Prefect {'does not know' if way is refuses_end_time else 'ignores'}")


@pytest.mark.parametrize("way", WAYS)
def test_what_changes_comes_with_the_next_sync_and_nothing_else(
    way: Behaviour, server: PrefectServer, flow_run_id: str, gate: Proxy
) -> None:
    before = [
        Run(NOW - 3 * HOUR, None, state="RUNNING"),
        Run(NOW - 3 * HOUR, NOW - 2 * HOUR, state="FAILED"),
        Run(NOW - 3 * HOUR, NOW - 2 * HOUR, state="CRASHED"),
        Run(NOW + timedelta(days=9), None, NOW - 2 * HOUR, "SCHEDULED"),
        *[Run(NOW - 2 * HOUR - n * SECOND, NOW - 2 * HOUR) for n in range(2 * PAGE_SIZE)],
    ]
    finishes, retried, marked, cancelled, *_ = insert_task_runs(server.database, flow_run_id, before)
    set_state(server, "task_runs", finishes, "COMPLETED")
    set_state(server, "task_runs", retried, "SCHEDULED", name="AwaitingRetry")
    set_state(server, "task_runs", marked, "COMPLETED")
    set_state(server, "task_runs", cancelled, "CANCELLED")
    (recorded_late,) = insert_task_runs(server.database, flow_run_id, [Run(NOW - 20 * HOUR, NOW - 20 * HOUR, NOW)])
    sync = _read(gate, way, cursor=NOW - HOUR)
    assert sorted(sync.ids("task_runs")) == sorted([finishes, retried, marked, cancelled, recorded_late])
    assert {row["id"]: row["state_type"] for row in sync.records["task_runs"]} == {
        row["id"]: row["state_type"] for row in server.rows("task_runs") if row["id"] in sync.by_id("task_runs")
    }


def is_retried(server: PrefectServer, run_id: str) -> None:
    set_state(server, "task_runs", run_id, "SCHEDULED", name="AwaitingRetry")


def finishes_again(server: PrefectServer, run_id: str) -> None:
    set_state(server, "task_runs", run_id, "RUNNING")
    set_state(server, "task_runs", run_id, "COMPLETED")


def is_deleted(server: PrefectServer, run_id: str) -> None:
    server.delete(f"task_runs/{run_id}")


@pytest.mark.parametrize("happens", [is_retried, finishes_again, is_deleted])
def test_the_last_row_of_every_page_moves_before_the_next_is_read(
    happens: Callable[[PrefectServer, str], None], server: PrefectServer, flow_run_id: str, gate: Proxy
) -> None:
    ended = [NOW - HOUR - n // 3 * SECOND for n in range(24)]
    ids = insert_task_runs(server.database, flow_run_id, [Run(end - SECOND, end) for end in ended])
    moved: set[str] = set()

    def move_the_border(request: Request, forward: Forward) -> Answer:
        answer = refuses_end_time(request, forward)
        if request.body["sort"] == "END_TIME_DESC" and answer.status == 200 and len(answer.rows) == PAGE_SIZE:
            run_id = answer.rows[-1]["id"]
            if len(moved) < 8:
                moved.add(run_id)
                happens(server, run_id)
        return answer

    sync = _read(gate, move_the_border, cursor=NOW - 6 * HOUR)
    got = Counter(sync.ids("task_runs"))
    assert moved
    # A run that ends again while they are read may come again, in its new version.
    assert {row_id for row_id, times in got.items() if times > 1} <= (moved if happens is finishes_again else set())
    missed = set(ids) - set(got)
    assert missed <= moved
    there = {row["id"] for row in server.rows("task_runs")}
    gate.behaviour = refuses_end_time
    config = {"connection": {"type": "server", "api_url": gate.url}}
    assert missed & there <= set(read_here(config, ["task_runs"], sync.state).ok().ids("task_runs"))


# A first sync that was cut short


@pytest.mark.parametrize("table", ["flow_runs", "task_runs"])
@pytest.mark.parametrize("way", [*WAYS, pass_on])
def test_a_first_sync_that_was_cut_short_is_resumed_without_a_hole(
    way: Behaviour, table: str, server: PrefectServer, flow_run_id: str, gate: Proxy
) -> None:
    """The runs due up to the cursor were read."""
    cursor = (NOW - timedelta(days=40)).replace(hour=0, minute=0, second=0) - timedelta(microseconds=1)
    day = timedelta(days=1)
    read_before = [Run(cursor - n * day, cursor - n * day) for n in range(3, 9)]
    not_read = [
        # Cancelled long before it was due: it ended, and was last changed, before the lookback
        # window begins.
        Run(cursor + 20 * day, cursor - 10 * day, state="CANCELLED"),
        # Cancelled a little before: it ended within the lookback window, but did not change since
        # the cursor.
        Run(cursor + HOUR, cursor - 2 * HOUR, state="CANCELLED"),
        Run(cursor + SECOND, cursor + HOUR),
        *[Run(cursor + n * day, cursor + n * day) for n in range(1, 2 * PAGE_SIZE)],
    ]
    if table == "flow_runs":
        flow_id = server.rows("flows")[0]["id"]
        insert_flow_runs(server.database, flow_id, read_before)
        ids = [flow_run_id, *insert_flow_runs(server.database, flow_id, not_read)]
    else:
        insert_task_runs(server.database, flow_run_id, read_before)
        ids = insert_task_runs(server.database, flow_run_id, not_read)
    gate.behaviour = way
    config = {"connection": {"type": "server", "api_url": gate.url}, "page_size": PAGE_SIZE}
    state = state_at(cursor, table)
    state[0]["stream"]["stream_state"] = {
        "updated": format_time(cursor),
        "remaining": [[format_time(cursor + timedelta(microseconds=1)), format_time(END)]],
    }
    sync = read_here(config, [table], state).ok()
    assert Counter(sync.ids(table)) == Counter(dict.fromkeys(ids, 1))


def test_a_first_sync_that_fails_says_how_far_it_has_come(server: PrefectServer, gate: Proxy) -> None:
    server.clear()
    flow_id = make_flow(server)
    a_day_each = [Run(NOW - timedelta(days=n), NOW - timedelta(days=n)) for n in range(70)]
    ids = insert_flow_runs(server.database, flow_id, a_day_each)

    def fail_in_the_middle(request: Request, forward: Forward) -> Answer:
        bound = ((request.body.get("flow_runs") or {}).get("expected_start_time") or {}).get("before_", "9999")
        middle = (NOW - timedelta(days=30)).isoformat()
        return Answer(401) if bound < middle else forward(request)

    gate.behaviour = fail_in_the_middle
    gate.log.clear()
    start_date = f"{NOW - timedelta(days=58):%Y-%m-%dT%H:%M:%S}.25Z"
    config = {"connection": {"type": "server", "api_url": gate.url}, "page_size": PAGE_SIZE, "start_date": start_date}
    sync = read_here(config, ["flow_runs"])
    assert sync.exit_code == 1
    state = sync.state[0]["stream"]["stream_state"]
    assert any(f"{NOW - timedelta(days=30):%FT%T}" < end for start, end in state["remaining"])
    gate.behaviour = pass_on
    resumed = read_here(config, ["flow_runs"], sync.state).ok()
    assert set(sync.ids("flow_runs")) | set(resumed.ids("flow_runs")) == set(ids[:58])
