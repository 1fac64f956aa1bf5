"""What a later sync brings: all that changed, and next to nothing else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from devtools.connector import Sync, read_here
from devtools.data.bulk import Run, insert_flow_runs
from devtools.data.seeding import (
    age,
    execute,
    make_deployment,
    make_flow,
    make_one_of_everything,
    make_run,
    make_task_run,
    set_state,
)
from devtools.servers.prefect import PrefectServer
from integration_tests.record_rules import STREAMS, as_time, comparable, expected_row

# How far a sync reaches back behind its cursor, for transactions that were still in flight.
IN_FLIGHT = timedelta(minutes=5)

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _empty(server: PrefectServer) -> None:
    server.clear()


def _changed(sync: Sync) -> set[tuple[str, str]]:
    """Which rows came, in whichever stream."""
    return {(stream, row_id) for stream in STREAMS for row_id in sync.ok().ids(stream)}


def _rows(server: PrefectServer, stream: str) -> dict[str, dict[str, Any]]:
    ui = server.url.removesuffix("/api")
    return {row["id"]: comparable(expected_row(stream, row, ui)) for row in server.rows(stream)}


# What changes, and which row has to come for it


def finishes(server: PrefectServer) -> tuple[str, str]:
    run_id = _run_named(server, "running")
    set_state(server, "flow_runs", run_id, "COMPLETED")
    return "flow_runs", run_id


def is_retried_after_its_end(server: PrefectServer) -> tuple[str, str]:
    run_id = _run_named(server, "failed")
    set_state(server, "flow_runs", run_id, "SCHEDULED", name="AwaitingRetry")
    assert server.get(f"flow_runs/{run_id}")["end_time"] is None
    return "flow_runs", run_id


def is_marked_as_completed(server: PrefectServer) -> tuple[str, str]:
    run_id = _run_named(server, "failed")
    before = server.get(f"flow_runs/{run_id}")
    set_state(server, "flow_runs", run_id, "COMPLETED")
    after = server.get(f"flow_runs/{run_id}")
    assert (before["end_time"], "COMPLETED") == (after["end_time"], after["state_type"])
    return "flow_runs", run_id


def is_renamed_after_its_end(server: PrefectServer) -> tuple[str, str]:
    run_id = _run_named(server, "failed")
    server.patch(f"flow_runs/{run_id}", {"name": "failed, looked at"})
    return "flow_runs", run_id


def is_cancelled_before_it_was_due(server: PrefectServer) -> tuple[str, str]:
    run_id = _run_named(server, "due in a week")
    set_state(server, "flow_runs", run_id, "CANCELLED")
    return "flow_runs", run_id


def is_created(server: PrefectServer) -> tuple[str, str]:
    return "flow_runs", make_run(server, _row(server, "flows", "load-orders")["id"], name="new")


def task_run_finishes(server: PrefectServer) -> tuple[str, str]:
    task_run_id = next(row["id"] for row in server.rows("task_runs") if row["task_key"] == "load")
    set_state(server, "task_runs", task_run_id, "FAILED")
    return "task_runs", task_run_id


def deployment_is_paused(server: PrefectServer) -> tuple[str, str]:
    deployment_id: str = _row(server, "deployments", "nightly")["id"]
    server.post(f"deployments/{deployment_id}/pause_deployment")
    return "deployments", deployment_id


def schedule_is_paused(server: PrefectServer) -> tuple[str, str]:
    deployment = _row(server, "deployments", "nightly")
    server.patch(f"deployments/{deployment['id']}/schedules/{deployment['schedules'][0]['id']}", {"active": False})
    after = server.get(f"deployments/{deployment['id']}")
    assert after["updated"] == deployment["updated"], "a schedule does not move its deployment's time"
    return "deployments", deployment["id"]


def schedule_is_added(server: PrefectServer) -> tuple[str, str]:
    deployment_id: str = _row(server, "deployments", "nightly")["id"]
    server.post(f"deployments/{deployment_id}/schedules", [{"schedule": {"interval": 3600}, "active": True}])
    return "deployments", deployment_id


def flow_gets_other_tags(server: PrefectServer) -> tuple[str, str]:
    flow_id: str = _row(server, "flows", "load-orders")["id"]
    server.patch(f"flows/{flow_id}", {"tags": ["om-source:shop.orders"]})
    return "flows", flow_id


def artifact_is_written_again(server: PrefectServer) -> tuple[str, str]:
    artifact_id: str = _row(server, "artifacts", "report")["id"]
    server.patch(f"artifacts/{artifact_id}", {"data": "# Orders of today"})
    return "artifacts", artifact_id


def variable_is_set(server: PrefectServer) -> tuple[str, str]:
    variable_id: str = _row(server, "variables", "batch_size")["id"]
    server.patch(f"variables/{variable_id}", {"value": [1]})
    return "variables", variable_id


CHANGES = [
    finishes,
    is_retried_after_its_end,
    is_marked_as_completed,
    is_renamed_after_its_end,
    is_cancelled_before_it_was_due,
    is_created,
    task_run_finishes,
    deployment_is_paused,
    schedule_is_paused,
    schedule_is_added,
    flow_gets_other_tags,
    artifact_is_written_again,
    variable_is_set,
]


def _row(server: PrefectServer, table: str, name: str) -> dict[str, Any]:
    return next(row for row in server.rows(table) if name in (row.get("name"), row.get("key")))


def _run_named(server: PrefectServer, name: str) -> str:
    run_id: str = _row(server, "flow_runs", name)["id"]
    return run_id


def _an_old_world(server: PrefectServer) -> set[tuple[str, str]]:
    """Everything is an hour old but for one row in each stream, which moves the cursor to the
    present.

    These come with the next sync once more, for they may have been in flight. They are returned.
    """
    make_one_of_everything(server)
    flow_id = _row(server, "flows", "load-orders")["id"]
    for state in ("RUNNING", "FAILED", "COMPLETED"):
        make_run(server, flow_id, state, name=state.lower())
    make_run(server, flow_id, name="due in a week", due=datetime.now(UTC) + timedelta(days=7))
    make_task_run(server, _run_named(server, "running"), "load", "RUNNING")
    age(server, HOUR)
    new_flow_id = make_flow(server, "heartbeat")
    new_run_id = make_run(server, new_flow_id, "COMPLETED", name="heartbeat")
    # Deployments are compared by their content: an unchanged one is not sent again.
    make_deployment(server, new_flow_id, "heartbeat")
    return {
        ("flows", new_flow_id),
        ("flow_runs", new_run_id),
        ("task_runs", make_task_run(server, new_run_id, "heartbeat", "COMPLETED")),
        ("artifacts", server.post("artifacts/", {"key": "heartbeat", "data": "ok"})["id"]),
        ("variables", server.post("variables/", {"name": "heartbeat", "value": "ok"})["id"]),
    }


class OldWorld(NamedTuple):
    """The database of `_an_old_world`, the rows that come once more, and the first sync."""

    database: Path
    heartbeat: set[tuple[str, str]]
    first: Sync


@pytest.fixture(scope="module")
def synced(server: PrefectServer, config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> OldWorld:
    server.clear()
    heartbeat = _an_old_world(server)
    database = tmp_path_factory.mktemp("old-world") / "prefect.db"
    server.save(database)
    return OldWorld(database, heartbeat, read_here(config).ok())


@pytest.fixture
def old_world(synced: OldWorld, server: PrefectServer) -> OldWorld:
    """The server is what it was when the first sync read it."""
    server.restore(synced.database)
    return synced


@pytest.mark.parametrize("change", CHANGES)
def test_the_next_sync_brings_exactly_what_changed(
    change: Callable[[PrefectServer], tuple[str, str]],
    server: PrefectServer,
    config: dict[str, Any],
    old_world: OldWorld,
) -> None:
    stream, row_id = change(server)
    second = read_here(config, state=old_world.first.state)
    changed = _changed(second)
    if stream == "deployments":
        # Another one that shares a digest with it may come too.
        changed = {each for each in changed if each[0] != stream or each[1] == row_id}
    assert changed == {(stream, row_id)} | old_world.heartbeat
    assert len(second.ids(stream)) == len(set(second.ids(stream)))
    assert comparable(second.by_id(stream)[row_id]) == _rows(server, stream)[row_id]


def test_nothing_new_brings_next_to_nothing(config: dict[str, Any], old_world: OldWorld) -> None:
    assert len(_changed(old_world.first)) > 2 * len(old_world.heartbeat)
    second = read_here(config, state=old_world.first.state)
    third = read_here(config, state=second.state)
    assert _changed(second) == _changed(third) == old_world.heartbeat


def test_the_cursor_never_goes_back(config: dict[str, Any], old_world: OldWorld) -> None:
    syncs = [old_world.first]
    for _ in range(2):
        syncs.append(read_here(config, state=syncs[-1].state).ok())
    cursors: dict[str, list[datetime]] = {stream: [] for stream in STREAMS}
    for sync in syncs:
        for stream in STREAMS:
            cursors[stream].append(as_time(sync.cursor(stream) or ""))
    assert all(times == sorted(times) for times in cursors.values()), cursors


def test_the_boundary_is_inclusive(server: PrefectServer, config: dict[str, Any]) -> None:
    """A row changed at the cursor (less what may be in flight) comes; one just before does not."""
    make_one_of_everything(server)
    cursor = datetime.now(UTC).replace(microsecond=0) - HOUR
    boundary = cursor - IN_FLIGHT
    flow_id = _row(server, "flows", "load-orders")["id"]
    ids: dict[str, list[str]] = {"flows": [], "variables": [], "artifacts": [], "deployments": []}
    for n in range(3):
        ids["flows"].append(make_flow(server, f"flow-{n}"))
        ids["variables"].append(server.post("variables/", {"name": f"variable_{n}", "value": n})["id"])
        ids["artifacts"].append(server.post("artifacts/", {"key": f"artifact-{n}", "data": n})["id"])
        ids["deployments"].append(make_deployment(server, flow_id, f"deployment-{n}", cron=None))
    millisecond = timedelta(milliseconds=1)
    times = [boundary - millisecond, boundary, boundary + millisecond]
    for table in ids:
        execute(server, f"UPDATE {table[:-1]} SET updated = '2026-01-01 00:00:00.000000'")
        for row_id, time in zip(ids[table], times, strict=True):
            text = time.strftime("%Y-%m-%d %H:%M:%S.%f")
            execute(server, f"UPDATE {table[:-1]} SET updated = ? WHERE id = ?", text, row_id)
    execute(server, "DELETE FROM deployment_schedule")
    execute(server, "DELETE FROM flow_run")
    ids["flow_runs"] = insert_flow_runs(server.database, flow_id, [Run(t, boundary - HOUR, updated=t) for t in times])
    # Deployments are compared with the digests of a sync before.
    state = read_here(config, [*ids]).ok().state
    for message in state:
        message["stream"]["stream_state"]["updated"] = f"{cursor:%FT%T.%fZ}"
    sync = read_here(config, state=state).ok()
    del ids["deployments"]
    assert sync.ids("deployments") == []
    assert {stream: set(sync.ids(stream)) for stream in ids} == {stream: set(ids[stream][1:]) for stream in ids}


def test_the_union_of_syncs_equals_a_full_refresh(server: PrefectServer, config: dict[str, Any]) -> None:
    """One destination that keeps the last row of each id, through five hours of changes."""
    small_pages = {**config, "page_size": 3}
    make_one_of_everything(server)
    warehouse: dict[str, dict[str, Any]] = {stream: {} for stream in STREAMS}
    cursor = None
    for hour in range(5):
        age(server, HOUR)
        flow_id = make_flow(server, f"flow-{hour}")
        make_deployment(server, flow_id, "nightly")
        runs = [make_run(server, flow_id, state, name=f"{state} {hour}") for state in ("RUNNING", "FAILED", "CRASHED")]
        make_task_run(server, runs[0], f"extract-{hour}", "RUNNING")
        for row in server.rows("flow_runs")[hour::3]:
            set_state(server, "flow_runs", row["id"], ["COMPLETED", "SCHEDULED", "CANCELLED"][hour % 3])
        for row in server.rows("task_runs")[hour % 2 :: 2]:
            set_state(server, "task_runs", row["id"], ["COMPLETED", "RUNNING", "FAILED"][hour % 3])
        sync = read_here(small_pages, state=cursor).ok()
        cursor = sync.state
        for stream in STREAMS:
            warehouse[stream].update(sync.by_id(stream))
    whole = read_here(small_pages, sync_mode="full_refresh").ok()
    for stream in STREAMS:
        assert len(whole.ids(stream)) == len(set(whole.ids(stream)))
        by_syncs, at_once = _timeless(warehouse[stream]), _timeless(whole.by_id(stream))
        assert by_syncs.keys() == at_once.keys()
        for row_id, row in at_once.items():
            assert by_syncs[row_id] == row
        assert at_once == _timeless(_rows(server, stream))


def _timeless(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The rows without what `age` changes behind the connector's back."""
    moved = {"created", "updated", "expected_start_time", "start_time", "end_time", "state_timestamp", "schedules"}
    moved |= {"estimated_run_time", "total_run_time", "estimated_start_time_delta"}
    return {k: {c: v for c, v in row.items() if v is not None and c not in moved} for k, row in rows.items()}
