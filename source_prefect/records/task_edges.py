"""Which task runs a task run depends on: the edges in its `task_inputs`."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

# The ids of all edges rest on it: with another one every row would be a new one.
_EDGES = uuid.UUID("8f0f0b1e-52a4-4f0e-9a0c-3f7b5d0c6e11")


def task_edges(task_run: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One row for each thing that an input of the task run comes from.

    That is another task run, a flow run, a parameter of the flow or a constant. An input whose origin Prefect did not
    track has no row. `task_inputs` may be an object, as the API sends it, or JSON text, as the stream `task_runs`
    holds it.
    """
    for input_name, origins in _inputs(task_run.get("task_inputs")).items():
        for origin in origins if isinstance(origins, list) else ():
            if not isinstance(origin, dict):
                continue
            kind, upstream = origin.get("input_type"), origin.get("id")
            # Prefect keeps the origins of an input as a set: what they are tells them apart, not their order.
            content = json.dumps([task_run.get("id"), input_name, origin], sort_keys=True)
            yield {
                "id": str(uuid.uuid5(_EDGES, content)),
                "updated": task_run.get("updated"),
                "flow_run_id": task_run.get("flow_run_id"),
                "task_run_id": task_run.get("id"),
                "task_run_name": task_run.get("name"),
                "task_key": task_run.get("task_key"),
                "input_name": input_name,
                "input_type": kind,
                "upstream_task_run_id": upstream if kind == "task_run" else None,
                "upstream_flow_run_id": upstream if kind == "flow_run" else None,
                "parameter_name": origin.get("name"),
                "constant_type": origin.get("type"),
            }


def _inputs(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}
