"""Which task runs a task run depends on: the edges in its `task_inputs`."""

import json
import uuid
from collections.abc import Iterator

from source_prefect.paging import Row
from source_prefect.records.flatten import objects_in

# The namespace of the ids of edges: another one would give every row a new id.
_EDGES = uuid.UUID("8f0f0b1e-52a4-4f0e-9a0c-3f7b5d0c6e11")


def task_edges(task_run: Row) -> Iterator[Row]:
    """One row for each origin of each input of the task run.

    An origin is another task run, a flow run, a parameter of the flow or a constant. An input
    whose origin Prefect did not track has no row.
    """
    inputs = task_run.get("task_inputs")
    for input_name, origins in inputs.items() if isinstance(inputs, dict) else ():
        for origin in objects_in(origins):
            kind, upstream = origin.get("input_type"), origin.get("id")
            # Prefect keeps the origins of an input as a set: the id depends on their content, not
            # on their order.
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
