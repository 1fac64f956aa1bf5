"""The tables of an hour-old server's sync, without a server; what made-up tables share."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from devtools.data.tables import Row, Tables

AS_OF = datetime(2026, 11, 20, 12, 0)
UI = "http://prefect.example.com"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def young() -> Tables:
    """One flow, and a run every ten minutes."""
    flow = {"id": "flow", "name": "load-orders", "tags": "[]", "ui_url": f"{UI}/flows/flow/flow"}
    runs = [
        {"id": f"run-{number}", "name": f"run-{number}", "flow_id": "flow", "state_type": "COMPLETED",
         "state_name": "Completed", "created": start, "expected_start_time": start, "start_time": start,
         "end_time": start + timedelta(seconds=40), "total_run_time": 40.0, "run_count": 1,
         "ui_url": f"{UI}/runs/flow-run/run-{number}", "_airbyte_extracted_at": AS_OF}
        for number, start in enumerate(AS_OF - timedelta(minutes=minutes) for minutes in range(10, 60, 10))
    ]  # fmt: skip
    return {"flows": [flow], "flow_runs": runs}


def declared_edge(
    source: str | None, destination: str | None, flow: str, deployment: str | None, name: str, **columns: Any
) -> Row:
    """A row of the stream `lineage`."""
    row: Row = {"id": json.dumps([source, destination, flow, deployment]), "flow_id": flow, "deployment_id": deployment,
                "flow_name": name, "source": source, "destination": destination,
                "ui_url": f"{UI}/flows/flow/{flow}"}  # fmt: skip
    for side, table in (("source", source), ("destination", destination)):
        parts = table.split(".")[-3:] if table else [None, None, None]
        row |= dict(zip((f"{side}_database", f"{side}_schema", f"{side}_table"), parts, strict=True))
    return {**row, **columns}


def flow(name: str, **columns: Any) -> Row:
    return {"id": name, "name": name, "tags": "[]", "ui_url": f"{UI}/flows/flow/{name}", **columns}


def deployment(flow: str, *, paused: bool = False, tags: str = "[]", **columns: Any) -> Row:
    return {
        "id": f"{flow}-deployment", "flow_id": flow, "name": "prod", "paused": paused, "tags": tags,
        "work_pool_name": "shop", "ui_url": f"{UI}/deployments/deployment/{flow}", **columns,
    }  # fmt: skip


def schedule(flow: str, *, is_active: bool = True, updated: datetime = AS_OF - 90 * DAY, **columns: Any) -> Row:
    return {
        "id": f"{flow}-schedule", "deployment_id": f"{flow}-deployment", "deployment_name": "prod", "flow_id": flow,
        "active": True, "is_active": is_active, "updated": updated, "schedule_day_or": True, **columns,
    }  # fmt: skip


def run(
    flow: str, due: datetime, *, deployment: bool = True, took: timedelta | None = timedelta(minutes=1),
    late: timedelta = timedelta(seconds=2), state: str = "COMPLETED", **columns: Any,
) -> Row:  # fmt: skip
    """A run that began `late` after it was due and `took` so long; None if it has not ended."""
    start = due + late
    run_id = columns.get("id") or f"{flow}-{due:%m%dT%H%M%S}"
    return {
        "id": run_id, "name": run_id, "flow_id": flow, "deployment_id": f"{flow}-deployment" if deployment else None,
        "created": due - HOUR, "auto_scheduled": deployment, "expected_start_time": due, "start_time": start,
        "end_time": start + took if took else None, "total_run_time": took.total_seconds() if took else 0.0,
        "run_count": 1, "state_type": state, "state_name": state.title(), "tags": '["nightly"]',
        "ui_url": f"{UI}/runs/flow-run/{run_id}", "_airbyte_extracted_at": AS_OF, **columns,
    }  # fmt: skip


def planned(flow: str, due: datetime, **columns: Any) -> Row:
    """A run that has not begun."""
    return run(flow, due, took=None, state="SCHEDULED", start_time=None, run_count=0, **columns)


def every(step: timedelta, begin: datetime, end: datetime) -> Iterator[datetime]:
    while begin < end:
        yield begin
        begin += step


def change(event: str, occurred: datetime, object_id: str, **columns: Any) -> Row:
    """A row of the stream `change_log`."""
    return {
        "id": f"{event}-{columns.get('field')}", "event_id": event, "occurred": occurred,
        "object_type": "deployment", "object_id": object_id, "action": "updated", **columns,
    }  # fmt: skip


def materialization(asset: str, result: str, occurred: datetime, flow: str, run_id: str | None, **columns: Any) -> Row:
    return {
        "id": f"{asset}-{result}-{run_id}", "asset": asset, "result": result, "occurred": occurred, "flow_id": flow,
        "flow_name": flow, "flow_run_id": run_id, "_airbyte_extracted_at": AS_OF, **columns,
    }  # fmt: skip


def asset_edge(source: str, destination: str, result: str, occurred: datetime, flow: str, run_id: str) -> Row:
    return {
        "id": f"{source}-{destination}", "source": source, "destination": destination, "result": result,
        "occurred": occurred, "flow_id": flow, "flow_name": flow, "flow_run_id": run_id,
    }  # fmt: skip
