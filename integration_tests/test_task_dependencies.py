"""Which task run depends on what: the edges of real runs, and what a later sync brings of them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import read_here as read
from devtools.data.seeding import execute, make_flow, make_run, make_task_run, state_at
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import proxy

STREAM = "task_dependencies"
# How far a sync reaches back behind its cursor, for transactions that were still in flight.
IN_FLIGHT = timedelta(minutes=5)

# Origins that Prefect's API accepts in addition to the task runs of the flows: the column of the
# origin, and its value.
OTHER_ORIGINS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "region": ({"input_type": "parameter", "name": "regions"}, {"parameter_name": "regions"}),
    "limit": ({"input_type": "constant", "type": "int"}, {"constant_type": "int"}),
    "wait_for": (
        {"input_type": "flow_run", "id": "5b1d5e4e-4f9a-4a0b-8d3c-1f6f0e9c7a21"},
        {"upstream_flow_run_id": "5b1d5e4e-4f9a-4a0b-8d3c-1f6f0e9c7a21"},
    ),
}


@pytest.fixture(scope="module")
def expected(filled_server: PrefectServer) -> list[dict[str, Any]]:
    """The edges by the API's account, without ids: of real flows, and a task run of the API."""
    inputs = {name: [origin] for name, (origin, _) in OTHER_ORIGINS.items()}
    flow_run = make_run(filled_server, make_flow(filled_server, "imported"), "COMPLETED")
    other = make_task_run(filled_server, flow_run, "imported", "COMPLETED", name="imported-0", task_inputs=inputs)
    edges = []
    for run in filled_server.rows("task_runs"):
        shared = {
            "updated": run["updated"],
            "flow_run_id": run["flow_run_id"],
            "task_run_id": run["id"],
            "task_run_name": run["name"],
            "task_key": run["task_key"],
        }
        for name, origins in run["task_inputs"].items():
            for origin in origins:
                upstream = OTHER_ORIGINS[name][1] if run["id"] == other else {"upstream_task_run_id": origin["id"]}
                edges.append({**shared, "input_name": name, "input_type": origin["input_type"], **upstream})
    # The three mapped task runs that a fourth takes the results of.
    assert len(edges) == 3 + len(OTHER_ORIGINS)
    return edges


def test_every_origin_of_every_input_is_a_row(config: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    syncs = [read({**config, "page_size": size}, [STREAM]).ok() for size in (200, 2)]
    for sync in syncs:
        rows = sync.records[STREAM]
        assert _sorted({**row, "id": ""} for row in rows) == _sorted({**edge, "id": ""} for edge in expected)
    first, second = (set(sync.ids(STREAM)) for sync in syncs)
    assert first == second
    assert len(first) == len(expected)


def test_the_boundary_of_a_later_sync_is_that_of_task_runs(server: PrefectServer) -> None:
    cursor = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    boundary, millisecond = cursor - IN_FLIGHT, timedelta(milliseconds=1)
    flow_run = make_run(server, make_flow(server, "boundary"), "COMPLETED")
    inputs = {"x": [OTHER_ORIGINS["region"][0]], "y": [OTHER_ORIGINS["limit"][0]]}
    runs = [make_task_run(server, flow_run, f"at-{n}", "COMPLETED", task_inputs=inputs) for n in range(3)]
    ended = f"{boundary - timedelta(hours=1):%F %T.%f}"
    execute(server, "UPDATE task_run SET updated = ?, end_time = ?", ended, ended)
    for run, at in zip(runs, (boundary - millisecond, boundary, boundary + millisecond), strict=True):
        execute(server, "UPDATE task_run SET updated = ? WHERE id = ?", f"{at:%F %T.%f}", run)
    with proxy(server.url) as counted:
        config = {"connection": {"type": "server", "api_url": counted.url}}
        task_runs = read(config, ["task_runs"], state_at(cursor, "task_runs")).ok().ids("task_runs")
        requests = len(counted.log)
        edges = read(config, [STREAM], state_at(cursor, STREAM)).ok().records[STREAM]
    assert sorted(task_runs) == sorted(runs[1:])
    assert sorted(edge["task_run_id"] for edge in edges) == sorted(2 * runs[1:])
    assert len(counted.log) == 2 * requests


def _sorted(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: sorted(row.items()))
