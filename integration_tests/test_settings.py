"""What each setting of the config does, and the Cloud shape of a config."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import read_here, run_here
from devtools.data.bulk import Run, insert_flow_runs, insert_task_runs, sqlite_time
from devtools.data.seeding import execute, make_flow, make_one_of_everything, state_at
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Proxy, Request, pass_on, proxy
from integration_tests.record_rules import STREAMS, comparable, expected_row

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

ACCOUNT = "0a1b2c3d-0000-4000-8000-00000000000a"
WORKSPACE = "0a1b2c3d-0000-4000-8000-00000000000b"
KEY = "pnu_0123456789abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(autouse=True)
def _empty(server: PrefectServer) -> None:
    server.clear()


def _read(gate: Proxy, *streams: str, cursor: datetime | None = None, **settings: Any) -> dict[str, list[str]]:
    gate.behaviour = pass_on
    gate.log.clear()
    config = {"connection": {"type": "server", "api_url": gate.url}, **settings}
    sync = read_here(config, streams, state_at(cursor, *streams) if cursor else None).ok()
    return {stream: sorted(sync.ids(stream)) for stream in streams}


# start_date


def test_start_date_leaves_out_what_was_due_or_created_before(server: PrefectServer, gate: Proxy) -> None:
    start = NOW - 30 * DAY
    text = start.strftime("%Y-%m-%dT%H:%M:%SZ")
    flow_id = make_flow(server, "older than the start date")
    variable_id = server.post("variables/", {"name": "older", "value": 1})["id"]
    for table in ("flow", "variable"):
        execute(server, f"UPDATE {table} SET created = '2026-01-01', updated = '2026-01-01'")
    due = [start - timedelta(seconds=1), start, start + DAY]
    runs = insert_flow_runs(server.database, flow_id, [Run(time, time + HOUR) for time in due])
    # Due before, but unfinished, or finished only now: left out as well.
    insert_flow_runs(server.database, flow_id, [Run(start - DAY, None, NOW, "RUNNING"), Run(start - DAY, NOW)])
    task_runs = insert_task_runs(server.database, runs[0], [Run(time, time + HOUR) for time in due])
    artifacts = []
    for n, time in enumerate(due):
        artifacts.append(server.post("artifacts/", {"key": f"artifact-{n}", "data": n})["id"])
        execute(server, "UPDATE artifact SET created = ? WHERE id = ?", sqlite_time(time), artifacts[-1])
    expected = {
        "flows": [flow_id],
        "variables": [variable_id],
        "flow_runs": sorted(runs[1:]),
        "task_runs": sorted(task_runs[1:]),
        "artifacts": sorted(artifacts[1:]),
    }
    assert _read(gate, *expected, start_date=text) == expected
    # A later sync keeps to it as well: what changed since then, of what counts.
    for table in ("flow_run", "task_run", "artifact"):
        execute(server, f"UPDATE {table} SET updated = ?", sqlite_time(NOW))
    runs_and_artifacts = {"artifacts": expected["artifacts"]}
    assert _read(gate, *runs_and_artifacts, cursor=NOW - HOUR, start_date=text) == runs_and_artifacts
    assert _read(gate, "flow_runs", "task_runs", cursor=NOW - HOUR, start_date=text, lookback_window="P40D") == {
        "flow_runs": expected["flow_runs"],
        "task_runs": expected["task_runs"],
    }


def test_start_date_spares_the_requests_for_what_is_older(server: PrefectServer, gate: Proxy) -> None:
    flow_id = make_flow(server)
    insert_flow_runs(server.database, flow_id, [Run(NOW - n * HOUR, NOW - n * HOUR) for n in range(1000)])
    _read(gate, "flow_runs", page_size=10)
    assert len(gate.log) > 100
    assert len(_read(gate, "flow_runs", page_size=10, start_date=f"{NOW - 48 * HOUR:%Y-%m-%dT%H:%M:%SZ}")) == 1
    assert len(gate.log) < 15


# lookback_window


@pytest.mark.parametrize(("window", "comes"), [("PT1H", False), ("PT5H", True), (None, True), ("P1W", True)])
def test_lookback_window_is_how_long_after_its_end_an_edit_is_noticed(
    window: str | None, comes: bool, server: PrefectServer, gate: Proxy
) -> None:
    flow_id = make_flow(server)
    edited = insert_flow_runs(server.database, flow_id, [Run(NOW - 5 * HOUR, NOW - 4 * HOUR, updated=NOW)])
    insert_flow_runs(server.database, flow_id, [Run(NOW - 5 * HOUR, NOW - 4 * HOUR)])
    settings = {"lookback_window": window} if window else {}
    assert _read(gate, "flow_runs", cursor=NOW - HOUR, **settings) == {"flow_runs": edited if comes else []}


# page_size and progress


@pytest.mark.parametrize(("settings", "limit"), [({}, 200), ({"page_size": 7}, 7)])
def test_page_size_is_the_limit_of_every_request(
    settings: dict[str, Any], limit: int, server: PrefectServer, gate: Proxy
) -> None:
    make_one_of_everything(server)
    _read(gate, *STREAMS, **settings)
    # The one row that a run stream asks for is its oldest.
    assert {request.body["limit"] for request in gate.log} <= {limit, 1}
    assert {request.path.removesuffix("/filter") for request in gate.log if request.body["limit"] == limit} == set(
        STREAMS
    )


def test_a_long_read_says_how_far_it_has_come(
    server: PrefectServer, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("source_prefect.progress.log.EVERY_ROWS", 50)
    flow_id = make_flow(server)
    insert_flow_runs(server.database, flow_id, [Run(NOW - n * HOUR, NOW - n * HOUR) for n in range(120)])
    sync = read_here({**config, "page_size": 10}, ["flow_runs"]).ok()
    said = [line for line in sync.logs if line.startswith("flow_runs: ") and "rows read so far" in line]
    assert len(said) >= 2
    assert all("back to expected_start_time 2026-" in line for line in said)


def test_a_short_read_says_nothing_of_its_progress(server: PrefectServer, config: dict[str, Any]) -> None:
    make_one_of_everything(server)
    assert [line for line in read_here(config).ok().logs if "read so far" in line] == []


# Prefect Cloud: the same server behind Cloud's addresses, which demands the key


@pytest.fixture
def cloud(server: PrefectServer) -> Iterator[Proxy]:
    def demand_the_key(request: Request, forward: Forward) -> Answer:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return Answer(401, b'{"detail":"Invalid authentication credentials"}')
        return forward(request)

    with proxy(server.url, demand_the_key, prefix=f"/api/accounts/{ACCOUNT}/workspaces/{WORKSPACE}") as running:
        yield running


def _cloud_config(cloud: Proxy, **changed: str) -> dict[str, Any]:
    return {
        "connection": {
            "type": "cloud",
            "api_key": KEY,
            "account_id": ACCOUNT,
            "workspace_id": WORKSPACE,
            "api_url": f"{cloud.origin}/api",
            **changed,
        }
    }


def test_a_cloud_workspace_is_read(server: PrefectServer, cloud: Proxy) -> None:
    make_one_of_everything(server)
    config = _cloud_config(cloud)
    assert run_here("check", config)[0]["connectionStatus"]["status"] == "SUCCEEDED"
    sync = read_here(config).ok()
    ui = f"https://app.prefect.cloud/account/{ACCOUNT}/workspace/{WORKSPACE}"
    ids = {"account_id": ACCOUNT, "workspace_id": WORKSPACE}
    for stream in STREAMS:
        expected = [comparable(expected_row(stream, row, ui) | ids) for row in server.rows(stream)]
        assert expected
        assert [comparable(row) for row in sync.records[stream]] == expected
    assert all(request.headers["Content-Type"] == "application/json" for request in cloud.log)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"api_key": "pnu_wrong_0123456789"}, "rejected the credentials (401)"),
        ({"workspace_id": ACCOUNT}, f"knows no workspace {ACCOUNT} in the account {ACCOUNT}, or the key"),
    ],
)
def test_a_wrong_cloud_config_is_a_config_error_without_the_key(
    changed: dict[str, str], message: str, cloud: Proxy
) -> None:
    config = _cloud_config(cloud, **changed)
    status = run_here("check", config)[0]["connectionStatus"]
    assert status["status"] == "FAILED"
    assert message in status["message"]
    sync = read_here(config, ["flows"])
    assert sync.exit_code == 1
    assert {error["failure_type"] for error in sync.errors} == {"config_error"}
    assert config["connection"]["api_key"] not in str((status, sync.errors, sync.logs))
