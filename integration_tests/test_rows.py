"""The connector emits what the API returns, by the record rules: every field, on real runs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests

from devtools.connector import Sync, read_here, run_here
from devtools.data.seeding import STATE_TYPES, make_flow, make_run, make_task_run
from devtools.servers.prefect import PrefectServer
from integration_tests.record_rules import ADDED, OBJECTS, STREAMS, as_time, comparable, expected_row

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def sync_of_nothing(config: dict[str, Any]) -> Sync:
    """A sync of the server while it is still empty."""
    return read_here(config)


@pytest.fixture(scope="module")
def api_rows(server: PrefectServer, sync_of_nothing: Sync, pipelines: Path) -> Rows:
    """The API's rows after real flows have run, and runs of every state type were made."""
    assert sync_of_nothing.exit_code == 0
    server.restore(pipelines)
    for deployment in server.rows("deployments"):
        server.post(f"deployments/{deployment['id']}/schedule", {"max_runs": 3})
    flow_id = make_flow(server, "every-state", tags=["Ünïcode 🚀"])
    parent = make_run(server, flow_id, "RUNNING", name="parent of the task runs", context={"größe": {"a.b": 1}})
    for state in STATE_TYPES:
        make_run(server, flow_id, state, name=state, parameters={"text": "ü" * 20_000, "nested": [[{"a": None}]]})
        make_task_run(server, parent, state, state)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    make_run(server, flow_id, "CANCELLED", due=tomorrow, name="cancelled before due")
    return {stream: server.rows(stream) for stream in STREAMS}


@pytest.fixture(scope="module")
def first_sync(config: dict[str, Any], api_rows: Rows) -> Sync:
    """A sync by the smallest page, so that every stream takes several."""
    assert all(len(rows) > 2 for rows in api_rows.values())
    return read_here({**config, "page_size": 2}).ok()


