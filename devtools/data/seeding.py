"""Rows made by the API or, where it cannot make them, in the server's database."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from devtools.connector import State
from devtools.data.bulk import Run, insert_flow_runs, insert_logs, insert_task_runs
from devtools.servers.prefect import PrefectServer

STATE_TYPES = [
    *("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"),
    *("COMPLETED", "FAILED", "CANCELLED", "CRASHED"),
]

# The streams of runs.
RUNS = ["flow_runs", "task_runs"]


def now() -> datetime:
    return datetime.now(UTC)


def make_flow(server: PrefectServer, name: str = "load-orders", **fields: Any) -> str:
    flow_id: str = server.post("flows/", {"name": name, **fields})["id"]
    return flow_id


def make_run(
    server: PrefectServer, flow_id: str, state: str = "SCHEDULED", *, due: datetime | None = None, **fields: Any
) -> str:
    """A flow run that was created as SCHEDULED and then forced into `state`."""
    scheduled: dict[str, Any] = {"type": "SCHEDULED"}
    if due:
        scheduled["state_details"] = {"scheduled_time": due.isoformat()}
    run_id: str = server.post("flow_runs/", {"flow_id": flow_id, "state": scheduled, **fields})["id"]
    if state == "CANCELLING":
        # What does not run yet would be cancelled at once.
        set_state(server, "flow_runs", run_id, "RUNNING")
    if state != "SCHEDULED":
        set_state(server, "flow_runs", run_id, state)
    return run_id


def make_task_run(server: PrefectServer, flow_run_id: str, key: str, state: str = "SCHEDULED", **fields: Any) -> str:
    body = {"flow_run_id": flow_run_id, "task_key": key, "dynamic_key": "0", "state": {"type": "SCHEDULED"}}
    run_id: str = server.post("task_runs/", body | fields)["id"]
    if state != "SCHEDULED":
        set_state(server, "task_runs", run_id, state)
    return run_id


def set_state(server: PrefectServer, table: str, run_id: str, state: str, **fields: Any) -> None:
    answer = server.post(f"{table}/{run_id}/set_state", {"state": {"type": state, **fields}, "force": True})
    assert answer["status"] == "ACCEPT", answer


def make_deployment(server: PrefectServer, flow_id: str, name: str, cron: str | None = "0 2 * * *") -> str:
    schedules = [{"schedule": {"cron": cron}, "active": True}] if cron else []
    body = {"name": name, "flow_id": flow_id, "schedules": schedules}
    deployment_id: str = server.post("deployments/", body)["id"]
    return deployment_id


def make_block(server: PrefectServer, name: str, slug: str, data: dict[str, Any]) -> dict[str, Any]:
    """A block document of one of Prefect's own types."""
    kind = server.get(f"block_types/slug/{slug}")
    schema = server.post("block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}})[0]
    body = {"name": name, "data": data, "block_type_id": kind["id"], "block_schema_id": schema["id"]}
    made: dict[str, Any] = server.post("block_documents/", body)
    return made


def add_worker_and_block(server: PrefectServer) -> None:
    """What pipelines that have run do not leave behind; without it, two streams have no row."""
    server.post("block_types/install_system_block_types")
    make_block(server, "crm-password", "secret", {"value": "open sesame"})
    server.post("work_pools/shop/workers/heartbeat", {"name": "shop-1"})


def insert_runs(server: PrefectServer, stream: str, runs: Sequence[Run]) -> list[str]:
    """Runs of a flow, or task runs of one of its runs; their ids."""
    flow = make_flow(server)
    if stream == "flow_runs":
        return insert_flow_runs(server.database, flow, runs)
    return insert_task_runs(server.database, make_run(server, flow), runs)


def make_pipeline(server: PrefectServer, name: str) -> None:
    """A flow with a deployment, a run, a task run, a log line and a work pool."""
    flow = make_flow(server, name)
    make_deployment(server, flow, name)
    make_task_run(server, make_run(server, flow, "COMPLETED"), name, "COMPLETED")
    insert_logs(server.database, [now()])
    server.post("work_pools/", {"name": name, "type": "process"})


def make_one_of_everything(server: PrefectServer) -> None:
    """At least one row in every stream."""
    flow_id = make_flow(server)
    make_deployment(server, flow_id, "nightly")
    run_id = make_run(server, flow_id, "COMPLETED")
    make_task_run(server, run_id, "extract", "COMPLETED")
    server.post("artifacts/", {"key": "report", "type": "markdown", "data": "# Orders"})
    server.post("variables/", {"name": "batch_size", "value": 500})


def age(server: PrefectServer, by: timedelta) -> None:
    """Move all times on the server into the past by this much, future times included."""
    with closing(sqlite3.connect(server.database, timeout=60)) as connection, connection:
        for table in ("flow", "deployment", "deployment_schedule", "flow_run", "flow_run_state", "task_run",
                      "task_run_state", "artifact", "variable"):  # fmt: skip
            columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            times = columns & {"created", "updated", "expected_start_time", "start_time", "end_time", "timestamp"}
            seconds = f"-{by.total_seconds():.0f} seconds"
            changes = ", ".join(f"{time} = strftime('%Y-%m-%d %H:%M:%f000', {time}, '{seconds}')" for time in times)
            connection.execute(f"UPDATE {table} SET {changes}")


def execute(server: PrefectServer, statement: str, *values: Any) -> None:
    """Change the server's database where the API cannot."""
    with closing(sqlite3.connect(server.database, timeout=60)) as connection, connection:
        connection.execute(statement, values)


def state_at(time: datetime, *streams: str) -> State:
    """The state of syncs that have brought these streams up to `time`."""
    cursor = {"updated": time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    return [
        {"type": "STREAM", "stream": {"stream_descriptor": {"name": stream}, "stream_state": cursor}}
        for stream in streams
    ]
