"""Subflows and artifacts that change between two pages, and between two syncs."""

import threading
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from devtools.connector import read_here as read
from devtools.data.seeding import RUNS, make_flow, make_run, make_task_run, set_state
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Behaviour, Forward, Proxy, Request, pass_on
from integration_tests.comparing import assert_equal
from integration_tests.older_prefects import refuses_end_time
from integration_tests.torture.destination import Destination

PAGE_SIZE = 5


@pytest.fixture
def config(empty_gate: Proxy) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": empty_gate.url}, "page_size": PAGE_SIZE}


class Family:
    """A flow run, its subflow, and a subflow of that one. A parent's task run stands for each."""

    def __init__(self, server: PrefectServer) -> None:
        self.server = server
        self.runs = [make_run(server, make_flow(server, "parent"), "RUNNING")]
        self.task_runs: list[str] = []
        for name in ("child", "grandchild"):
            inputs = {"orders": [{"input_type": "parameter", "name": "orders"}]}
            self.task_runs.append(make_task_run(server, self.runs[-1], name, task_inputs=inputs))
            flow = make_flow(server, name)
            self.runs.append(make_run(server, flow, "RUNNING", parent_task_run_id=self.task_runs[-1]))

    def set(self, generation: int, state: str, **fields: Any) -> None:
        set_state(self.server, "flow_runs", self.runs[generation], state, **fields)

    def steps(self) -> list[Callable[[], None]]:
        return [
            lambda: None,
            lambda: None,
            lambda: self.set(2, "FAILED"),
            lambda: self.server.patch(f"flow_runs/{self.runs[2]}", {"name": "to be retried"}),
            lambda: self.set(2, "SCHEDULED", name="AwaitingRetry"),
            lambda: self.set(2, "RUNNING", name="Retrying"),
            lambda: self.set(2, "COMPLETED"),
            lambda: self.server.patch(f"task_runs/{self.task_runs[1]}", {"name": "renamed"}),
            lambda: self.set(1, "COMPLETED"),
            lambda: self.server.patch(f"flow_runs/{self.runs[1]}", {"name": "renamed", "tags": ["late"]}),
            lambda: self.set(0, "CRASHED"),
            # The parent is run again: its subflow, which had ended, goes with it.
            lambda: self.set(0, "RUNNING"),
            lambda: self.set(1, "RUNNING"),
            lambda: self.set(1, "CANCELLED"),
        ]


@pytest.mark.usefixtures("sharp")
@pytest.mark.parametrize("way", [pass_on, refuses_end_time], ids=["filter", "no filter"])
def test_each_change_of_a_subflow_and_its_parent_arrives(
    empty: PrefectServer, empty_gate: Proxy, config: dict[str, Any], way: Behaviour
) -> None:
    empty_gate.behaviour = way
    family, others, destination = Family(empty), Family(empty), Destination()
    steps = family.steps()
    for first, second in zip(steps[::2], steps[1::2], strict=True):
        first()
        second()
        destination.load(read(config, RUNS, destination.state).ok())
        assert_equal(destination, empty, *RUNS, url=empty_gate.url)
    flow_runs, task_runs = destination.tables["flow_runs"], destination.tables["task_runs"]
    for known in (family, others):
        for run, task_run in zip(known.runs[1:], known.task_runs, strict=True):
            assert flow_runs[run]["parent_task_run_id"] == task_run
            assert task_runs[task_run]["state_state_details_child_flow_run_id"] == run
            assert task_runs[task_run]["state_type"] == flow_runs[run]["state_type"]


@pytest.mark.usefixtures("sharp")
def test_subflows_that_change_between_pages_arrive(
    empty: PrefectServer, empty_gate: Proxy, config: dict[str, Any]
) -> None:
    families = [Family(empty) for _ in range(4)]
    steps = [step for group in zip(*(family.steps()[2:] for family in families), strict=True) for step in group]
    busy = threading.Lock()

    def change_between(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        with busy:
            if steps and len(answer.rows) == PAGE_SIZE:
                steps.pop(0)()
        return answer

    empty_gate.behaviour = change_between
    destination = Destination()
    for _ in range(2):
        destination.load(read({**config, "num_workers": 2}, RUNS, destination.state).ok())
    changed = len(families) * 12 - len(steps)
    empty_gate.behaviour = pass_on
    destination.load(read(config, RUNS, destination.state).ok())
    assert_equal(destination, empty, *RUNS, url=empty_gate.url)
    assert changed > 3


def make_artifacts(server: PrefectServer) -> list[str]:
    return [
        server.post("artifacts/", {"key": f"report-{n % 3}", "type": "markdown", "data": f"# {n}"})["id"]
        for n in range(4 * PAGE_SIZE)
    ]


@pytest.mark.usefixtures("sharp")
def test_each_edit_of_an_artifact_arrives(empty: PrefectServer, empty_gate: Proxy, config: dict[str, Any]) -> None:
    ids, destination = make_artifacts(empty), Destination()
    changes: list[dict[str, Any]] = [
        {},
        {"data": {"orders": [1, None]}},
        {"data": None},
        {"description": "ü 🚀", "metadata_": {"a": "b"}},
    ]
    for n, change in enumerate(changes):
        for artifact in ids[n::7] if change else []:
            empty.patch(f"artifacts/{artifact}", change)
        sync = read(config, ["artifacts"], destination.state).ok()
        destination.load(sync)
        assert_equal(destination, empty, "artifacts", url=empty_gate.url)
    # Little comes again: what was edited so shortly before the last sync as that one took.
    assert set(ids[3::7]) <= set(sync.ids("artifacts"))
    assert len(sync.ids("artifacts")) < len(ids) / 2


@pytest.mark.usefixtures("sharp")
@pytest.mark.parametrize("place", [0, -1], ids=["read", "not read yet"])
def test_artifacts_that_are_edited_between_pages_are_not_lost(
    empty: PrefectServer, empty_gate: Proxy, config: dict[str, Any], place: int
) -> None:
    """The edited row is the first of the page just read, or the last that is not read yet."""
    ids, edits = make_artifacts(empty), count()

    def edit_between(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if len(answer.rows) == PAGE_SIZE and (number := next(edits)) < 40:
            edited = answer.rows[0]["id"] if place == 0 else ids[number % len(ids)]
            empty.patch(f"artifacts/{edited}", {"data": {"edit": number}})
        return answer

    empty_gate.behaviour = edit_between
    destination = Destination()
    for _ in range(3):
        before = {row["id"] for row in empty.rows("artifacts")}
        destination.load(read(config, ["artifacts"], destination.state).ok())
        assert destination.tables["artifacts"].keys() == before
    assert next(edits) > 5
    empty_gate.behaviour = pass_on
    destination.load(read(config, ["artifacts"], destination.state).ok())
    assert_equal(destination, empty, "artifacts", url=empty_gate.url)
