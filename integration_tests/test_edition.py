"""What the edition in pure YAML promises, on a real server: how it is reached, and no lost row."""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from devtools.connector import read_here
from devtools.data.bulk import history, insert_flow_runs, insert_logs, insert_task_runs
from devtools.data.seeding import RUNS, execute, make_flow, make_run, make_task_run, now, set_state
from devtools.release.edition import read_edition_here, recorded_waits
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Proxy, Request

# How a server is reached


@pytest.mark.parametrize("end", ["", "/", "/api", "/api/"])
def test_the_address_of_a_server_may_end_in_api(end: str, empty: PrefectServer) -> None:
    flow_id = make_flow(empty)
    ui = empty.url.removesuffix("/api")
    sync = read_edition_here({"connection": {"type": "server", "api_url": ui + end}}, ["flows"]).ok()
    assert [row["ui_url"] for row in sync.records["flows"]] == [f"{ui}/flows/flow/{flow_id}"]


@pytest.mark.parametrize("auth_string", ["admin:1.50", "007", "Łukasz:'{{ 1 }}'"])
def test_credentials_and_headers_are_sent_as_they_are_written(auth_string: str, gate: Proxy) -> None:
    headers = [{"name": "CF-Access-Client-Id", "value": "1.50"}, {"name": "X-Quoted", "value": "'a': {}"}]
    connection = {"type": "server", "api_url": gate.url, "auth_string": auth_string, "custom_headers": headers}
    gate.log.clear()
    read_edition_here({"connection": connection}, ["flows"]).ok()
    sent = gate.log[0].headers
    assert base64.b64decode(sent["Authorization"].removeprefix("Basic ")).decode() == auth_string
    assert (sent["CF-Access-Client-Id"], sent["X-Quoted"]) == ("1.50", "'a': {}")


def test_a_server_without_a_password_is_sent_none(gate: Proxy) -> None:
    gate.log.clear()
    read_edition_here({"connection": {"type": "server", "api_url": gate.url}}, ["flows"]).ok()
    assert "Authorization" not in gate.log[0].headers


# Nothing is lost


@pytest.fixture
def paged(empty_gate: Proxy) -> dict[str, Any]:
    """A config of the empty server behind the proxy, with pages that overlap by two rows."""
    return {"connection": {"type": "server", "api_url": empty_gate.url}, "page_size": 20}


@pytest.mark.parametrize("stream", ["flow_runs", "logs"])
def test_rows_that_are_deleted_between_two_pages_hide_no_other(
    stream: str, empty: PrefectServer, empty_gate: Proxy, paged: dict[str, Any]
) -> None:
    times = list(history(100, until=now(), every=timedelta(minutes=1)))
    if stream == "logs":
        ids = insert_logs(empty.database, [run.expected for run in times])
    else:
        ids = insert_flow_runs(empty.database, make_flow(empty), times)
    deleted: list[str] = []

    def delete_two_that_were_read(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        for row in answer.rows[:2]:
            execute(empty, f"DELETE FROM {stream.removesuffix('s')} WHERE id = ?", row["id"])
            deleted.append(row["id"])
        return answer

    empty_gate.behaviour = delete_two_that_were_read
    sync = read_edition_here(paged, [stream]).ok()
    assert len(deleted) >= 10
    assert set(sync.ids(stream)) >= set(ids) - set(deleted)


def test_flows_that_change_during_a_first_sync_are_in_it(
    empty: PrefectServer, empty_gate: Proxy, paged: dict[str, Any]
) -> None:
    ids = [make_flow(empty, f"flow-{n}") for n in range(50)]

    def change_the_oldest(request: Request, forward: Forward) -> Answer:
        empty.patch(f"flows/{ids[request.number]}", {"tags": ["changed"]})
        return forward(request)

    empty_gate.behaviour = change_the_oldest
    assert set(read_edition_here(paged, ["flows"]).ok().ids("flows")) == set(ids)


def test_a_run_that_changes_while_others_are_read_is_in_the_next_sync(
    empty: PrefectServer, empty_gate: Proxy, paged: dict[str, Any]
) -> None:
    flow = make_flow(empty)
    ids = sorted((make_run(empty, flow, "RUNNING") for _ in range(40)), reverse=True)

    def end_the_first_and_then_the_last(request: Request, forward: Forward) -> Answer:
        if request.number == 1:
            set_state(empty, "flow_runs", ids[0], "COMPLETED")
            set_state(empty, "flow_runs", ids[-1], "COMPLETED")
        return forward(request)

    empty_gate.behaviour = end_the_first_and_then_the_last
    first = read_edition_here(paged, ["flow_runs"]).ok()
    states = {run_id: row["state_type"] for run_id, row in first.by_id("flow_runs").items()}
    assert (states[ids[0]], states[ids[-1]]) == ("RUNNING", "COMPLETED")
    second = read_edition_here(paged, ["flow_runs"], first.state).ok()
    assert second.by_id("flow_runs")[ids[0]]["state_type"] == "COMPLETED"


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(hours=1)], ids=["on time", "an hour ahead"])
def test_the_servers_clock_may_be_ahead(ahead: timedelta, empty: PrefectServer, paged: dict[str, Any]) -> None:
    flow = make_flow(empty)
    insert_flow_runs(empty.database, flow, history(30, until=now() + ahead, every=timedelta(seconds=1)))
    for n in range(30):
        make_flow(empty, f"flow-{n}")
    later = (now() + ahead).strftime("%Y-%m-%d %H:%M:%S.%f")
    execute(empty, "UPDATE flow SET updated = ?", later)
    first = read_edition_here(paged, ["flows", "flow_runs"]).ok()
    assert (len(first.by_id("flows")), len(first.by_id("flow_runs"))) == (31, 30)
    second = read_edition_here(paged, ["flows", "flow_runs"], first.state).ok()
    assert (len(second.by_id("flows")), len(second.by_id("flow_runs"))) == (31, 30)


