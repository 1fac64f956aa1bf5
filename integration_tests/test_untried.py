"""Several Prefects behind one host, subflows, artifacts that are edited, and changes while a first sync is resumed."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import pytest

from devtools.bulk import Run, insert_flow_runs, insert_task_runs
from devtools.cloud import Workspace, cloud
from devtools.connector import read_here as read
from devtools.faults import impatient
from devtools.proxy import Answer, Behaviour, Forward, Proxy, Request, pass_on, proxy, send
from devtools.server import PrefectServer, prefect_server
from devtools.versions import chosen_python
from integration_tests.record_rules import comparable, expected_row
from integration_tests.seeding import make_flow, make_run, make_task_run, now, set_state
from integration_tests.test_without_end_time_filter import refuses
from integration_tests.torture.destination import Destination
from source_prefect.progress import ranges, state

PAGE_SIZE = 5
RUNS = ["flow_runs", "task_runs"]

Rows = dict[str, dict[str, Any]]


@pytest.fixture
def config(empty_gate: Proxy) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": empty_gate.url}, "page_size": PAGE_SIZE}


@pytest.fixture
def sharp(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without the five minutes that every sync reads again: in them lies all that a test does, it would hide a gap.

    For the same reason without `Date`, which has whole seconds: the connector's clock is the server's here. SQLite
    writes `updated` in milliseconds, rounded down. And few runs are several ranges.
    """
    monkeypatch.setattr(ranges, "SHORTEST", 1)
    monkeypatch.setattr(state, "IN_FLIGHT", timedelta(milliseconds=5))
    for module in ("answers", "client", "transport"):
        monkeypatch.setattr(f"source_prefect.http.{module}.server_date", lambda _response: None)
    with impatient():
        yield


def assert_equal(
    destination: Destination,
    server: PrefectServer,
    *streams: str,
    url: str = "",
    workspace: Workspace | None = None,
) -> None:
    """Every row of the destination is what the API says, column by column, and says which workspace it is from."""
    ui = workspace.ui_url if workspace else (url or server.url).removesuffix("/api")
    ids = {"account_id": workspace.account_id, "workspace_id": workspace.workspace_id} if workspace else {}
    for stream in streams:
        rows = server.rows(stream, sort="ID_DESC" if stream in RUNS else "CREATED_DESC")
        expected = {row["id"]: comparable(expected_row(stream, row, ui) | ids) for row in rows}
        assert expected
        assert {row_id: comparable(destination.tables[stream].get(row_id, {})) for row_id in expected} == expected


# Several Prefects behind one host


@pytest.fixture(scope="module")
def guarded() -> Iterator[PrefectServer]:
    """A second server, which wants to see a CSRF token."""
    with prefect_server({"PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true"}, python=chosen_python()) as running:
        token = running.get("csrf-token?client=tests")["token"]
        running.headers |= {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "tests"}
        for n in range(PAGE_SIZE + 1):
            make_run(running, make_flow(running, f"guarded-{n}"))
        yield running


@pytest.fixture
def open_server(empty: PrefectServer) -> PrefectServer:
    """The first server, with rows that are not the second one's."""
    for n in range(PAGE_SIZE + 1):
        make_run(empty, make_flow(empty, f"open-{n}"))
    return empty


class Host:
    """One host that serves each of several servers under a path of its own."""

    def __init__(self, **servers: PrefectServer) -> None:
        self.servers = servers
        self.before: Callable[[str], Answer | None] = lambda _name: None

    def __call__(self, request: Request, _forward: Forward) -> Answer:
        name, _, path = request.path.partition("/api/")
        return self.before(name) or send(urlsplit(self.servers[name].url), replace(request, path=path))


@pytest.fixture
def host(open_server: PrefectServer, guarded: PrefectServer) -> Host:
    return Host(one=open_server, two=guarded, three=guarded)


@pytest.fixture
def served(host: Host) -> Iterator[Proxy]:
    with proxy("http://127.0.0.1:9", host, prefix="") as running:
        yield running


def settings(served: Proxy, name: str) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": f"{served.origin}/{name}/api"}, "page_size": PAGE_SIZE}


