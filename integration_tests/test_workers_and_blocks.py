"""Workers, queues' status, blocks, task run transitions: what people on call look for."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from devtools.connector import read_here as read
from devtools.connector import run_here
from devtools.data.seeding import make_block, make_flow, make_run
from devtools.servers.cloud import Workspace, cloud
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Proxy, Request

STREAMS = ["workers", "work_queue_status", "block_documents", "task_run_state_transitions"]
# Where the API has each: the path that a request names.
PATHS = {
    "workers": "/workers/filter",
    "work_queue_status": "/status",
    "block_documents": "block_documents/filter",
}
SECRETS = ("open sesame", "known to the team")


@pytest.fixture(scope="module")
def documents(server: PrefectServer) -> list[dict[str, Any]]:
    server.post("block_types/install_system_block_types")
    for document in server.rows("block_documents"):
        server.delete(f"block_documents/{document['id']}")
    return [
        make_block(server, "password", "secret", {"value": SECRETS[0]}),
        make_block(server, "results", "local-file-system", {"basepath": SECRETS[1]}),
    ]


@pytest.fixture(scope="module")
def pools(server: PrefectServer, documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Pools with several workers, one or none, and a queue with late runs."""
    for name, workers in (("Köln 1", 3), ("shop", 1), ("idle", 0)):
        server.post("work_pools/", {"name": name, "type": "process"})
        for number in range(workers):
            server.post(f"work_pools/{name}/workers/heartbeat", {"name": f"worker {number}"})
    flow = make_flow(server)
    variables = {"storage": {"$ref": {"block_document_id": documents[1]["id"]}}}
    body = {"name": "nightly", "flow_id": flow, "work_pool_name": "shop", "job_variables": variables}
    deployment = server.post("deployments/", body)
    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    late = {"type": "SCHEDULED", "name": "Late", "state_details": {"scheduled_time": past}}
    for _ in range(2):
        run = server.post(f"deployments/{deployment['id']}/create_flow_run", {})
        server.post(f"flow_runs/{run['id']}/set_state", {"state": late, "force": True})
    return {pool["name"]: pool for pool in server.rows("work_pools")}


@pytest.fixture(scope="module")
def transitions(server: PrefectServer) -> tuple[str, list[dict[str, Any]]]:
    """The events of a task run, as Prefect's client sends them, and one that tells of no state."""
    flow_run, task_run = make_run(server, make_flow(server), "RUNNING"), str(uuid4())
    events: list[dict[str, Any]] = []
    for before, after in ((None, "Pending"), ("Pending", "Running"), ("Running", "Completed")):
        payload = {
            "initial_state": before and {"type": before.upper(), "name": before},
            "validated_state": {"type": after.upper(), "name": after, "message": f"It is {after}."},
            "task_run": {"name": "load-0", "task_key": "load-1a2b", "dynamic_key": "0", "task_inputs": {}},
        }
        events.append(task_run_event(task_run, flow_run, after, payload, events[-1]["id"] if events else None))
    server.post("events", [*events, task_run_event(task_run, flow_run, "heartbeat", {}, None)])
    server.wait_for_events()
    return flow_run, events


def task_run_event(task_run: str, flow_run: str, name: str, payload: Any, follows: str | None) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": f"prefect.task-run.{name}",
        "resource": {
            "prefect.resource.id": f"prefect.task-run.{task_run}",
            "prefect.resource.name": "load-0",
            "prefect.run-count": "1",
            "prefect.orchestration": "client",
        },
        "related": [
            {
                "prefect.resource.id": f"prefect.flow-run.{flow_run}",
                "prefect.resource.role": "flow-run",
                "prefect.resource.name": "brave-owl",
            },
            {"prefect.resource.id": "prefect.tag.shop", "prefect.resource.role": "tag"},
        ],
        "payload": payload,
        "follows": follows,
    }


