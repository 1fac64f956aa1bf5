"""Deployments whose changes move no time: a limit, a work queue, a schedule."""

from typing import Any

import pytest

from devtools.connector import State
from devtools.connector import read_here as read
from devtools.data.seeding import (
    execute,
    make_deployment,
    make_flow,
    now,
)
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Proxy, without_date
from source_prefect.times import latest


@pytest.fixture
def config(empty: PrefectServer) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": empty.url}, "page_size": 20}


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
    """The state of a sync that saw a change just now: the rows themselves are long unchanged."""
    for message in state:
        message["stream"]["stream_state"]["updated"] = f"{now():%FT%T.%f}Z"
    return state


def test_a_deleted_schedule_is_noticed_behind_a_proxy_without_a_clock(empty: PrefectServer, empty_gate: Proxy) -> None:
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
