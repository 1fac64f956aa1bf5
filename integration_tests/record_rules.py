"""The rules of the records, said once more in plain words: what a row of the API has to become."""

import json
from datetime import datetime
from typing import Any

STREAMS = ["flows", "deployments", "flow_runs", "task_runs", "artifacts", "variables"]

# Objects of fixed shape: their fields become columns. The inner ones have the names that they have
# got by then.
OBJECTS = {
    "flows": [],
    "deployments": ["created_by", "updated_by", "global_concurrency_limit", "concurrency_options"],
    "flow_runs": ["state", "state_state_details", "empirical_policy", "created_by"],
    "task_runs": ["state", "state_state_details", "empirical_policy"],
    "artifacts": [],
    "variables": [],
}

# Arrays, maps with keys that people choose, and values of any kind: JSON text, in which a string
# stays itself.
JSON_TEXT = {
    "flows": ["tags", "labels"],
    "deployments": [
        *("tags", "labels", "schedules", "parameters", "job_variables", "pull_steps", "parameter_openapi_schema"),
    ],
    "flow_runs": [
        *("tags", "labels", "parameters", "context", "job_variables"),
        *("state_data", "state_state_details_run_input_keyset", "empirical_policy_pause_keys"),
    ],
    "task_runs": [
        *("tags", "labels", "task_inputs", "state_data"),
        *("state_state_details_run_input_keyset", "empirical_policy_retry_delay"),
    ],
    "artifacts": ["data", "metadata_"],
    "variables": ["tags", "value"],
}

PAGES = {
    "flows": "flows/flow",
    "deployments": "deployments/deployment",
    "flow_runs": "runs/flow-run",
    "task_runs": "runs/task-run",
}

ADDED = {
    "flows": {"ui_url"},
    "deployments": {"ui_url", "schedule", "is_schedule_active"},
    "flow_runs": {"ui_url"},
    "task_runs": {"ui_url"},
    "artifacts": set[str](),
    "variables": {"value_type"},
}

# Of an unfinished run, the server computes these for each answer.
ESTIMATES = ("estimated_run_time", "estimated_start_time_delta")

VALUE_TYPES = {str: "string", int: "number", float: "number", bool: "boolean", dict: "object", list: "array"}


def expected_row(stream: str, api: dict[str, Any], ui: str) -> dict[str, Any]:
    row = dict(api)
    if stream in PAGES:
        row["ui_url"] = f"{ui}/{PAGES[stream]}/{row['id']}"
    if stream == "deployments":
        active = [schedule["schedule"] for schedule in row["schedules"] if schedule["active"]]
        row["schedule"] = _schedule_text(active[0]) if active else None
        row["is_schedule_active"] = bool(active) and not row["paused"]
        row["updated"] = max([row["updated"], *(s["updated"] for s in row["schedules"])], key=as_time)
    if stream == "variables":
        row["value_type"] = VALUE_TYPES.get(type(row["value"]), "null")
    for column in OBJECTS[stream]:
        # An object that is null, or that this Prefect does not have yet, has no columns.
        for field, value in (row.pop(column, None) or {}).items():
            assert row.get(f"{column}_{field}", value) == value, "a nested field and a column of one name differ"
            row[f"{column}_{field}"] = value
    for column in JSON_TEXT[stream]:
        if column in row and row[column] is not None and not isinstance(row[column], str):
            row[column] = json.dumps(row[column], ensure_ascii=False, separators=(",", ":"))
    return row


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    """The row without nulls, which the CDK leaves out, and without what differs by the moment."""
    is_unfinished_run = "expected_start_time" in row and not row.get("end_time")
    if is_unfinished_run:
        assert all(isinstance(row[column], float) for column in ESTIMATES)
    left_out = ESTIMATES if is_unfinished_run else ()
    return {column: value for column, value in row.items() if value is not None and column not in left_out}


def as_time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _schedule_text(schedule: dict[str, Any]) -> str:
    if "interval" in schedule:
        return f"every {schedule['interval']:.0f}s"
    text: str = schedule["cron"] if "cron" in schedule else schedule["rrule"]
    return text