# What a later sync costs


def test_a_later_sync_reads_what_may_have_changed(
    empty: PrefectServer, empty_gate: Proxy, paged: dict[str, Any]
) -> None:
    flow = make_flow(empty)
    parent = make_run(empty, flow, "COMPLETED")
    execute(empty, "UPDATE flow_run SET end_time = '2026-01-01 00:00:00.000000', updated = end_time")
    old = list(history(100, until=now() - timedelta(days=30), every=timedelta(minutes=1)))
    insert_flow_runs(empty.database, flow, old)
    insert_task_runs(empty.database, parent, old)
    running = make_run(empty, flow, "RUNNING")
    first = read_edition_here(paged, RUNS).ok()
    assert (len(first.by_id("flow_runs")), len(first.by_id("task_runs"))) == (102, 100)
    set_state(empty, "flow_runs", running, "COMPLETED")
    task = make_task_run(empty, running, "extract", "COMPLETED")
    empty_gate.log.clear()
    second = read_edition_here(paged, RUNS, first.state).ok()
    assert (second.ids("flow_runs"), second.ids("task_runs")) == ([running], [task])
    # One of the flow runs, two of the task runs: within flow runs, and outside of any.
    assert len(empty_gate.log) == 3


def test_a_start_date_leaves_out_earlier_runs_artifacts_and_lines(empty: PrefectServer, paged: dict[str, Any]) -> None:
    flow = make_flow(empty)
    days = list(history(10, until=now(), every=timedelta(days=1)))
    insert_flow_runs(empty.database, flow, days)
    insert_task_runs(empty.database, make_run(empty, flow, "COMPLETED"), days)
    insert_logs(empty.database, [run.expected for run in days])
    empty.post("artifacts/", {"key": "report", "type": "markdown", "data": "# Orders"})
    execute(empty, "UPDATE artifact SET created = '2020-01-01 00:00:00.000000'")
    config = {**paged, "start_date": f"{now() - timedelta(days=5):%Y-%m-%dT%H:%M:%SZ}"}
    streams = [*RUNS, "logs", "artifacts"]
    package, edition = read_here(config, streams).ok(), read_edition_here(config, streams).ok()
    assert {stream: set(edition.ids(stream)) for stream in streams} == {s: set(package.ids(s)) for s in streams}
    assert len(edition.by_id("task_runs")) == 5


# What is said of a failure


def answering(status: int, body: bytes = b"{}", retry_after: str = "") -> Callable[[Request, Forward], Answer]:
    headers = {"Retry-After": retry_after} if retry_after else {}
    return lambda *_: Answer(status, body, {"Content-Type": "application/json", **headers})


FAILURES = {
    "wrong key": (answering(401), "Prefect rejected the credentials (401)"),
    "no access": (answering(403), "Prefect gave no access (403)"),
    "wrong address": (answering(404), "There is no Prefect API at this address"),
    "lower limit": (answering(422, b'{"detail": "Invalid limit"}'), "Invalid limit"),
    "HTML": (lambda *_: Answer(200, b"<html>", {"Content-Type": "text/html; charset=utf-8"}), "a page of HTML"),
    "an object": (answering(200), "something else than a list of rows"),
    "half a list": (answering(200, b'[{"id": "1"}'), "something else than a list of rows"),
    "a broken server": (answering(500), "failed to answer"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_ends_the_sync_with_a_sentence(failure: str, empty_gate: Proxy, paged: dict[str, Any]) -> None:
    empty_gate.behaviour, sentence = FAILURES[failure]
    with recorded_waits():
        sync = read_edition_here(paged, ["flows"])
    assert sync.exit_code == 1
    assert any(sentence in error["message"] for error in sync.errors), sync.errors


def test_the_rate_limit_is_waited_for(empty: PrefectServer, empty_gate: Proxy, paged: dict[str, Any]) -> None:
    flow_id = make_flow(empty)

    def slow_down(request: Request, forward: Forward) -> Answer:
        return answering(429, retry_after="7")(request, forward) if request.number < 3 else forward(request)

    empty_gate.behaviour = slow_down
    with recorded_waits() as waits:
        sync = read_edition_here(paged, ["flows"]).ok()
    assert sync.ids("flows") == [flow_id]
    # The CDK adds a second.
    assert [round(wait) for wait in waits] == [8, 8, 8]
