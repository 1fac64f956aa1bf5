"""What `leave_out` names never leaves Prefect: in no column, stream, log, trace or state."""

import json
import subprocess
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from devtools.connector import COMMAND, Sync, catalog
from devtools.connector import read_here as read
from devtools.data.seeding import execute, make_flow, make_run, make_task_run, set_state
from devtools.servers.cloud import Workspace, cloud
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Proxy
from source_prefect import manifest

CHOICES: list[str] = manifest.load()["spec"]["connection_specification"]["properties"]["leave_out"]["items"]["enum"]
TASK_INPUTS = "task_inputs"


class Secrets:
    """Texts that are planted, by the choice that leaves them out."""

    def __init__(self) -> None:
        self.planted: dict[str, list[str]] = defaultdict(list)

    def plant(self, choice: str) -> str:
        secret = f"secret-{choice}-{uuid4().hex}"
        self.planted[choice].append(secret)
        return secret


def plant_everywhere(server: PrefectServer) -> dict[str, list[str]]:
    """Each choice's content, wherever Prefect's API takes it; the secrets."""
    it = Secrets()
    pool: dict[str, Any] = {
        "job_configuration": {"command": "run"},
        "variables": {"properties": {"env": {"default": it.plant("job_variables")}}},
    }
    server.post("work_pools/", {"name": "shop", "type": "process", "base_job_template": pool})
    step = {"prefect_aws.experimental.bundles.upload": {"bucket": it.plant("pull_steps")}}
    server.patch("work_pools/shop", {"storage_configuration": {"bundle_upload_step": step}})
    pool["variables"]["properties"]["env"]["default"] = it.plant("job_variables")
    server.patch("work_pools/shop", {"base_job_template": pool})
    flow = make_flow(server)
    schema = {"properties": {"password": {"type": "string", "default": it.plant("parameters")}}}
    schedule = {"schedule": {"interval": 3600}, "parameters": {"password": it.plant("parameters")}}
    deployment = server.post(
        "deployments/",
        {
            "name": "nightly",
            "flow_id": flow,
            "work_pool_name": "shop",
            "parameters": {"password": it.plant("parameters")},
            "parameter_openapi_schema": schema,
            "job_variables": {"env": {"TOKEN": it.plant("job_variables")}},
            "pull_steps": [{"prefect.deployments.steps.git_clone": {"access_token": it.plant("pull_steps")}}],
            "schedules": [schedule],
        },
    )["id"]
    server.patch(f"deployments/{deployment}", {"parameters": {"password": it.plant("parameters")}})
    server.patch(f"deployments/{deployment}", {"job_variables": {"env": {"TOKEN": it.plant("job_variables")}}})
    action = {
        "type": "run-deployment",
        "source": "selected",
        "deployment_id": deployment,
        "parameters": {"password": it.plant("parameters")},
        "job_variables": {"env": {"TOKEN": it.plant("job_variables")}},
    }
    trigger = {"type": "event", "posture": "Reactive", "expect": ["shop.*"], "threshold": 1, "within": 0}
    server.post("automations/", {"name": "again", "trigger": trigger, "actions": [action]})
    server.post("variables/", {"name": "token", "value": {"deep": [it.plant("variable_values")]}})
    server.patch("variables/name/token", {"value": {"deep": [it.plant("variable_values")]}})
    server.post("variables/", {"name": "gone", "value": it.plant("variable_values")})
    server.delete("variables/name/gone")
    run = make_run(
        server,
        flow,
        parameters={"password": it.plant("parameters")},
        job_variables={"env": {"TOKEN": it.plant("job_variables")}},
    )
    task_run = make_task_run(
        server, run, "load", task_inputs={"x": [{"input_type": "parameter", "name": it.plant(TASK_INPUTS)}]}
    )
    set_state(server, "flow_runs", run, "RUNNING", message=it.plant("state_messages"))
    for table, run_id in (("flow_runs", run), ("task_runs", task_run)):
        set_state(
            server, table, run_id, "FAILED", message=it.plant("state_messages"), data={"x": it.plant("artifact_data")}
        )
    server.post("artifacts/", {"key": "report", "type": "table", "data": [{"name": it.plant("artifact_data")}]})
    log = {"name": "prefect", "level": 20, "message": it.plant("log_messages"), "flow_run_id": run}
    server.post("logs/", [{**log, "timestamp": datetime.now(UTC).isoformat()}])
    server.post("events", [_task_run_event(it, task_run), *_own_events(it)])
    server.wait_for_events()
    return dict(it.planted)


def _event(name: str, resource: str, payload: Any, **labels: str) -> dict[str, Any]:
    event = {"id": str(uuid4()), "occurred": datetime.now(UTC).isoformat(), "event": name, "payload": payload}
    return {**event, "resource": {"prefect.resource.id": resource, **labels}}


