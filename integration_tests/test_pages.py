"""What happens at a page's boundary neither hides a row nor repeats one."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import Sync, read_here
from devtools.data.bulk import Run, insert_flow_runs
from devtools.data.seeding import make_flow, set_state, state_at
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Proxy, Request, pass_on

PAGE_SIZE = 5

# Whole seconds, so that a time's text is the same everywhere.
NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)

# Syncs of a first kind read by expected_start_time, later ones by end_time.
CURSORS = {"first sync": None, "later sync": state_at(NOW - 6 * HOUR, "flow_runs")}


@pytest.fixture
def flow_id(server: PrefectServer) -> str:
    server.clear()
    return make_flow(server)


@pytest.fixture
def read_runs(gate: Proxy) -> Callable[..., Sync]:
    gate.behaviour = pass_on
    config = {"connection": {"type": "server", "api_url": gate.url}, "page_size": PAGE_SIZE}

    def read(cursor: str = "first sync", **settings: Any) -> Sync:
        gate.log.clear()
        return read_here({**config, **settings}, ["flow_runs"], CURSORS[cursor]).ok()

    return read


def _finished(count: int, every: timedelta = SECOND) -> list[Run]:
    """Runs that ended within the last hours, the newest first."""
    return [Run(NOW - HOUR - n * every, NOW - HOUR - n * every + 30 * SECOND) for n in range(count)]


def _exactly(ids: list[str]) -> Counter[str]:
    return Counter(dict.fromkeys(ids, 1))


@pytest.mark.parametrize("cursor", CURSORS)
@pytest.mark.parametrize("count", [0, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 7 * PAGE_SIZE])
def test_any_number_of_rows(
    count: int, cursor: str, server: PrefectServer, flow_id: str, read_runs: Callable[..., Sync]
) -> None:
    ids = insert_flow_runs(server.database, flow_id, _finished(count))
    assert Counter(read_runs(cursor).ids("flow_runs")) == _exactly(ids)


@pytest.mark.parametrize("cursor", CURSORS)
@pytest.mark.parametrize("alike", [PAGE_SIZE, PAGE_SIZE + 1, 4 * PAGE_SIZE + 3])
@pytest.mark.parametrize("above", [0, PAGE_SIZE - 1])
def test_runs_that_share_their_times(
    above: int, alike: int, cursor: str, server: PrefectServer, flow_id: str, read_runs: Callable[..., Sync]
) -> None:
    """A hundred cron schedules at midnight: more than a page of one time, anywhere on a page."""
    newer, older = _finished(above), _finished(40)[20:]
    midnight = [Run(NOW - HOUR - 10 * SECOND, NOW - HOUR + 15 * SECOND)] * alike
    ids = insert_flow_runs(server.database, flow_id, [*newer, *midnight, *older])
    assert Counter(read_runs(cursor).ids("flow_runs")) == _exactly(ids)


def test_unfinished_runs_that_share_their_time(
    server: PrefectServer, flow_id: str, read_runs: Callable[..., Sync]
) -> None:
    midnight = [Run(NOW + 6 * HOUR, None, NOW - HOUR, "SCHEDULED")] * (3 * PAGE_SIZE)
    ids = insert_flow_runs(server.database, flow_id, midnight)
    for cursor in CURSORS:
        assert Counter(read_runs(cursor).ids("flow_runs")) == _exactly(ids)


# What happens to the row at a page's end, before the next page is asked for


def finishes_again(server: PrefectServer, run_id: str) -> None:
    set_state(server, "flow_runs", run_id, "RUNNING")
    set_state(server, "flow_runs", run_id, "COMPLETED")


def is_retried(server: PrefectServer, run_id: str) -> None:
    set_state(server, "flow_runs", run_id, "SCHEDULED", name="AwaitingRetry")


def is_deleted(server: PrefectServer, run_id: str) -> None:
    server.delete(f"flow_runs/{run_id}")


def changes_its_state(server: PrefectServer, run_id: str) -> None:
    set_state(server, "flow_runs", run_id, "FAILED")


@pytest.mark.parametrize("cursor", CURSORS)
@pytest.mark.parametrize("alike", [1, 2 * PAGE_SIZE])
@pytest.mark.parametrize("happens", [finishes_again, is_retried, is_deleted, changes_its_state])
def test_the_last_row_of_every_page_moves_before_the_next_is_read(
    happens: Callable[[PrefectServer, str], None],
    alike: int,
    cursor: str,
    server: PrefectServer,
    flow_id: str,
    gate: Proxy,
    read_runs: Callable[..., Sync],
) -> None:
    times = [run for run in _finished(24 // alike + 1) for _ in range(alike)]
    ids = insert_flow_runs(server.database, flow_id, times)
    moved: set[str] = set()

    def move_the_border(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if len(answer.rows) == PAGE_SIZE:
            run_id = answer.rows[-1]["id"]
            moved.add(run_id)
            happens(server, run_id)
        return answer

    gate.behaviour = move_the_border
    sync = read_runs(cursor)
    got = Counter(sync.ids("flow_runs"))
    assert moved
    assert max(got.values()) == 1
    # A page of one time is only a look ahead: its rows are asked for once more, when the last may
    # have moved.
    missed = set(ids) - set(got)
    assert missed <= moved
    if cursor == "first sync" and happens is not is_deleted:
        assert not missed
    _assert_the_next_sync_brings(missed, server, sync)


def finishes(server: PrefectServer, run_id: str) -> None:
    set_state(server, "flow_runs", run_id, "COMPLETED")


@pytest.mark.parametrize("cursor", CURSORS)
@pytest.mark.parametrize("happens", [finishes, is_deleted])
def test_the_last_unfinished_row_of_every_page_moves_before_the_next_is_read(
    happens: Callable[[PrefectServer, str], None],
    cursor: str,
    server: PrefectServer,
    flow_id: str,
    gate: Proxy,
    read_runs: Callable[..., Sync],
) -> None:
    unfinished = [Run(NOW + HOUR - n * SECOND, None, NOW - HOUR, "SCHEDULED") for n in range(4 * PAGE_SIZE)]
    ids = insert_flow_runs(server.database, flow_id, [*unfinished, *_finished(PAGE_SIZE)])
    pending = set(ids[: 4 * PAGE_SIZE])

    def move_the_border(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if len(answer.rows) == PAGE_SIZE and (last := answer.rows[-1]["id"]) in pending:
            pending.discard(last)
            happens(server, last)
        return answer

    gate.behaviour = move_the_border
    assert Counter(read_runs(cursor).ids("flow_runs")) == _exactly(ids)
    assert len(pending) < 4 * PAGE_SIZE


@pytest.mark.parametrize("cursor", CURSORS)
def test_a_run_that_finishes_after_the_unfinished_were_read_comes_once(
    cursor: str, server: PrefectServer, flow_id: str, gate: Proxy, read_runs: Callable[..., Sync]
) -> None:
    unfinished = [Run(NOW - HOUR - n * SECOND, None, NOW - HOUR, "RUNNING") for n in range(3)]
    ids = insert_flow_runs(server.database, flow_id, [*unfinished, *_finished(8)])

    def finish_after_they_were_read(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if request.body.get("sort") == "EXPECTED_START_TIME_DESC" and not pending.isdisjoint(_ids(answer)):
            for run_id in list(pending):
                pending.discard(run_id)
                set_state(server, "flow_runs", run_id, "COMPLETED")
        return answer

    pending = set(ids[:3])
    gate.behaviour = finish_after_they_were_read
    assert Counter(read_runs(cursor).ids("flow_runs")) == _exactly(ids)
    assert not pending


def _ids(answer: Answer) -> list[str]:
    return [row["id"] for row in answer.rows]


# Tables that can be paged by offset only


@pytest.mark.parametrize("kind", ["first sync", "later sync"])
@pytest.mark.parametrize("happens", ["deleted", "several deleted", "changed", "created"])
def test_a_table_changes_between_two_pages(happens: str, kind: str, server: PrefectServer, gate: Proxy) -> None:
    server.clear()
    ids = [server.post("variables/", {"name": f"variable_{n}", "value": n})["id"] for n in range(4 * PAGE_SIZE)]
    moved: set[str] = set()
    created: list[str] = []

    def move(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if request.path == "variables/filter" and len(answer.rows) == PAGE_SIZE and len(moved) + len(created) < 6:
            if happens == "created":
                created.append(server.post("variables/", {"name": f"new_{len(created)}", "value": 0})["id"])
            for row in answer.rows[-4:] if happens == "several deleted" else answer.rows[:1]:
                if happens == "changed":
                    server.patch(f"variables/{row['id']}", {"value": "changed"})
                    moved.add(row["id"])
                elif "deleted" in happens:
                    server.delete(f"variables/{row['id']}")
                    moved.add(row["id"])
        return answer

    gate.behaviour = move
    config = {"connection": {"type": "server", "api_url": gate.url}, "page_size": PAGE_SIZE}
    state = state_at(NOW - HOUR, "variables") if kind == "later sync" else None
    sync = read_here(config, ["variables"], state).ok()
    got = Counter(sync.ids("variables"))
    assert moved or created
    # What changes while it is read may come again, in its new version. A page that does not meet
    # the last is left out.
    assert {row_id for row_id, times in got.items() if times > 1} <= (moved if happens == "changed" else set())
    missed = set(ids) - set(got)
    assert missed <= moved
    _assert_the_next_sync_brings(missed, server, sync)


def _assert_the_next_sync_brings(missed: set[str], server: PrefectServer, sync: Sync) -> None:
    (stream,) = sync.states
    there = {row["id"] for row in server.rows(stream)}
    config = {"connection": {"type": "server", "api_url": server.url}}
    assert missed & there <= set(read_here(config, [stream], sync.state).ok().ids(stream))