def test_servers_under_different_paths_of_one_host_do_not_mix(host: Host, served: Proxy) -> None:
    streams = ["flows", "flow_runs"]
    destinations = {name: Destination() for name in host.servers}
    for _ in range(2):
        for name, destination in destinations.items():
            destination.load(read(settings(served, name), streams, destination.state).ok())
    for name, destination in destinations.items():
        assert_equal(destination, host.servers[name], *streams, url=f"{served.origin}/{name}")
        assert destination.tables["flows"].keys() == {row["id"] for row in host.servers[name].rows("flows")}
    # Each of the guarded ones has a token of its own in each sync; the open one is shown none.
    tokens = {
        name: {r.headers.get("Prefect-Csrf-Token") for r in served.log if r.path.startswith(f"{name}/api/flow")}
        for name in host.servers
    }
    assert tokens["one"] == {None}
    assert not tokens["two"] & tokens["three"] - {None}
    asked = [request.path.partition("/")[0] for request in served.log if "/csrf-token" in request.path]
    assert sorted(asked) == ["three", "three", "two", "two"]


def test_a_server_that_asks_to_slow_down_does_not_stop_the_other_of_its_host(host: Host, served: Proxy) -> None:
    numbers, refused = count(), threading.Event()

    def refuse_once(name: str) -> Answer | None:
        if name != "one" or next(numbers):
            return None
        refused.set()
        return Answer(429, b"{}", {"Content-Type": "application/json", "Retry-After": "1"})

    host.before = refuse_once
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(read, settings(served, "one"), ["flows"])
        assert refused.wait(10)
        quick = read(settings(served, "two"), ["flows"]).ok()
        assert not slow.done()
        names = slow.result(timeout=10).ok().ids("flows")
    order = [request.path.partition("/")[0] for request in served.log if request.path.endswith("flows/filter")]
    assert order.index("two") < len(order) - 1 - order[::-1].index("two") < order.index("one", 1)
    assert set(quick.ids("flows")) == {row["id"] for row in host.servers["two"].rows("flows")}
    assert set(names) == {row["id"] for row in host.servers["one"].rows("flows")}


def test_workspaces_of_one_key_do_not_mix(open_server: PrefectServer, guarded: PrefectServer) -> None:
    """Their connections are shared, their rows and states are not."""
    workspaces = [Workspace(open_server.url), Workspace(guarded.url, "Staging")]
    streams = ["flows", "flow_runs"]
    destinations = [Destination(), Destination()]
    with cloud(workspaces, more_fields=False, unfinished_first=False) as front:
        # No workspace of Prefect Cloud wants a CSRF token, as the server behind the second one does.
        front.spoil = lambda request, forward: forward(replace(request, headers={**request.headers, **guarded.headers}))
        for _ in range(2):
            for workspace, destination in zip(workspaces, destinations, strict=True):
                setting = {"connection": front.connection(workspace), "page_size": PAGE_SIZE}
                destination.load(read(setting, streams, destination.state).ok())
    for workspace, server, destination in zip(workspaces, (open_server, guarded), destinations, strict=True):
        assert_equal(destination, server, *streams, workspace=workspace)
        assert destination.tables["flows"].keys() == {row["id"] for row in server.rows("flows")}


# Subflows


class Family:
    """A flow run that runs a subflow, which runs one itself. Each is stood for by a task run of its parent."""

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
@pytest.mark.parametrize("way", [pass_on, refuses], ids=["filter", "no filter"])
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


# Artifacts


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
    """The row that was edited is the first of the page that was just read, or the last one that is not read yet."""
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


# A first sync that is resumed


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
    """The bounds of a request that asks for all runs due between two times; empty for any other."""
    filters = request.body.get(stream) or {}
    return filters["expected_start_time"] if filters.keys() == {"expected_start_time"} else {}


def runs_of_half_a_day() -> list[Run]:
    began = now() - timedelta(minutes=1)
    ended = [began - n * timedelta(minutes=12) for n in range(44)]
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
        ids = insert_flow_runs(empty.database, flow, runs_of_half_a_day())
    else:
        ids = insert_task_runs(empty.database, make_run(empty, flow), runs_of_half_a_day())
    changes, destination = Changes(empty, stream, ids), Destination()
    left: list[timedelta] = []
    for last in (False, False, True):
        asked = count()

        def change_and_cut(request: Request, forward: Forward, asked: Any = asked, last: bool = last) -> Answer:
            # A state comes after as many pages of the ranges as there are workers.
            is_of_range = {"after_", "before_"} <= due_bounds(request, stream).keys()
            if not last and is_of_range and next(asked) == workers + 2:
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
