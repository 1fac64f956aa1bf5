"""A sync ends soon with one trace, whatever its main thread raises, and prints any row."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import Sync, read, read_here, run
from devtools.data.bulk import history, insert_events, insert_flow_runs, insert_logs
from devtools.data.seeding import make_flow, make_one_of_everything
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Behaviour, Forward, Proxy, Request
from integration_tests.internals import raising_in_the_main_thread

NOW = datetime.now(UTC)

# Longer than a queue of the CDK.
MANY = 15_000


# Errors of the main thread

ERRORS = {
    "the CDK's memory monitor": "AirbyteTracedException('Low.', 'Low.', FailureType.system_error)",
    "no memory": "MemoryError('Low.')",
    "any error": "RuntimeError('Low.')",
    "no exception": "BaseException('Low.')",
}


@pytest.fixture
def _many_runs(empty: PrefectServer) -> None:
    insert_flow_runs(empty.database, make_flow(empty), history(MANY, until=NOW, every=timedelta(minutes=1)))


def hold(path: str) -> Behaviour:
    """Answer the requests for a path after a minute."""

    def behave(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        answer.delay = 60.0 if request.path == path else 0.0
        return answer

    return behave


@pytest.mark.parametrize("error", ERRORS.values(), ids=list(ERRORS))
def test_an_error_of_the_main_thread_ends_the_process_while_a_request_is_under_way(
    empty: PrefectServer, empty_gate: Proxy, error: str
) -> None:
    make_one_of_everything(empty)
    empty_gate.behaviour = hold("flow_runs/filter")
    config = {"connection": {"type": "server", "api_url": empty_gate.url}}
    assert_ends_soon(config, ["flow_runs", "flows", "variables"], error)


@pytest.mark.usefixtures("_many_runs")
@pytest.mark.parametrize("error", ["the CDK's memory monitor", "any error"])
def test_an_error_of_the_main_thread_ends_the_process_while_the_queue_is_full(empty: PrefectServer, error: str) -> None:
    config = {"connection": {"type": "server", "api_url": empty.url}}
    assert_ends_soon(config, ["flow_runs"], ERRORS[error])


def assert_ends_soon(config: dict[str, Any], streams: list[str], error: str) -> None:
    """Within five seconds of the first message, which is before the error."""
    began: list[float] = []

    def note(_: Sync) -> bool:
        began.append(time.monotonic())
        return False

    sync = read(config, streams, command=raising_in_the_main_thread(error), killed_when=note, timeout=40)
    assert time.monotonic() - began[0] < 5
    assert sync.exit_code == 1
    assert len(sync.errors) == 1
    assert "Low." in sync.errors[0]["message"] + sync.errors[0]["internal_message"]


# The encoding of standard output

LOCALES = {
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "the locale C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
NAMES = {"注文を読み込む", "commandes-été", "Ж 🚀", "a\u2028b"}


@pytest.fixture(scope="module")
def worldwide(server: PrefectServer) -> dict[str, Any]:
    """A config for a server with names in many languages."""
    for name in NAMES:
        make_flow(server, name)
    return {"connection": {"type": "server", "api_url": server.url}}


@pytest.mark.parametrize("env", LOCALES.values(), ids=list(LOCALES))
def test_output_is_utf_8_whatever_the_locale(worldwide: dict[str, Any], env: dict[str, str]) -> None:
    sync = read(worldwide, ["flows"], env=env, timeout=40).ok()
    assert {row["name"] for row in sync.records["flows"]} == NAMES


@pytest.mark.parametrize("env", LOCALES.values(), ids=list(LOCALES))
def test_an_error_is_utf_8_whatever_the_locale(worldwide: dict[str, Any], env: dict[str, str]) -> None:
    wrong = worldwide | {"start_date": "昨日"}
    [message] = run("check", wrong, env=env)
    assert "start_date is '昨日'" in message["connectionStatus"]["message"]
    failed = read(wrong, ["flows"], env=env, timeout=40)
    assert failed.exit_code == 1
    assert ["start_date is '昨日'" in error["message"] for error in failed.errors] == [True]


# A row that is empty

STREAMS = {
    "flows": "flows/filter",
    "flow_runs": "flow_runs/filter",
    "task_runs": "task_runs/filter",
    "deployments": "deployments/filter",
    "artifacts": "artifacts/filter",
    "work_pools": "work_pools/filter",
    "logs": "logs/filter",
    "events": "events/filter",
}
COUNT = 30


@pytest.fixture(scope="module")
def whole(server: PrefectServer) -> Sync:
    """What is read of a server with rows in each of these streams."""
    make_one_of_everything(server)
    server.post("work_pools/", {"name": "pool", "type": "process"})
    for number in range(COUNT):
        make_flow(server, f"flow-{number}")
    insert_flow_runs(server.database, make_flow(server), history(COUNT, until=NOW, every=timedelta(hours=1)))
    hours = [NOW - timedelta(hours=hours) for hours in range(COUNT)]
    insert_logs(server.database, hours)
    insert_events(server.database, hours)
    server.wait_for_events()
    found = read_here({"connection": {"type": "server", "api_url": server.url}}, [*STREAMS, "variables"]).ok()
    assert all(found.records[stream] for stream in STREAMS)
    return found


def with_an_empty_row(path: str, place: int) -> Behaviour:
    """The server, but that the first page of a path has an empty row at this place."""

    def behave(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if request.path != path or answer.status != 200:
            return answer
        body = answer.rows
        rows = body if isinstance(body, list) else body["events"]
        if len(rows) > 1 or request.body.get("limit", 200) > 1:
            rows.insert(place if place >= 0 else len(rows), {})
        return answer.with_rows(body)

    return behave


@pytest.mark.parametrize("place", [0, -1], ids=["first", "last"])
@pytest.mark.parametrize(("stream", "path"), STREAMS.items())
def test_an_empty_row_hides_no_other_row(whole: Sync, gate: Proxy, stream: str, path: str, place: int) -> None:
    others = [other for other in ("variables", "flow_runs", "flows") if other != stream]
    gate.behaviour = with_an_empty_row(path, place)
    sync = read_here({"connection": {"type": "server", "api_url": gate.url}}, [stream, *others])
    for other in others:
        assert sorted(sync.ids(other)) == sorted(whole.ids(other))
        assert sync.statuses[other][-1] == "COMPLETE"
    if sync.exit_code == 0:
        assert {row["id"] for row in sync.records[stream] if row.get("id")} == set(whole.ids(stream))
    else:
        assert sync.statuses[stream][-1] == "INCOMPLETE"
        assert stream in sync.errors[0]["message"]