def without_nulls(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def rows_of(server: PrefectServer, pools: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        worker["id"]: without_nulls({**worker, "work_pool_name": name})
        for name in pools
        for worker in server.post(f"work_pools/{name}/workers/filter", {})
    }


@pytest.mark.parametrize("page_size", [2, 200])
def test_the_workers_of_every_pool_are_rows(
    server: PrefectServer, gate: Proxy, pools: dict[str, dict[str, Any]], page_size: int
) -> None:
    gate.log.clear()
    config = {"connection": {"type": "server", "api_url": gate.url}, "page_size": page_size}
    sync = read(config, ["workers"]).ok()
    assert sync.by_id("workers") == rows_of(server, pools)
    assert sorted((row["work_pool_name"], row["name"], row["status"]) for row in sync.records["workers"]) == [
        *(("Köln 1", f"worker {number}", "ONLINE") for number in range(3)),
        ("shop", "worker 0", "ONLINE"),
    ]
    if page_size == 200:
        assert len(gate.log) == 1 + len(pools)
    # It has no cursor: the next one brings all again, a worker that has stopped as well.
    assert read(config, ["workers"], sync.state).ok().by_id("workers").keys() == sync.by_id("workers").keys()


def test_the_status_of_every_queue_is_a_row_for_one_request(
    server: PrefectServer, gate: Proxy, pools: dict[str, dict[str, Any]]
) -> None:
    gate.log.clear()
    sync = read({"connection": {"type": "server", "api_url": gate.url}}, ["work_queue_status"]).ok()
    queues = server.rows("work_queues")
    assert len(gate.log) == 1 + len(queues)
    expected = {}
    for queue in queues:
        status = server.get(f"work_queues/{queue['id']}/status")
        policy = {f"health_check_policy_{name}": value for name, value in status.pop("health_check_policy").items()}
        names = {name: queue[name] for name in ("id", "name", "work_pool_id", "work_pool_name")}
        expected[queue["id"]] = without_nulls({**status, **policy, **names})
    assert sync.by_id("work_queue_status") == expected
    late = {row["work_pool_name"]: row["late_runs_count"] for row in sync.records["work_queue_status"]}
    assert late == {name: 2 if name == "shop" else 0 for name in pools}


def test_block_documents_are_an_inventory_without_a_value(
    server: PrefectServer, gate: Proxy, documents: list[dict[str, Any]]
) -> None:
    gate.log.clear()
    config = {"connection": {"type": "server", "api_url": gate.url}}
    sync = read(config, ["block_documents"]).ok()
    assert [request.body["include_secrets"] for request in gate.log if request.body] == [False]
    assert not any(secret in json.dumps(vars(sync)) for secret in SECRETS)
    expected = []
    for document in documents:
        kind, schema = document["block_type"], document["block_schema"]
        known = {name: document[name] for name in ("id", "name", "is_anonymous", "block_type_id", "block_schema_id")}
        expected.append(
            {
                **known,
                "block_type_name": kind["name"],
                "block_type_slug": kind["slug"],
                "block_schema_version": schema["version"],
                "capabilities": json.dumps(schema["capabilities"], separators=(",", ":")),
                "used_block_documents": "[]",
            }
        )
    times = {"created", "updated"}
    found = [
        {name: value for name, value in row.items() if name not in times} for row in sync.records["block_documents"]
    ]
    assert sorted(found, key=str) == sorted(expected, key=str)
    server.patch(f"block_documents/{documents[0]['id']}", {"data": {"value": "another one"}})
    later = read(config, ["block_documents"], sync.state).ok()
    assert documents[0]["id"] in later.ids("block_documents")


def test_every_change_of_state_of_a_task_run_is_a_row(
    config: dict[str, Any], transitions: tuple[str, list[dict[str, Any]]]
) -> None:
    flow_run, events = transitions
    sync = read(config, ["task_run_state_transitions"]).ok()
    rows = sorted(sync.records["task_run_state_transitions"], key=lambda row: str(row["occurred"]))
    assert [row["id"] for row in rows] == [event["id"] for event in events]
    assert [(row.get("from_state_name"), row["to_state_name"]) for row in rows] == [
        (None, "Pending"),
        ("Pending", "Running"),
        ("Running", "Completed"),
    ]
    last = {name: value for name, value in rows[-1].items() if name not in ("occurred", "received")}
    assert last == {
        "id": events[-1]["id"],
        "task_run_id": events[-1]["resource"]["prefect.resource.id"].rpartition(".")[2],
        "task_run_name": "load-0",
        "task_key": "load-1a2b",
        "run_count": 1,
        "from_state_type": "RUNNING",
        "from_state_name": "Running",
        "to_state_type": "COMPLETED",
        "to_state_name": "Completed",
        "to_state_message": "It is Completed.",
        "follows": events[-2]["id"],
        "flow_run_id": flow_run,
        "flow_run_name": "brave-owl",
        "tags": '["shop"]',
    }
    later = read(config, ["task_run_state_transitions"], sync.state).ok()
    assert set(later.ids("task_run_state_transitions")) <= {event["id"] for event in events}


@pytest.mark.parametrize("stream", sorted(PATHS))
@pytest.mark.parametrize("status", [404, 403])
def test_where_it_cannot_be_read_the_check_says_so_and_a_sync_fails_alone(
    gate: Proxy, pools: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, stream: str, status: int
) -> None:
    assert pools
    monkeypatch.setattr("source_prefect.check.STREAMS_SECONDS", 60.0)

    def behave(request: Request, forward: Forward) -> Answer:
        refused = request.path.endswith(PATHS[stream])
        return Answer(status, b'{"detail":"Not Found"}') if refused else forward(request)

    gate.behaviour = behave
    config = {"connection": {"type": "server", "api_url": gate.url}}
    [message] = [m["connectionStatus"] for m in run_here("check", config) if m["type"] == "CONNECTION_STATUS"]
    assert message["status"] == "SUCCEEDED"
    assert f"these streams cannot be read: {stream} (" in message["message"]
    sync = read(config, [*STREAMS, "flows"])
    gate.behaviour = lambda request, forward: forward(request)
    assert {name: statuses[-1] for name, statuses in sync.statuses.items()} == {
        name: "INCOMPLETE" if name == stream else "COMPLETE" for name in [*STREAMS, "flows"]
    }
    assert f"({status})" in sync.errors[0]["message"]


@pytest.mark.parametrize("stream", ["workers", "work_queue_status"])
def test_what_is_deleted_while_it_is_read_is_no_failure(
    server: PrefectServer, gate: Proxy, pools: dict[str, dict[str, Any]], stream: str
) -> None:
    doomed = server.post("work_pools/", {"name": "doomed", "type": "process"})["name"]

    def behave(request: Request, forward: Forward) -> Answer:
        if request.path.endswith(PATHS[stream]) and doomed in {pool["name"] for pool in server.rows("work_pools")}:
            server.delete(f"work_pools/{doomed}")
        return forward(request)

    gate.behaviour = behave
    sync = read({"connection": {"type": "server", "api_url": gate.url}}, [stream]).ok()
    gate.behaviour = lambda request, forward: forward(request)
    assert {row["work_pool_name"] for row in sync.records[stream]} <= pools.keys()


def test_each_workspace_of_prefect_cloud_has_its_own(
    server: PrefectServer, pools: dict[str, dict[str, Any]], transitions: tuple[str, list[dict[str, Any]]]
) -> None:
    assert pools
    assert transitions
    of_server = read({"connection": {"type": "server", "api_url": server.url}}, STREAMS).ok()
    with cloud([Workspace(server.url, "One"), Workspace(server.url, "Two")]) as front:
        connection = {"type": "cloud", "api_key": front.keys[0].text, "api_url": front.url, "workspaces": ["all"]}
        sync = read({"connection": connection}, STREAMS).ok()
        ids = {workspace.workspace_id for workspace in front.workspaces}
    for stream in STREAMS:
        for workspace in ids:
            found = [row["id"] for row in sync.records[stream] if row["workspace_id"] == workspace]
            assert sorted(found) == sorted(of_server.ids(stream)) != []


# The module's rows are gone after this.
def test_a_real_task_run_tells_its_flow_run(filled_server: PrefectServer) -> None:
    config = {"connection": {"type": "server", "api_url": filled_server.url}}
    sync = read(config, ["task_run_state_transitions", "task_runs"]).ok()
    known = {row["id"]: (row["flow_run_id"], row["task_key"]) for row in sync.records["task_runs"]}
    told = {
        row["task_run_id"]: (row["flow_run_id"], row["task_key"]) for row in sync.records["task_run_state_transitions"]
    }
    assert told
    assert told.items() <= known.items()
