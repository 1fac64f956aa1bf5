"""The examples as a reader runs them: from a real Prefect into a real DuckDB and PostgreSQL."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import duckdb
import psycopg2
import pytest

from devtools.browser import PHONE, cells, chromium, open_page
from devtools.data import bulk
from devtools.data.seeding import make_run
from devtools.openlineage import problems
from devtools.servers.postgres import postgres
from devtools.servers.prefect import PrefectServer

ROOT = Path(__file__).resolve().parent.parent
LONG_FINISHED = 300


@pytest.fixture(scope="module")
def prefect(filled_server: PrefectServer) -> PrefectServer:
    """A filled server with a past: runs that a second sync has no reason to read again."""
    flow = filled_server.post("flows/", {"name": "legacy-import"})
    past = bulk.history(LONG_FINISHED, until=datetime.now(UTC) - timedelta(days=3), every=timedelta(minutes=10))
    bulk.insert_flow_runs(filled_server.database, flow["id"], past)
    return filled_server


class Synced(NamedTuple):
    """A first sync into DuckDB: its file, the rows it read, and the server's flow runs then."""

    file: Path
    read: int
    runs: list[dict[str, Any]]


@pytest.fixture(scope="module")
def synced(prefect: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Synced:
    file = tmp_path_factory.mktemp("duckdb") / "prefect.duckdb"
    return Synced(file, rows_read(run_example(prefect, "to_duckdb", file)), prefect.rows("flow_runs", sort="ID_DESC"))


@pytest.fixture(scope="module")
def warehouse() -> Iterator[str]:
    with postgres() as url:
        yield url


def run_example(prefect: PrefectServer, name: str, *arguments: str | Path) -> str:
    return run_command(prefect, sys.executable, "-m", f"examples.{name}", *arguments)


def run_command(prefect: PrefectServer, *command: str | Path) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=prefect.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    # Nothing on the screen but the example's own lines and PyAirbyte's progress.
    assert "Warning" not in done.stderr
    assert "Anonymous usage reporting" not in done.stdout + done.stderr
    return done.stdout


def test_a_flow_syncs_prefect_by_itself(prefect: PrefectServer, tmp_path: Path) -> None:
    """Served, it runs by its deployment; its counts are an artifact, its tables are assets."""
    file = tmp_path / "prefect.duckdb"
    command = [sys.executable, "-m", "examples.prefect_flow", str(file)]
    with (tmp_path / "log").open("w") as log:
        served = subprocess.Popen(command, cwd=ROOT, env=prefect.env, stdout=log, stderr=subprocess.STDOUT)
    try:
        [deployment] = wait_for(lambda: prefect.rows("deployments", flows={"name": {"any_": ["sync-prefect"]}}))
        run = prefect.post(f"deployments/{deployment['id']}/create_flow_run", {})["id"]
        ended = wait_for(lambda: (it := prefect.get(f"flow_runs/{run}"))["end_time"] and it)
    finally:
        served.terminate()
        served.wait()
    assert ended["state_type"] == "COMPLETED", (tmp_path / "log").read_text()[-4000:]
    [artifact] = prefect.rows("artifacts", artifacts={"key": {"any_": ["prefect-sync"]}})
    counts = {row["table"]: row["rows"] for row in json.loads(artifact["data"])}
    with duckdb.connect(str(file), read_only=True) as connection:
        for table in ("flows", "flow_runs", "deployments"):
            [count] = connection.execute(f"SELECT count(*) FROM main.{table}").fetchone() or [None]
            assert counts[table] == count
    assert counts["flow_runs"] > LONG_FINISHED
    prefect.wait_for_events()
    names = {"filter": {"event": {"prefix": ["prefect.asset.materialization.succeeded"]}}}
    resources = {event["resource"]["prefect.resource.id"] for event in prefect.post("events/filter", names)["events"]}
    assert {f"duckdb:/{file}/{table}" for table in ("flows", "flow_runs")} <= resources


def wait_for(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 180
    while not (it := found()):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return it


def rows_read(output: str) -> int:
    said = re.search(r"^(\d+) rows were read into", output, re.MULTILINE)
    assert said, output
    return int(said[1])


QUERY = "SELECT id, name, state_type, flow_id, end_time IS NULL FROM {schema}.flow_runs ORDER BY id"


def as_rows(runs: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What QUERY must bring, by the server's own account."""
    return sorted(
        (run["id"], run["name"], run["state_type"], run["flow_id"], run["end_time"] is None)
        for run in runs
        # The scheduler makes and unmakes these at any time.
        if run["state_type"] != "SCHEDULED"
    )


def finished_one_more(prefect: PrefectServer) -> None:
    flow = next(flow for flow in prefect.rows("flows") if flow["name"] == "refresh-marts")
    make_run(prefect, flow["id"], "COMPLETED", name="one more")


def without_scheduled(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [row for row in rows if row[2] != "SCHEDULED"]


def test_to_duckdb_keeps_its_state(prefect: PrefectServer, synced: Synced, tmp_path: Path) -> None:
    def rows() -> list[tuple[Any, ...]]:
        with duckdb.connect(str(file), read_only=True) as connection:
            return without_scheduled(connection.execute(QUERY.format(schema="main")).fetchall())

    file = tmp_path / "prefect.duckdb"
    shutil.copy(synced.file, file)
    assert synced.read > LONG_FINISHED
    assert rows() == as_rows(synced.runs)

    finished_one_more(prefect)
    deployment = prefect.get("deployments/name/load-orders/nightly")
    prefect.patch(f"deployments/{deployment['id']}", {"tags": ["nightly"]})
    second = rows_read(run_example(prefect, "to_duckdb", file))
    assert 0 < second < LONG_FINISHED
    assert rows() == as_rows(prefect.rows("flow_runs", sort="ID_DESC"))

    # A removed tag takes its edge along.
    with duckdb.connect(str(file), read_only=True) as connection:
        flows = {flow for (flow,) in connection.execute("SELECT DISTINCT flow_name FROM lineage").fetchall()}
    assert flows == {"refresh-marts", "sync-crm", "train-forecast"}


def test_the_report_tells_of_a_real_sync(prefect: PrefectServer, synced: Synced, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    run_command(prefect, Path(sys.executable).with_name("prefect-health"), synced.file, file)
    with chromium() as browser:
        page = open_page(browser, file, PHONE)
        # A subflow is counted with its parent.
        ended = [run for run in synced.runs if run["end_time"] and not run["parent_task_run_id"]]
        assert page.get_attribute("[data-tile=runs]", "data-value") == str(len(ended))

        names = {flow["id"]: flow["name"] for flow in prefect.rows("flows")}
        broken = [run for run in ended if run["state_type"] in ("FAILED", "CRASHED")]
        assert sorted((row[0], row[3], row[8]) for row in cells(page, "unresolved-table")) == sorted(
            (names[run["flow_id"]], run["state_name"], run["state"]["message"]) for run in broken
        )
        links = page.eval_on_selector_all("#unresolved-table a", "links => links.map(link => link.href)")
        pages = prefect.url.removesuffix("api") + "runs/flow-run/"
        assert set(links) == {pages + run["id"] for run in broken}


def test_every_run_of_a_real_sync_is_an_event_for_data_catalogs(
    prefect: PrefectServer, synced: Synced, tmp_path: Path
) -> None:
    file = tmp_path / "events.jsonl"
    mapping = ROOT / "prefect_openlineage" / "mapping.yml"
    options: list[str | Path] = ["--mapping", mapping, "--file", file, "--state", tmp_path / "state.json"]
    run_command(prefect, Path(sys.executable).with_name("prefect-openlineage"), synced.file, *options)
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert [found for event in events if (found := problems(event))] == []

    ends = {"COMPLETED": "COMPLETE", "FAILED": "FAIL", "CRASHED": "FAIL", "CANCELLED": "ABORT"}
    told = Counter((event["run"]["runId"], event["eventType"]) for event in events if "." not in event["job"]["name"])
    begun = [run for run in synced.runs if run["start_time"] or run["state_type"] in ends]
    assert told == Counter(
        [(run["id"], "START") for run in begun]
        + [(run["id"], ends[run["state_type"]]) for run in begun if run["end_time"]]
    )
    # The asset of the task, and the table that the tags of the deployment declare, are one for the
    # catalog.
    made = next(event for event in events if event["job"]["name"] == "refresh-marts.build_customers")
    assert [(dataset["namespace"], dataset["name"]) for dataset in made["outputs"]] == [
        ("postgres://warehouse.example.com:5432", "warehouse.mart.customers")
    ]


def test_to_postgres_keeps_its_state(prefect: PrefectServer, warehouse: str) -> None:
    def rows() -> list[tuple[Any, ...]]:
        with psycopg2.connect(warehouse) as connection, connection.cursor() as cursor:
            cursor.execute(QUERY.format(schema="prefect"))
            return without_scheduled(cursor.fetchall())

    first = rows_read(run_example(prefect, "to_postgres", warehouse, "prefect"))
    assert first > LONG_FINISHED
    assert rows() == as_rows(prefect.rows("flow_runs", sort="ID_DESC"))

    finished_one_more(prefect)
    second = rows_read(run_example(prefect, "to_postgres", warehouse, "prefect"))
    assert 0 < second < LONG_FINISHED
    assert rows() == as_rows(prefect.rows("flow_runs", sort="ID_DESC"))


def test_to_pandas_tells_how_often_each_flow_succeeds(prefect: PrefectServer) -> None:
    names = {flow["id"]: flow["name"] for flow in prefect.rows("flows")}
    ended = defaultdict(list)
    for run in prefect.rows("flow_runs", sort="ID_DESC"):
        if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED"):
            ended[names[run["flow_id"]]].append(run)
    expected = {
        flow: (
            len(runs),
            round(sum(run["state_type"] == "COMPLETED" for run in runs) / len(runs), 2),
            round(median(run["total_run_time"] for run in runs), 2),
        )
        for flow, runs in ended.items()
    }
    table = run_example(prefect, "to_pandas").splitlines()[2:]
    shown = {flow: (int(runs), float(rate), float(time)) for flow, runs, rate, time in map(str.split, table)}
    assert shown == expected