def _task_run_event(it: Secrets, task_run: str) -> dict[str, Any]:
    """As Prefect's client sends it, with the task run whole."""
    message = it.plant("state_messages")
    payload = {
        "initial_state": {"type": "PENDING", "name": "Pending", "message": it.plant("state_messages")},
        "validated_state": {
            "type": "RUNNING",
            "name": "Running",
            "message": message,
            "data": {"storage_key": it.plant("artifact_data")},
        },
        "task_run": {
            "name": "load",
            "task_key": "load",
            "dynamic_key": "0",
            "task_inputs": {"x": [{"input_type": "parameter", "name": it.plant(TASK_INPUTS)}]},
        },
    }
    labels = {"prefect.state-message": message, "prefect.state-type": "RUNNING", "prefect.state-name": "Running"}
    return _event("prefect.task-run.Observed", f"prefect.task-run.{task_run}", payload, **labels)


def _own_events(it: Secrets) -> list[dict[str, Any]]:
    note = {"note": {"deep": [it.plant("event_payloads")]}}
    metadata = {"rows": it.plant("event_payloads")}
    line = {"message": it.plant("log_messages")}
    return [
        _event("shop.order.paid", "shop.order.1", note),
        _event("prefect.asset.materialization.succeeded", "postgres://shop/orders", metadata),
        _event("prefect.log.write", "prefect.flow-run.1", line),
    ]


def printed(*syncs: Sync) -> str:
    return json.dumps([vars(sync) for sync in syncs], ensure_ascii=False)


def found(text: str, planted: dict[str, list[str]]) -> set[str]:
    """The choices of which a secret is in the text."""
    return {choice for choice, secrets in planted.items() if any(secret in text for secret in secrets)}


@pytest.fixture(scope="module")
def planted(server: PrefectServer) -> dict[str, list[str]]:
    secrets = plant_everywhere(server)
    assert sorted(secrets) == sorted(CHOICES)
    return secrets


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(choices=set())
@example(choices=set(CHOICES))
@given(choices=st.sets(st.sampled_from(CHOICES)))
def test_no_secret_of_a_choice_is_printed_and_every_other_is(
    config: dict[str, Any], planted: dict[str, list[str]], choices: set[str]
) -> None:
    chosen = {**config, "leave_out": sorted(choices)}
    first = read(chosen).ok()
    later = read(chosen, state=first.state).ok()
    assert found(printed(first, later), planted) == set(CHOICES) - choices


@pytest.mark.parametrize("choice", CHOICES)
def test_each_choice_alone_leaves_every_secret_of_its_kind_out_on_prefect_cloud_as_well(
    server: PrefectServer, planted: dict[str, list[str]], choice: str
) -> None:
    with cloud([Workspace(server.url, "One"), Workspace(server.url, "Two")]) as front:
        connection = {"type": "cloud", "api_key": front.keys[0].text, "api_url": front.url, "workspaces": ["all"]}
        sync = read({"connection": connection, "leave_out": [choice]}).ok()
    assert found(printed(sync), planted) == set(CHOICES) - {choice}
    assert {row["workspace_id"] for row in sync.records["flow_runs"]} == {w.workspace_id for w in front.workspaces}


def test_without_the_setting_every_secret_is_read(config: dict[str, Any], planted: dict[str, list[str]]) -> None:
    text = printed(read(config).ok())
    assert {secret for secrets in planted.values() for secret in secrets if secret not in text} == set()


def test_the_rows_and_all_other_columns_stay(config: dict[str, Any], planted: dict[str, list[str]]) -> None:
    assert planted
    whole, rest = read(config).ok(), read({**config, "leave_out": ["parameters", "variable_values"]}).ok()
    gone = {"deployments": {"parameters", "parameter_openapi_schema", "schedules"}, "flow_runs": {"parameters"}}
    gone |= {"variables": {"value", "value_type"}, "deployment_schedules": {"parameters"}}
    # The age of a run that has not begun.
    moving = {"estimated_start_time_delta"}
    for stream in ("deployments", "flow_runs", "task_runs", "variables", "deployment_schedules", "artifacts", "logs"):
        left_out = gone.get(stream, set())
        expected = {
            row_id: {name: value for name, value in row.items() if name not in left_out | moving}
            for row_id, row in whole.by_id(stream).items()
        }
        assert expected
        for row_id, row in rest.by_id(stream).items():
            # A schedule is there, without its parameters.
            row.pop("schedules", None)
            assert {name: value for name, value in row.items() if name not in moving} == expected[row_id]
    fields = {row["field"]: row for row in rest.records["change_log"] if row.get("field")}
    assert fields.keys() >= {"parameters", "infra_overrides"}
    assert "after" not in fields["parameters"]
    assert "after" in fields["infra_overrides"]


