"""A first sync that is cut short and resumed, while rows change."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from devtools.connector import State
from devtools.connector import read_here as read
from devtools.data.bulk import Run, insert_events, insert_flow_runs, insert_logs, insert_task_runs
from devtools.data.seeding import (
    make_flow,
    make_run,
    now,
    set_state,
)
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Proxy, Request, pass_on
from integration_tests.comparing import assert_equal
from integration_tests.connecting import one_worker
from integration_tests.torture.destination import Destination


@pytest.mark.parametrize("stream", ["logs", "events"])
def test_a_first_sync_that_is_cut_short_twice_goes_on_from_the_second_cut(
    empty: PrefectServer, empty_gate: Proxy, stream: str
) -> None:
    times = [now() - n * timedelta(hours=2) for n in range(1600)]
    inserted = insert_logs(empty.database, times) if stream == "logs" else insert_events(empty.database, times)
    setting = one_worker(empty_gate.url) | {"page_size": 50}
    state: State | None = None
    left = []
    for _ in range(2):
        asked = iter(range(1000))
        empty_gate.behaviour = lambda r, forward, asked=asked: forward(r) if next(asked) < 15 else Answer(401)  # type: ignore[misc]
        cut = read(setting, [stream], state)
        assert cut.exit_code == 1
        state = cut.state
        ranges = [map(datetime.fromisoformat, each) for each in state[0]["stream"]["stream_state"]["remaining"]]
        left.append(sum((end - start for start, end in ranges), timedelta(0)))
        inserted = [row for row in inserted if row not in cut.ids(stream)[: cut.committed[stream]]]
    assert left[0] > left[1]
    last = read(one_worker(empty.url), [stream], state).ok()
    assert set(inserted) <= set(last.ids(stream))


PAGE_SIZE = 5


@pytest.fixture
def config(empty_gate: Proxy) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": empty_gate.url}, "page_size": PAGE_SIZE}


class Changes:
    """Edits and state changes of runs, one for each call, all over the history."""

    def __init__(self, server: PrefectServer, stream: str, ids: list[str]) -> None:
        self.server, self.stream, self.ids = server, stream, ids
        self.lock = threading.Lock()
        self.done = 0

    def __call__(self) -> None:
        with self.lock:
            number, self.done = self.done, self.done + 1
            # Seven and the number of runs have no common divisor: each run has its turn.
            run = self.ids[number * 7 % len(self.ids)]
            later = {"scheduled_time": f"{now() + timedelta(days=3):%FT%TZ}"}
            kinds: list[Callable[[], object]] = [
                lambda: self.server.patch(f"{self.stream}/{run}", {"name": f"renamed-{number}"}),
                lambda: self._set(run, "FAILED"),
                lambda: self._set(run, "SCHEDULED", name="AwaitingRetry", state_details=later),
                lambda: self._set(run, "RUNNING"),
                lambda: self._set(run, "CANCELLED"),
            ]
            kinds[number % len(kinds)]()

    def _set(self, run: str, state: str, **fields: Any) -> None:
        set_state(self.server, self.stream, run, state, **fields)


def due_bounds(request: Request, stream: str) -> dict[str, Any]:
    """The bounds of a request for all runs due between two times; empty for any other."""
    filters = request.body.get(stream) or {}
    return filters["expected_start_time"] if filters.keys() == {"expected_start_time"} else {}


def runs_of_a_day() -> list[Run]:
    began = now() - timedelta(minutes=1)
    ended = [began - n * timedelta(minutes=12) for n in range(100)]
    runs = [Run(end - timedelta(seconds=30), end) for end in ended]
    runs[3::10] = [run._replace(end=None, updated=run.expected, state="RUNNING") for run in runs[3::10]]
    # Cancelled long before it was due.
    return [*runs, Run(began + timedelta(days=9), began, state="CANCELLED")]


@pytest.mark.usefixtures("sharp")
@pytest.mark.parametrize(("stream", "workers"), [("flow_runs", 1), ("task_runs", 4)])
def test_changes_while_a_first_sync_is_resumed_arrive(
    empty: PrefectServer, empty_gate: Proxy, config: dict[str, Any], stream: str, workers: int
) -> None:
    flow = make_flow(empty)
    if stream == "flow_runs":
        ids = insert_flow_runs(empty.database, flow, runs_of_a_day())
    else:
        ids = insert_task_runs(empty.database, make_run(empty, flow), runs_of_a_day())
    changes, destination = Changes(empty, stream, ids), Destination()
    left: list[timedelta] = []
    for last in (False, False, True):
        asked = count()

        def change_and_cut(request: Request, forward: Forward, asked: Any = asked, last: bool = last) -> Answer:
            # A state comes after as many pages of the ranges as there are workers.
            is_of_range = {"after_", "before_"} <= due_bounds(request, stream).keys()
            if not last and is_of_range and next(asked) == 2 * workers + 2:
                return Answer(401)
            answer = forward(request)
            if len(answer.rows) == PAGE_SIZE:
                changes()
            return answer

        empty_gate.behaviour = change_and_cut
        sync = read({**config, "num_workers": workers}, [stream], destination.state)
        assert sync.exit_code == (0 if last else 1)
        destination.load(sync)
        if not last:
            remaining = sync.state[0]["stream"]["stream_state"]["remaining"]
            spans = [map(datetime.fromisoformat, each) for each in remaining]
            left.append(sum((end - start for start, end in spans), timedelta(0)))
            assert len(destination.tables[stream]) < len(ids)
        changes()
    assert left[0] > left[1]
    empty_gate.behaviour = pass_on
    destination.load(read(config, [stream], destination.state).ok())
    assert_equal(destination, empty, stream, url=empty_gate.url)
    assert changes.done > 20