@pytest.fixture(scope="module")
def schemas(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    streams = run_here("discover", config)[0]["catalog"]["streams"]
    return {stream["name"]: stream["json_schema"] for stream in streams}


def test_an_empty_workspace_is_synced(sync_of_nothing: Sync) -> None:
    assert not any(sync_of_nothing.ok().records.values())
    assert {*map(tuple, sync_of_nothing.statuses.values())} == {("STARTED", "COMPLETE")}
    assert sync_of_nothing.statuses.keys() >= set(STREAMS)


def test_a_sync_after_that_of_an_empty_workspace_brings_everything(
    config: dict[str, Any], sync_of_nothing: Sync, api_rows: Rows
) -> None:
    sync = read_here(config, state=sync_of_nothing.state).ok()
    assert {stream: set(sync.ids(stream)) for stream in STREAMS} == _ids(api_rows)


@pytest.mark.parametrize("stream", STREAMS)
def test_whole_rows(stream: str, server: PrefectServer, api_rows: Rows, first_sync: Sync) -> None:
    ui = server.url.removesuffix("/api")
    expected = {row["id"]: comparable(expected_row(stream, row, ui)) for row in api_rows[stream]}
    assert _comparable(first_sync, stream) == expected
    assert len(first_sync.records[stream]) == len(expected), "a row came twice"


def test_the_page_size_makes_no_difference(config: dict[str, Any], first_sync: Sync) -> None:
    whole = read_here(config).ok()
    for stream in STREAMS:
        assert _comparable(whole, stream) == _comparable(first_sync, stream)


def test_every_kind_of_row_was_compared(api_rows: Rows) -> None:
    """Guards the tests above: what they compare has to hold what they are about."""
    for table in ("flow_runs", "task_runs"):
        assert {row["state_type"] for row in api_rows[table]} == set(STATE_TYPES)
    cancelled = next(row for row in api_rows["flow_runs"] if row["name"] == "cancelled before due")
    assert as_time(cancelled["end_time"]) < as_time(cancelled["expected_start_time"])
    assert any(row["auto_scheduled"] for row in api_rows["flow_runs"])
    assert any(row["run_count"] == 2 for row in api_rows["flow_runs"])
    assert any(row["run_count"] == 2 for row in api_rows["task_runs"])
    assert any(row["parent_task_run_id"] for row in api_rows["flow_runs"])
    assert any(len(str(row["parameters"])) > 20_000 for row in api_rows["flow_runs"])
    assert {row["type"] for row in api_rows["artifacts"]} >= {"table", "markdown", "progress", None}
    assert {type(row["value"]) for row in api_rows["variables"]} == {str, int, float, bool, dict, list, type(None)}
    schedules = [entry for row in api_rows["deployments"] for entry in row["schedules"]]
    assert {kind for entry in schedules for kind in ("cron", "interval", "rrule") if kind in entry["schedule"]} == {
        *("cron", "interval", "rrule")
    }
    assert {entry["active"] for entry in schedules} == {True, False}


@pytest.mark.parametrize("stream", STREAMS)
def test_every_row_keeps_to_the_schema(stream: str, first_sync: Sync, schemas: dict[str, dict[str, Any]]) -> None:
    validator = jsonschema.Draft7Validator(schemas[stream])
    times = {name for name, column in schemas[stream]["properties"].items() if column.get("format") == "date-time"}
    for row in first_sync.records[stream]:
        assert [error.message for error in validator.iter_errors(row)] == []
        assert row.keys() <= schemas[stream]["properties"].keys()
        for column in times & row.keys():
            assert row[column] is None or as_time(row[column]).tzinfo


# What the server says of its answers


@pytest.fixture(scope="module")
def openapi(server: PrefectServer) -> dict[str, Any]:
    document: dict[str, Any] = requests.get(f"{server.url}/openapi.json", timeout=60).json()
    return document


# The columns that only Prefect Cloud's rows have.
OF_WORKSPACE = {"account_id", "workspace_id"}
CLOUD_ONLY = {
    "flows": {f"{who}_by_{what}" for who in ("created", "updated") for what in ("id", "type", "display_value")},
    "deployments": {
        *("disabled", "version_id", "version_info", "branch", "root", "base", "manifest_path", "infra_overrides"),
    },
    "flow_runs": {"flow_name", "deployment_version_id", "deployment_version_info"},
}


@pytest.mark.parametrize("stream", STREAMS)
def test_every_field_that_the_server_documents_is_declared_with_its_type(
    stream: str, openapi: dict[str, Any], schemas: dict[str, dict[str, Any]]
) -> None:
    answer = openapi["paths"][f"/{stream}/filter"]["post"]["responses"]["200"]
    documented = _columns(openapi, answer["content"]["application/json"]["schema"]["items"], OBJECTS[stream])
    declared = {name: _kind(column) for name, column in schemas[stream]["properties"].items()}
    assert documented.items() <= declared.items(), set(documented.items()) - set(declared.items())
    assert declared.keys() - documented.keys() == ADDED[stream] | OF_WORKSPACE | CLOUD_ONLY.get(stream, set())


def _columns(openapi: dict[str, Any], schema: dict[str, Any], objects: list[str], prefix: str = "") -> dict[str, str]:
    """The columns that rows of this schema have, each with its type."""
    columns: dict[str, str] = {}
    for name, field in _resolved(openapi, schema)["properties"].items():
        if prefix + name in objects:
            columns |= _columns(openapi, field, objects, f"{prefix}{name}_")
        else:
            columns[prefix + name] = _kind(_resolved(openapi, field))
    return columns


def _resolved(openapi: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself, without references and without its null."""
    if "anyOf" in schema:
        branches = [branch for branch in schema["anyOf"] if branch.get("type") != "null"]
        return _resolved(openapi, branches[0]) if len(branches) == 1 else {}
    if "$ref" in schema:
        return _resolved(openapi, openapi["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]])
    return schema


def _kind(schema: dict[str, Any]) -> str:
    """One word for a type: what is no single value is JSON text."""
    types = schema.get("type")
    names = {types} if isinstance(types, str) else set(types or ()) - {"null"}
    if schema.get("format") == "date-time":
        return "time"
    return names.pop() if len(names) == 1 and names <= {"integer", "number", "boolean"} else "string"


def _comparable(sync: Sync, stream: str) -> dict[str, dict[str, Any]]:
    return {row_id: comparable(row) for row_id, row in sync.by_id(stream).items()}


def _ids(rows: Rows) -> dict[str, set[str]]:
    return {stream: {row["id"] for row in rows[stream]} for stream in rows}
