"""The events of the runs of a sync: what they say, and that none is lost."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml

from devtools.data.openlineage_tables import ddl, inserts, write_many, write_rows
from devtools.openlineage import problems
from devtools.servers.data_catalogs import Marquez, served
from devtools.servers.postgres import postgres
from devtools.servers.proxy import Answer, Forward, Request
from integration_tests.openlineage_rows import (
    CANCELLED,
    CHECK,
    CRASHED,
    DONE,
    FAILED,
    MAKE,
    MAPPING,
    RETRYING,
    ROOT,
    RUNNING,
    SUBFLOW,
    SYNCED,
    TABLES,
    emitted,
    events_in,
    flow_run,
    made,
    task_run,
    told,
    update,
)
from prefect_openlineage.__main__ import main
from prefect_openlineage.demo import write_events
from prefect_openlineage.settings import Settings, read_settings


def facet(part: str, name: str, version: str, /, **content: Any) -> dict[str, Any]:
    kind = f"{name[0].upper()}{name[1:]}{part.title()}Facet"
    return {
        "_producer": "https://docs.airbyte.com/integrations/sources/prefect",
        "_schemaURL": f"https://openlineage.io/spec/facets/{version}/{kind}.json#/$defs/{kind}",
        **content,
    }


def test_an_event_says_all_that_the_tables_know(tables: Path, tmp_path: Path) -> None:
    event, end, *_ = emitted(tables, tmp_path / "events.jsonl")
    # What does not change is on the START; the end says what became of the run.
    own = end["run"]["facets"]["prefect_run"]
    assert event["run"]["facets"].pop("prefect_run") == {key: own[key] for key in own if key != "state"}
    assert (end["run"]["runId"], end["eventType"], end["eventTime"]) == (
        DONE,
        "COMPLETE",
        "2026-11-20T02:01:10.000000Z",
    )
    assert end["run"]["facets"] == {"prefect_run": own}
    assert end["job"] == {"namespace": "prefect", "name": "load-orders/nightly", "facets": {}}
    assert (end["inputs"], end["outputs"]) == (event["inputs"], event["outputs"])
    schema = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs"
    producer = "https://docs.airbyte.com/integrations/sources/prefect"
    assert own == {
        "_producer": producer, "_schemaURL": f"{schema}/RunFacet", "name": "happy-otter", "state": "Completed",
        "attempt": 2, "url": f"http://prefect.example.com/runs/flow-run/{DONE}",
    }  # fmt: skip
    assert event["job"]["facets"].pop("prefect_job") == {
        "_producer": producer, "_schemaURL": f"{schema}/JobFacet", "schedule": "0 2 * * *",
        "url": "http://prefect.example.com/deployments/deployment/deployment",
    }  # fmt: skip
    adapter = event["run"]["facets"]["processing_engine"].pop("openlineageAdapterVersion")
    warehouse = "postgres://warehouse.example.com:5432"
    assert adapter
    assert event == {
        "eventTime": "2026-11-20T02:00:03.000000Z",
        "eventType": "START",
        "producer": "https://docs.airbyte.com/integrations/sources/prefect",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {
            "runId": DONE,
            "facets": {
                "nominalTime": facet("run", "nominalTime", "1-0-1", nominalStartTime="2026-11-20T02:00:00.000000Z"),
                "processing_engine": facet("run", "processingEngine", "1-1-1", name="Prefect", version="3.8.8"),
                "tags": facet("run", "tags", "1-0-0", tags=[
                    {"key": "auto-scheduled", "value": "true", "source": "PREFECT"},
                    {"key": "nightly", "value": "true", "source": "PREFECT"},
                ]),
            },
        },
        "job": {
            "namespace": "prefect",
            "name": "load-orders/nightly",
            "facets": {
                "jobType": facet("job", "jobType", "2-0-4", processingType="BATCH", integration="PREFECT",
                                 jobType="DAG"),
                "documentation": facet("job", "documentation", "1-1-0", description="Every night, **all** regions",
                                       contentType="text/markdown"),
                "ownership": facet("job", "ownership", "1-0-1", owners=[{"name": "Ana"}]),
                "sourceCodeLocation": facet(
                    "job", "sourceCodeLocation", "1-1-0", type="git", repoUrl="https://github.com/acme/flows",
                    url="https://github.com/acme/flows/blob/main/etl/orders.py", path="etl/orders.py", branch="main",
                ),
                "tags": facet("job", "tags", "1-0-0", tags=[
                    {"key": "nightly", "value": "true", "source": "PREFECT"},
                    {"key": "team", "value": "sales", "source": "PREFECT"},
                ]),
            },
        },
        "inputs": [
            {"namespace": "s3://shop-exports", "name": "customers.parquet", "facets": {}, "inputFacets": {}},
            {"namespace": "postgres://shop.example.com:5432", "name": "shop.public.orders", "facets": {},
             "inputFacets": {}},
            {"namespace": "prefect", "name": "crm.api.contacts", "facets": {}, "inputFacets": {}},
        ],
        "outputs": [
            {"namespace": warehouse, "name": "warehouse.mart.customers", "facets": {}, "outputFacets": {}},
            {"namespace": warehouse, "name": "warehouse.staging.orders", "facets": {}, "outputFacets": {}},
        ],
    }  # fmt: skip


def test_jobs_of_the_same_name_in_two_workspaces_have_a_namespace_each(tmp_path: Path) -> None:
    two: dict[str, list[dict[str, Any]]] = {
        "workspaces": [{"id": "s", "name": "Shop"}, {"id": "c", "name": "CRM"}],
        "flows": [{"id": "f", "name": "load"}, {"id": "g", "name": "load"}],
        "flow_runs": [
            flow_run(DONE, "COMPLETED", flow_id="f", deployment_id=None, workspace_id="s"),
            flow_run(FAILED, "FAILED", flow_id="g", deployment_id=None, workspace_id="c"),
            # In a workspace whose name was not synced, and on a server.
            flow_run(CRASHED, "CRASHED", flow_id="h", deployment_id=None, workspace_id="w"),
            flow_run(CANCELLED, "CANCELLED", flow_id="i", deployment_id=None),
        ],
        "task_runs": [task_run(MAKE, "extract-0a1b2c3d", FAILED, workspace_id="c")],
    }
    file, mapping = tmp_path / "prefect.duckdb", tmp_path / "mapping.yml"
    write_rows(file, two)
    mapping.write_text("jobs: {namespace: 'prefect/{workspace}'}")
    events = emitted(file, tmp_path / "events.jsonl", "--mapping", str(mapping))
    assert {(event["run"]["runId"], event["job"]["namespace"], event["job"]["name"]) for event in events} == {
        (DONE, "prefect/Shop", "load"),
        (FAILED, "prefect/CRM", "load"),
        (MAKE, "prefect/CRM", "load.extract"),
        (CRASHED, "prefect/w", "h"),
        (CANCELLED, "prefect/default", "i"),
    }
    (parent,) = {
        event["run"]["facets"]["parent"]["job"]["namespace"] for event in events if event["run"]["runId"] == MAKE
    }
    assert parent == "prefect/CRM"


def test_workspaces_that_share_a_namespace_are_reported(tables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    update(tables, "UPDATE flow_runs SET workspace_id = CASE WHEN id = ? THEN 'shop' ELSE 'crm' END", DONE)
    assert main([str(tables), "--dry-run"]) == 0
    said = "2 workspaces share the namespace prefect: write {workspace} into it, or jobs of the same name are one"
    assert said in capsys.readouterr().err


def test_each_run_has_a_start_and_the_end_that_it_came_to(tables: Path, tmp_path: Path) -> None:
    events = emitted(tables, tmp_path / "events.jsonl")
    job = "load-orders/nightly"
    assert told(events) == [
        *((DONE, kind, job) for kind in ("START", "COMPLETE")),
        *((FAILED, kind, job) for kind in ("START", "FAIL")),
        *((CRASHED, kind, job) for kind in ("START", "FAIL")),
        *((CANCELLED, kind, job) for kind in ("START", "ABORT")),
        (RUNNING, "START", job),
        *((SUBFLOW, kind, "check-quality") for kind in ("START", "COMPLETE")),
        (RETRYING, "START", job),
        *((MAKE, kind, f"{job}.build_customers") for kind in ("START", "COMPLETE")),
        *((CHECK, kind, "check-quality.check-rows") for kind in ("START", "COMPLETE")),
    ]
    errors = {
        (event["run"]["runId"], event["eventType"]): event["run"]["facets"]["errorMessage"]["message"]
        for event in events
        if "errorMessage" in event["run"]["facets"]
    }
    assert errors == {
        (FAILED, "FAIL"): "CRM answered 503: „Wartung“",
        (CRASHED, "FAIL"): "x" * 10_000,
        (CANCELLED, "ABORT"): "The CRM is down",
    }
    assert [problems(event) for event in events] == [[]] * len(events)


def test_a_child_knows_its_parent_and_the_topmost_run(tables: Path, tmp_path: Path) -> None:
    parents = {}
    for event in emitted(tables, tmp_path / "events.jsonl"):
        parent = event["run"]["facets"].get("parent")
        if parent:
            runs = (parent["run"]["runId"], parent["root"]["run"]["runId"])
            parents[event["run"]["runId"]] = (*runs, parent["job"]["name"], parent["root"]["job"]["name"])
    assert parents == {
        SUBFLOW: (DONE, DONE, "load-orders/nightly", "load-orders/nightly"),
        MAKE: (DONE, DONE, "load-orders/nightly", "load-orders/nightly"),
        CHECK: (SUBFLOW, DONE, "check-quality", "load-orders/nightly"),
    }


def test_only_what_is_new_is_sent_again(tables: Path, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    everything = emitted(tables, file)
    assert emitted(tables, file) == []
    # Twice the same, to the byte.
    assert emitted(tables, file, "--everything") == everything
    # Another receiver begins at the beginning.
    assert emitted(tables, tmp_path / "others.jsonl") == everything

    later: dict[str, Any] = {"_airbyte_extracted_at": SYNCED + timedelta(hours=1)}
    update(tables, "DELETE FROM flow_runs WHERE id = ?", RUNNING)
    write_rows(tables, {"flow_runs": [flow_run(RUNNING, "COMPLETED", **later)]})
    assert told(emitted(tables, file)) == [(RUNNING, kind, "load-orders/nightly") for kind in ("START", "COMPLETE")]

    # An asset of a run that was sent before: both of its events have another edge now.
    write_rows(tables, {"asset_materializations": [made("b", RUNNING, None, asset="s3://late/x", **later)]})
    again = emitted(tables, file)
    assert told(again) == [(RUNNING, kind, "load-orders/nightly") for kind in ("START", "COMPLETE")]
    assert all("s3://late" in [output["namespace"] for output in event["outputs"]] for event in again)
    assert emitted(tables, file) == []


def test_postgres_gives_the_same_events(tables: Path, tmp_path: Path) -> None:
    with postgres() as url:
        with psycopg2.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE SCHEMA prefect; SET search_path TO prefect")
            for statement in ddl():
                cursor.execute(statement)
            for statement, values in inserts(TABLES, "%s"):
                cursor.execute(statement, values)
        connection.close()
        state = ("--schema", "prefect", "--state", str(tmp_path / "state.json"))
        assert emitted(url, tmp_path / "events.jsonl", *state) == emitted(tables, tmp_path / "events.jsonl")
        assert emitted(url, tmp_path / "events.jsonl", *state) == []


@pytest.mark.parametrize(
    "missing", ["flows", "deployments", "lineage", "task_runs", "asset_materializations", "workspaces"]
)
def test_streams_that_were_not_synced_are_done_without(tables: Path, tmp_path: Path, missing: str) -> None:
    update(tables, f"DROP TABLE {missing}")
    runs = {run for run, _, _ in told(emitted(tables, tmp_path / "events.jsonl"))}
    assert {DONE, FAILED, CRASHED, CANCELLED, RUNNING, SUBFLOW, RETRYING} <= runs


def test_the_dry_run_shows_what_would_be_sent_and_what_no_rule_maps(
    tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert main([str(tables), "--mapping", str(MAPPING), "--dry-run"]) == 0
        shown = capsys.readouterr()
        assert len(shown.out.splitlines()) == 16
        assert "2026-11-20T02:01:10.000000Z  COMPLETE  check-quality.check-rows" in shown.out.splitlines()
        assert "No rule maps crm.api.contacts (6 times): it is prefect crm.api.contacts" in shown.err
    assert not list(tables.parent.glob("*.json"))
    # What was sent to a receiver would not be sent to it again.
    file = str(tables.with_name("events.jsonl"))
    assert main([str(tables), "--file", file]) == 0
    assert main([str(tables), "--file", file, "--dry-run"]) == 0
    assert capsys.readouterr().out == ""


def test_the_console_gets_the_events_as_json(tables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tables), "--console"]) == 0
    assert len([json.loads(line) for line in capsys.readouterr().out.splitlines()]) == 16


def test_the_demo_shows_a_success_a_failure_and_a_task(tables: Path, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    count, lines = write_events(tables, file)
    assert count == len(events_in(file)) == 16
    assert [line.partition("  postgres")[0].partition("  s3")[0] for line in lines] == [
        "2026-11-20T02:01:10.000000Z  COMPLETE  load-orders/nightly",
        "2026-11-20T02:01:10.000000Z  FAIL      load-orders/nightly",
        "2026-11-20T02:01:10.000000Z  COMPLETE  load-orders/nightly.build_customers",
    ]


def test_a_run_without_times_has_those_of_the_sync(tables: Path, tmp_path: Path) -> None:
    update(tables, "UPDATE flow_runs SET start_time = NULL, end_time = NULL, state_timestamp = NULL, "
                   "expected_start_time = NULL")  # fmt: skip
    events = emitted(tables, tmp_path / "events.jsonl", "--without-tasks")
    assert {event["eventTime"] for event in events} == {"2026-11-20T12:00:00.000000Z"}
    assert {run for run, _, _ in told(events)} == {DONE, FAILED, CRASHED, CANCELLED, SUBFLOW}


# Nothing is lost


@pytest.mark.parametrize(
    ("options", "environment", "error"),
    [
        ([], {}, "Where to? Give --url, --file or --console"),
        (["--url", "http://127.0.0.1:9"], {"OPENLINEAGE_DISABLED": "true"}, "Nothing would be sent"),
        ([], {"OPENLINEAGE__TRANSPORT__TYPE": "noop"}, "Nothing would be sent"),
    ],
)
def test_what_leads_nowhere_is_an_error(
    tables: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    environment: dict[str, str],
    error: str,
) -> None:
    monkeypatch.chdir(tables.parent)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main([str(tables), *options]) == 1
    assert error in capsys.readouterr().err
    assert not list(tables.parent.glob("*.json"))


def test_the_client_may_have_a_configuration_of_its_own(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tables.with_name("configured.jsonl")
    transport = {"type": "file", "log_file_path": str(file), "append": True}
    tables.with_name("openlineage.yml").write_text(yaml.safe_dump({"transport": transport}))
    monkeypatch.chdir(tables.parent)
    assert main([str(tables)]) == 0
    assert len(events_in(file)) == 16


def test_a_kill_at_half_loses_none(tmp_path: Path) -> None:
    database, file = tmp_path / "runs.duckdb", tmp_path / "events.jsonl"
    write_many(database, 2_000)
    command = [sys.executable, "-m", "prefect_openlineage", str(database), "--file", str(file)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    while not file.exists() or file.stat().st_size < 5_000_000:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # As if the kill had come in the middle of a line.
    with file.open("a") as events:
        events.write('{"eventTime": "2026-')
    before = len(file.read_text().splitlines()) - 1
    assert before < 4_800

    assert main([str(database), "--file", str(file)]) == 0
    times = Counter((run, kind) for run, kind, _ in told(events_in(file)))
    # 2,000 flow runs and 400 task runs, each with a start and an end; what was sent of the second
    # page came twice.
    assert len(times) == 4_800
    assert max(times.values()) == 2
    assert times.total() == 4_800 + before - 2_000


def test_a_catalog_that_goes_down_loses_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prefect_openlineage.runs.PAGE_SIZE", 50)
    database = tmp_path / "runs.duckdb"
    write_many(database, 150)
    catalog = Marquez()

    def go_down(request: Request, forward: Forward) -> Answer:
        return Answer(503) if len(catalog.taken) == 133 else catalog(request, forward)

    with served(catalog) as running:
        running.behaviour = go_down
        options = [str(database), "--url", running.url, "--retries", "0"]
        assert main(options) == 1
        assert "Run it again to go on from there." in capsys.readouterr().err
        running.behaviour = catalog
        assert main(options) == 0
    assert len({(event["run"]["runId"], event["eventType"]) for event in catalog.taken}) == 360
    # The second call began with the second page, of which 33 events had been sent.
    assert len(catalog.taken) == 360 + 33


def test_a_catalog_that_is_slow_is_asked_again(tables: Path) -> None:
    catalog = Marquez()

    def refuse_first(request: Request, forward: Forward) -> Answer:
        return Answer(429, headers={"Retry-After": "0"}) if request.number % 3 == 0 else catalog(request, forward)

    with served(catalog) as running:
        running.behaviour = refuse_first
        assert main([str(tables), "--url", running.url]) == 0
    assert len(catalog.taken) == 16


def test_a_refused_event_stops_it_or_is_reported(tables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalog = Marquez()

    def refuse_one(request: Request, forward: Forward) -> Answer:
        if request.body["run"]["runId"] == FAILED and request.body["eventType"] == "FAIL":
            return Answer(422, b'{"errors":["errorMessage is too sad"]}')
        return catalog(request, forward)

    with served(catalog) as running:
        running.behaviour = refuse_one
        assert main([str(tables), "--url", running.url]) == 1
        refused = f"The FAIL of run {FAILED} of load-orders/nightly was refused: 422"
        assert refused in (said := capsys.readouterr().err)
        assert "errorMessage is too sad" in said
        catalog.taken.clear()
        assert main([str(tables), "--url", running.url, "--skip-refused"]) == 0
        assert refused in capsys.readouterr().err
    assert len(catalog.taken) == 15


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["nothing.duckdb"], "There is no nothing.duckdb"),
        (["{empty}"], "There is no table flow_runs of an Airbyte sync"),
    ],
)
def test_what_is_no_sync_is_said_to_be_none(
    tmp_path: Path, options: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.duckdb"
    update(empty, "CREATE TABLE other (id VARCHAR)")
    assert main([option.format(empty=empty) for option in options]) == 1
    assert error in capsys.readouterr().err


DOCUMENTATION = (ROOT / "docs" / "catalogs.md").read_text()


# Those of a list are indented.
MAPPINGS = [found[1] for found in re.findall(r"^( *)```yaml\n(.*?)^\1```$", DOCUMENTATION, re.DOTALL | re.MULTILINE)]


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_every_mapping_in_the_documentation_can_be_read(tmp_path: Path, mapping: str) -> None:
    file = tmp_path / "mapping.yml"
    file.write_text(mapping)
    assert read_settings(file) != Settings()


def test_every_option_is_documented_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    options = set(re.findall(r"(?<![\w-])--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert set(re.findall(r"(?<=[ `(\n])--[a-z-]+", DOCUMENTATION)) == options


def test_a_receiver_that_takes_each_event_for_itself_gets_whole_ones(tables: Path, tmp_path: Path) -> None:
    for catalog, on_end in (("marquez", False), ("datahub", True), ("atlan", True), ("dataplex", True)):
        file = tmp_path / f"{catalog}.jsonl"
        assert main([str(tables), "--to", catalog, "--file", str(file)]) == 0
        start, end, *_ = events_in(file)
        assert "ownership" in start["job"]["facets"]
        assert ("ownership" in end["job"]["facets"]) == on_end
        assert [found for event in events_in(file) if (found := problems(event))] == []


def test_owners_may_be_teams(tables: Path, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.yml"
    mapping.write_text('jobs: {owner: "team:{owner}"}')
    assert main([str(tables), "--mapping", str(mapping), "--file", str(tmp_path / "events.jsonl")]) == 0
    start, *_ = events_in(tmp_path / "events.jsonl")
    assert start["job"]["facets"]["ownership"]["owners"] == [{"name": "team:Ana"}]
    mapping.write_text("jobs: {owner: team}")
    with pytest.raises(ValueError, match=r"must hold \{owner\}"):
        read_settings(mapping)
