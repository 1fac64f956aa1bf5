"""A few runs of every kind, as the tables of a sync, and the events that are made from them."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from prefect_openlineage.__main__ import main

ROOT = Path(__file__).resolve().parent.parent
MAPPING = ROOT / "prefect_openlineage" / "mapping.yml"

Event = dict[str, Any]

DUE = datetime(2026, 11, 20, 2, 0)
SYNCED = datetime(2026, 11, 20, 12, 0)
DONE, FAILED, CRASHED, CANCELLED, RUNNING, PLANNED, SUBFLOW, RETRYING = (
    f"00000000-0000-4000-8000-00000000000{n}" for n in range(8)
)
MAKE, STANDS_FOR, CHECK = (f"00000000-0000-4000-9000-00000000000{n}" for n in range(3))


def flow_run(run_id: str, state: str, *, began: bool = True, **columns: Any) -> dict[str, Any]:
    ended = state in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    return {
        "id": run_id, "name": "happy-otter", "state_type": state, "state_name": state.title(), "state_message": None,
        "run_count": 2, "ui_url": f"http://prefect.example.com/runs/flow-run/{run_id}",
        "state_timestamp": DUE + timedelta(seconds=70), "expected_start_time": DUE,
        "start_time": DUE + timedelta(seconds=3) if began else None,
        "end_time": DUE + timedelta(seconds=70) if ended else None, "tags": "[]",
        "_airbyte_extracted_at": SYNCED, "flow_id": "flow", "deployment_id": "deployment",
        "parent_task_run_id": None, "auto_scheduled": False, **columns,
    }  # fmt: skip


def task_run(run_id: str, task_key: str, flow_run_id: str, **columns: Any) -> dict[str, Any]:
    row = flow_run(run_id, "COMPLETED")
    for column in ("flow_id", "deployment_id", "parent_task_run_id", "auto_scheduled"):
        del row[column]
    stands_for = {"state_state_details_child_flow_run_id": None}
    return row | {"task_key": task_key, "flow_run_id": flow_run_id} | stands_for | columns


def made(asset_id: str, flow_run_id: str | None, task_run_id: str | None, **columns: Any) -> dict[str, Any]:
    return {
        "id": asset_id, "asset": "postgres://prod/warehouse/mart/customers",
        "upstream_assets": '["s3://shop-exports/customers.parquet"]', "flow_run_id": flow_run_id,
        "task_run_id": task_run_id, "_airbyte_extracted_at": SYNCED, **columns,
    }  # fmt: skip


STEPS = [{"prefect.deployments.steps.git_clone": {"repository": "https://github.com/acme/flows.git", "branch": "main"}}]
TABLES: dict[str, list[dict[str, Any]]] = {
    "flows": [
        {"id": "flow", "name": "load-orders", "tags": '["owner:Ana"]'},
        {"id": "child", "name": "check-quality", "tags": None},
    ],
    "deployments": [
        {
            "id": "deployment", "name": "nightly", "description": "Every night, **all** regions",
            "entrypoint": "etl/orders.py:load_orders", "pull_steps": json.dumps(STEPS),
            "schedule": "0 2 * * *", "ui_url": "http://prefect.example.com/deployments/deployment/deployment",
            "tags": '["nightly","team:sales","om-source:shop.public.orders"]',
        }
    ],
    "lineage": [
        {"source": "shop.public.orders", "destination": "warehouse.staging.orders", "flow_id": "flow",
         "deployment_id": "deployment"},
        {"source": "crm.api.contacts", "destination": None, "flow_id": "flow", "deployment_id": "deployment"},
    ],
    "flow_runs": [
        flow_run(DONE, "COMPLETED", auto_scheduled=True, tags='["auto-scheduled","nightly"]'),
        flow_run(FAILED, "FAILED", state_message="CRM answered 503: „Wartung“"),
        flow_run(CRASHED, "CRASHED", state_message="x" * 20_000),
        flow_run(CANCELLED, "CANCELLED", began=False, state_message="The CRM is down"),
        flow_run(RUNNING, "RUNNING"),
        flow_run(PLANNED, "SCHEDULED", began=False),
        flow_run(SUBFLOW, "COMPLETED", flow_id="child", deployment_id=None, parent_task_run_id=STANDS_FOR),
        flow_run(RETRYING, "SCHEDULED", state_message="Awaiting retry"),
    ],
    "task_runs": [
        task_run(MAKE, "build_customers-0a1b2c3d", DONE),
        task_run(STANDS_FOR, "check_quality-0a1b2c3d", DONE, state_state_details_child_flow_run_id=SUBFLOW),
        task_run(CHECK, "check-rows-0a1b2c3d", SUBFLOW),
    ],
    "asset_materializations": [made("a", DONE, MAKE)],
}  # fmt: skip


def events_in(file: Path) -> list[Event]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def emitted(database: Path | str, file: Path, *options: str) -> list[Event]:
    """The events that a call writes into a file, which is taken away again."""
    assert main([str(database), "--mapping", str(MAPPING), "--file", str(file), *options]) == 0
    events = events_in(file) if file.exists() else []
    file.unlink(missing_ok=True)
    return events


def told(events: list[Event]) -> list[tuple[str, str, str]]:
    return [(event["run"]["runId"], event["eventType"], event["job"]["name"]) for event in events]


def update(file: Path, statement: str, *values: Any) -> None:
    with duckdb.connect(str(file)) as connection:
        connection.execute(statement, values)
