"""The edition in pure YAML: the package's rows, on old and new CDKs and in Airbyte's Builder."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.connector import Sync, read_here
from devtools.data.seeding import make_flow, make_run, make_task_run, set_state
from devtools.release.airbyte_variant import write as write_for_airbyte
from devtools.release.edition import NEWEST_CDK, OLDEST_CDK, STREAMS, Builder, builder, read_edition, read_edition_here
from devtools.servers.cloud import Workspace, cloud
from devtools.servers.prefect import PrefectServer
from integration_tests.connecting import point_at
from integration_tests.record_rules import comparable
from source_prefect import manifest

PROGRAMS = Path(sys.executable).parent

Rows = dict[str, dict[str, Any]]


def rows(sync: Sync, stream: str) -> Rows:
    """The rows by id. JSON text as what it says: the editions write different blanks into it."""
    return {
        row_id: {name: _said(value) for name, value in comparable(row).items()}
        for row_id, row in sync.by_id(stream).items()
    }


def _said(value: Any) -> Any:
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return value


# The package's rows


@pytest.fixture(scope="module")
def of_package(filled_server: PrefectServer, config: dict[str, Any]) -> Sync:
    """What the package reads of a server with rows of every kind."""
    flow = make_flow(filled_server, "ünïcode", tags=["<'Ł\"\\n'>"], labels={"größe": "1.50"})
    parent = make_run(filled_server, flow, "RUNNING", parameters={"nested": [[{"a": None}], "'"], "n": 1e-7})
    make_task_run(filled_server, parent, "unfinished", "RUNNING")
    filled_server.post("task_runs/", {"task_key": "no flow", "dynamic_key": "0", "state": {"type": "RUNNING"}})
    filled_server.wait_for_events()
    return read_here(config, STREAMS).ok()


@pytest.fixture(scope="module")
def of_edition(of_package: Sync, config: dict[str, Any]) -> Sync:
    """What the edition reads of the same server, by the smallest pages."""
    assert of_package
    return read_edition_here({**config, "page_size": 2}).ok()


@pytest.mark.parametrize("stream", STREAMS)
def test_the_rows_are_those_of_the_package(stream: str, of_package: Sync, of_edition: Sync) -> None:
    assert rows(of_edition, stream) == rows(of_package, stream) != {}


@pytest.mark.parametrize("cdk", [OLDEST_CDK, NEWEST_CDK])
def test_two_syncs_by_source_declarative_manifest(
    cdk: str, of_package: Sync, filled_server: PrefectServer, config: dict[str, Any]
) -> None:
    first = read_edition(cdk, config).ok()
    assert of_package
    change_a_few(filled_server)
    second = read_edition(cdk, config, state=first.state).ok()
    whole = read_here(config, STREAMS).ok()
    for stream in STREAMS:
        assert {**rows(first, stream), **rows(second, stream)} == rows(whole, stream)


def change_a_few(server: PrefectServer) -> None:
    """What moves `updated`, and a schedule that does not move its deployment's."""
    [flow] = server.rows("flows", flows={"name": {"any_": ["ünïcode"]}})
    server.patch(f"flows/{flow['id']}", {"tags": ["changed"]})
    run_id = make_run(server, flow["id"], "COMPLETED")
    for run in server.rows("flow_runs", flow_runs={"state": {"type": {"any_": ["RUNNING"]}}}):
        set_state(server, "flow_runs", run["id"], "FAILED")
    for run in server.rows("task_runs", task_runs={"state": {"type": {"any_": ["RUNNING"]}}}):
        set_state(server, "task_runs", run["id"], "COMPLETED")
    make_task_run(server, run_id, "late", "COMPLETED")
    deployment = server.rows("deployments")[0]
    [schedule, *_] = deployment["schedules"] or [None]
    assert schedule
    server.patch(f"deployments/{deployment['id']}/schedules/{schedule['id']}", {"active": not schedule["active"]})
    server.wait_for_events()


# Prefect Cloud


def test_the_rows_of_prefect_cloud_are_those_of_the_package(filled_server: PrefectServer, of_package: Sync) -> None:
    assert of_package
    with cloud([Workspace(filled_server.url)]) as front:
        config = {"connection": front.connection(account_id="", workspace_id=front.workspaces[0].ui_url)}
        package, edition = read_here(config, STREAMS).ok(), read_edition_here(config).ok()
    for stream in STREAMS:
        assert rows(edition, stream) == rows(package, stream) != {}
        assert {row["workspace_id"] for row in edition.records[stream]} == {front.workspaces[0].workspace_id}


def test_a_workspace_is_named_by_its_address(filled_server: PrefectServer) -> None:
    with cloud([Workspace(filled_server.url)]) as front:
        account, workspace = front.workspaces[0].account_id, front.workspaces[0].workspace_id
        address = f"https://app.prefect.cloud/account/{account}/workspace/{workspace}/runs?page=2"
        connection = front.connection(account_id="", workspace_id=address)
        sync = read_edition_here({"connection": connection}, ["flows"]).ok()
    assert {(row["account_id"], row["workspace_id"]) for row in sync.records["flows"]} == {(account, workspace)}


# The Connector Builder


@pytest.fixture(scope="module")
def backend() -> Iterator[Builder]:
    with builder() as running:
        yield running


@pytest.mark.parametrize("stream", STREAMS)
def test_the_builder_reads_every_stream(
    stream: str, backend: Builder, of_package: Sync, config: dict[str, Any]
) -> None:
    answer = backend.post(
        "test_read", config=config, stream_name=stream, state=[], page_limit=5, slice_limit=5, record_limit=1000
    )
    assert answer.status_code == 200, answer.text
    pages = [page for part in answer.json()["slices"] for page in part["pages"]]
    assert {row["id"] for page in pages for row in page["records"]} >= set(of_package.ids(stream)) != set()


def test_the_builder_checks_and_resolves_it(backend: Builder, config: dict[str, Any]) -> None:
    assert backend.post("check", config=config).json() == {"success": True, "message": None}
    assert backend.post("resolve").status_code == 200
    assert backend.post("full_resolve", config=config, stream_limit=10).status_code == 200
    discovered = backend.post("discover", config=config).json()["catalog"]["streams"]
    assert [stream["name"] for stream in discovered] == STREAMS


def test_the_builder_refuses_custom_code(backend: Builder, config: dict[str, Any]) -> None:
    """What the edition is for: the package's manifest is of no use there."""
    package = manifest.load()
    answer = backend.post("check", package, config=config)
    assert (answer.status_code, "Custom" in answer.text) == (400, True), answer.text


# Airbyte's catalog


def test_airbytes_standard_tests_pass(filled_server: PrefectServer, of_package: Sync, tmp_path: Path) -> None:
    assert of_package
    connector = write_for_airbyte(tmp_path)
    point_at(filled_server, connector / "integration_tests")
    done = subprocess.run(
        [PROGRAMS / "airbyte-cdk", "connector", "test", connector, "--pytest-arg=-m=not image_tests"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    passed = re.findall(r"(\d+) passed", done.stdout)
    assert passed, done.stdout[-500:]