def test_task_dependencies_have_no_rows_without_the_inputs_and_the_log_says_so(
    config: dict[str, Any], planted: dict[str, list[str]]
) -> None:
    assert planted
    sync = read({**config, "leave_out": [TASK_INPUTS]}, ["task_dependencies"]).ok()
    assert sync.records["task_dependencies"] == []
    assert "task_dependencies: leave_out keeps back task_inputs." in sync.logs
    assert read(config, ["task_dependencies"]).ok().records["task_dependencies"]


@pytest.mark.parametrize("status", [200, 203])
def test_no_message_quotes_rows_that_were_cut_short(
    planted: dict[str, list[str]], gate: Proxy, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr("source_prefect.http.transport.Transport.pause", lambda *_: None)
    secret = planted["log_messages"][0]
    body = f'[{{"message":"{secret}","id'.encode()
    gate.behaviour = lambda it, forward: Answer(status, body) if it.path.startswith("logs") else forward(it)
    config = {"connection": {"type": "server", "api_url": gate.url}, "leave_out": ["log_messages"]}
    sync = read(config, ["logs"])
    assert sync.errors
    assert secret not in printed(sync)


def test_the_debug_log_of_the_process_has_none_either(
    config: dict[str, Any], planted: dict[str, list[str]], tmp_path: Path
) -> None:
    files = {"config": {**config, "leave_out": CHOICES}, "catalog": catalog(None, "incremental")}
    arguments = []
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
        arguments += [f"--{name}", str(tmp_path / name)]
    done = subprocess.run([*COMMAND, "read", "--debug", *arguments], capture_output=True, timeout=180, check=True)
    text = (done.stdout + done.stderr).decode()
    assert "Receiving response" in text
    assert found(text, planted) == set()


# A change of the setting


def test_what_is_left_out_no_longer_is_read_from_the_beginning(
    config: dict[str, Any], planted: dict[str, list[str]]
) -> None:
    streams = ["flow_runs", "deployments", "variables", "events", "artifacts"]
    first = read({**config, "leave_out": ["parameters", "state_messages"]}, streams).ok()
    later = read({**config, "leave_out": ["state_messages"]}, streams, first.state).ok()
    for stream in ("flow_runs", "deployments", "events"):
        assert any(f"{stream}: leave_out lets more pass than before" in line for line in later.logs)
    assert not any(line.startswith(("variables: leave_out", "artifacts: leave_out lets")) for line in later.logs)
    assert found(printed(later), planted) >= {"parameters"}
    assert found(printed(later), {"state_messages": planted["state_messages"]}) == set()
    assert later.by_id("flow_runs").keys() == first.by_id("flow_runs").keys()


def test_what_is_left_out_from_now_on_stays_in_rows_that_were_sent_and_the_log_says_so(empty: PrefectServer) -> None:
    secrets = plant_everywhere(empty)
    execute(empty, "UPDATE variable SET updated = '2026-01-01'")
    fresh = empty.post("variables/", {"name": "fresh", "value": 1})["id"]
    streams = ["flow_runs", "deployments", "variables"]
    config = {"connection": {"type": "server", "api_url": empty.url}}
    first = read(config, streams).ok()
    chosen = {**config, "leave_out": ["parameters", "variable_values"]}
    later = read(chosen, streams, first.state).ok()
    assert found(printed(later), secrets).isdisjoint(chosen["leave_out"])
    warnings = [line for line in later.logs if "is left out from now on" in line]
    assert sorted(line.partition(":")[0] for line in warnings) == sorted(streams)
    # Their content has changed, as the connector sees it.
    assert later.ids("deployments") == first.ids("deployments")
    assert later.ids("variables") == [fresh]
    again = read(chosen, streams, later.state).ok()
    assert not any("from now on" in line for line in again.logs)


def test_a_state_says_nothing_of_what_is_left_out(empty: PrefectServer) -> None:
    """Two contents make the same digest: a change of the parameters alone is none."""
    config = {"connection": {"type": "server", "api_url": empty.url}, "leave_out": ["parameters"]}
    flow = make_flow(empty)
    empty.post("deployments/", {"name": "nightly", "flow_id": flow, "parameters": {"pin": 1234}})
    first = read(config, ["deployments"]).ok()
    execute(empty, """UPDATE deployment SET parameters = '{"pin": 5678}'""")
    later = read(config, ["deployments"], first.state).ok()
    assert later.records["deployments"] == []
    [before], [after] = ([m["stream"]["stream_state"]["digests"] for m in sync.state] for sync in (first, later))
    assert before == after
    whole = {"connection": config["connection"]}
    first = read(whole, ["deployments"]).ok()
    execute(empty, """UPDATE deployment SET parameters = '{"pin": 1234}'""")
    assert read(whole, ["deployments"], first.state).ok().ids("deployments")
