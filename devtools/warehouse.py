"""The tables of a sync of an hour-old server, without a server, and what made-up tables have in common."""

import json
from datetime import datetime, timedelta

from devtools.tables import Row, Tables

AS_OF = datetime(2026, 11, 20, 12, 0)
UI = "http://prefect.example.com"


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


def declared_edge(source: str | None, destination: str | None, flow: str, deployment: str | None, name: str) -> Row:
    """A row of the stream `lineage`."""
    row: Row = {"id": json.dumps([source, destination, flow, deployment]), "flow_id": flow, "deployment_id": deployment,
                "flow_name": name, "source": source, "destination": destination,
                "ui_url": f"{UI}/flows/flow/{flow}"}  # fmt: skip
    for side, table in (("source", source), ("destination", destination)):
        parts = table.split(".")[-3:] if table else [None, None, None]
        row |= dict(zip((f"{side}_database", f"{side}_schema", f"{side}_table"), parts, strict=True))
    return row
