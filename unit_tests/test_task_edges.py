from typing import Any

import pytest

from source_prefect.records.task_edges import task_edges

# As a Prefect server of 3.8.8 sends it, but for the ids.
TASK_RUN: dict[str, Any] = {
    "id": "run-b",
    "updated": "2026-11-24T11:37:45.143000Z",
    "name": "b-e47",
    "flow_run_id": "flow-run",
    "task_key": "b-45f080e8",
    "task_inputs": {
        "x": [{"input_type": "task_run", "id": "run-a"}, {"input_type": "task_run", "id": "run-c"}],
        "y": [],
        "wait_for": [{"input_type": "flow_run", "id": "subflow"}],
        "region": [{"input_type": "parameter", "name": "region"}],
        "limit": [{"input_type": "constant", "type": "int"}],
    },
}


def told(task_run: dict[str, Any]) -> list[tuple[Any, ...]]:
    columns = ("input_name", "input_type", "upstream_task_run_id", "upstream_flow_run_id", "parameter_name",
               "constant_type")  # fmt: skip
    return [tuple(row[column] for column in columns) for row in task_edges(task_run)]


def test_each_origin_of_each_input_is_a_row() -> None:
    assert told(TASK_RUN) == [
        ("x", "task_run", "run-a", None, None, None),
        ("x", "task_run", "run-c", None, None, None),
        ("wait_for", "flow_run", None, "subflow", None, None),
        ("region", "parameter", None, None, "region", None),
        ("limit", "constant", None, None, None, "int"),
    ]


def test_a_row_names_the_task_run_that_has_the_input() -> None:
    first = next(task_edges(TASK_RUN))
    columns = ("updated", "flow_run_id", "task_run_id", "task_run_name", "task_key")
    assert [first[column] for column in columns] == [
        "2026-11-24T11:37:45.143000Z",
        "flow-run",
        "run-b",
        "b-e47",
        "b-45f080e8",
    ]


def test_ids_are_unique_and_the_same_in_every_sync() -> None:
    ids = [row["id"] for row in task_edges(TASK_RUN)]
    assert len(set(ids)) == 5
    inputs = TASK_RUN["task_inputs"]
    later = TASK_RUN | {
        "updated": "2026-11-25T00:00:00Z",
        "task_inputs": {
            name: [dict(reversed(origin.items())) for origin in origins[::-1]]
            for name, origins in reversed(inputs.items())
        },
    }
    assert sorted(row["id"] for row in task_edges(later)) == sorted(ids)


@pytest.mark.parametrize("inputs", [None, [], "no object", {"x": None}, {"x": ["a"]}, 7])
def test_strange_inputs_give_no_row(inputs: Any) -> None:
    assert list(task_edges(TASK_RUN | {"task_inputs": inputs})) == []
