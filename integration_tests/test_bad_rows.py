"""A row that breaks each page with it, or an answer that a gateway refuses, stops nothing."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from devtools.connector import State, read_here
from devtools.data.bulk import (
    history,
    insert_deployments,
    insert_events,
    insert_flow_runs,
    insert_logs,
    insert_task_runs,
)
from devtools.data.seeding import execute, make_flow, state_at
from devtools.servers.faults import impatient, recorded_waits
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Proxy, Request
from integration_tests.month import NOW

HOUR = timedelta(hours=1)
RUNS = 70
PAGE_SIZE = 20
# Parameters: Prefect 3.8.8 fails at both in a list, and at the second also by the id of the run.
INTEGER, SURROGATE = '{"x": 1180591620717411303424}', '{"x": "\\ud800"}'
LONG_AGO = state_at(NOW - RUNS * HOUR, "flow_runs")


@pytest.fixture(autouse=True)
def _impatient() -> Any:
    with impatient():
        yield


@pytest.fixture
def ids(empty: PrefectServer) -> list[str]:
    """Finished runs, the newest first."""
    return insert_flow_runs(empty.database, make_flow(empty), history(RUNS, until=NOW, every=HOUR))


def settings(url: str) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": url}, "page_size": PAGE_SIZE}


def break_run(server: PrefectServer, run: str, parameters: str) -> None:
    execute(server, "UPDATE flow_run SET parameters = ? WHERE id = ?", parameters, run)


@pytest.mark.parametrize("places", [(0,), (19, 20), (RUNS - 1,), (5, 6, 7, 33)], ids=str)
@pytest.mark.parametrize("state", [None, LONG_AGO], ids=["first sync", "later sync"])
def test_a_run_that_breaks_its_page_is_read_by_its_id(
    empty: PrefectServer, ids: list[str], places: tuple[int, ...], state: State | None
) -> None:
    for place in places:
        break_run(empty, ids[place], INTEGER)
    sync = read_here({**settings(empty.url), "lookback_window": "P9D"}, ["flow_runs"], state).ok()
    assert Counter(sync.ids("flow_runs")) == Counter(ids)
    rows = sync.by_id("flow_runs")
    for place in places:
        assert json.loads(rows[ids[place]]["parameters"]) == json.loads(INTEGER)
        assert rows[ids[place]].keys() == rows[ids[10]].keys()


@pytest.mark.parametrize("places", [(0,), (19, 20), (RUNS - 1,), (5, 6, 7, 33)], ids=str)
@pytest.mark.parametrize("state", [None, LONG_AGO], ids=["first sync", "later sync"])
def test_a_run_that_cannot_be_read_at_all_is_named_and_the_next_sync_goes_on(
    empty: PrefectServer, ids: list[str], places: tuple[int, ...], state: State | None
) -> None:
    for place in places:
        break_run(empty, ids[place], SURROGATE)
    unreadable = {ids[place] for place in places}
    sync = read_here({**settings(empty.url), "lookback_window": "P9D"}, ["flow_runs"], state)
    assert Counter(sync.ids("flow_runs")) == Counter(set(ids) - unreadable)
    [error, _] = sync.errors
    assert all(run in error["message"] for run in unreadable)
    assert "Delete the rows in Prefect, or update it" in error["message"]
    # The cursor has moved, past rows that a later sync does not meet again.
    new = insert_flow_runs(empty.database, make_flow(empty), history(1, until=NOW + HOUR, every=HOUR))
    later = read_here({**settings(empty.url), "lookback_window": "PT0S"}, ["flow_runs"], sync.state)
    assert set(new) <= set(later.ids("flow_runs"))
    assert len(later.ids("flow_runs")) < 10


# A column of each table, and a value at which the server fails in each list of such a row.
COLUMNS = {
    "flows": ("flow", "tags", '["\\ud800"]'),
    "flow_runs": ("flow_run", "parameters", SURROGATE),
    "task_runs": ("task_run", "tags", '["\\ud800"]'),
    "deployments": ("deployment", "parameters", SURROGATE),
    "artifacts": ("artifact", "data", SURROGATE),
    "variables": ("variable", "value", SURROGATE),
    "work_pools": ("work_pool", "base_job_template", SURROGATE),
    "logs": ("log", "level", "loud"),
    "events": ("events", "payload", SURROGATE),
}


@pytest.mark.parametrize("stream", COLUMNS)
@pytest.mark.parametrize("bad", [(0, 3), range(1, 11)], ids=str)
def test_whatever_rows_break_a_list_all_others_arrive(empty: PrefectServer, stream: str, bad: Sequence[int]) -> None:
    flow = make_flow(empty)
    [run, *_] = insert_flow_runs(empty.database, flow, history(12, until=NOW, every=HOUR))
    insert_task_runs(empty.database, run, history(12, until=NOW, every=HOUR))
    insert_deployments(empty.database, [[] for _ in range(12)], until=NOW)
    insert_logs(empty.database, [NOW - n * HOUR / 60 for n in range(12)])
    # Some of them tie.
    insert_events(empty.database, [NOW - n // 8 * HOUR for n in range(12)])
    for n in range(12 if stream in ("artifacts", "variables", "work_pools") else 0):
        empty.post("artifacts/", {"key": "report", "type": "markdown"})
        empty.post("variables/", {"name": f"v{n}", "value": 1})
        empty.post("work_pools/", {"name": f"pool-{n}", "type": "process"})
    empty.wait_for_events()
    table, column, value = COLUMNS[stream]
    body = {"filter": {"order": "ASC"}, "limit": 50} if stream == "events" else {}
    found = empty.post(f"{stream}/filter", body)
    there = [row["id"] for row in (found["events"] if stream == "events" else found)]
    for place in bad:
        execute(empty, f"UPDATE {table} SET {column} = ? WHERE id = ?", value, there[place])
    config = {"connection": {"type": "server", "api_url": empty.url}, "page_size": 4}
    sync = read_here(config, [stream])
    assert set(sync.ids(stream)) == set(there) - {there[place] for place in bad}, sync.errors
    assert "could not read" in sync.errors[0]["message"]
    if sync.state:
        assert not set(there) & set(read_here(config, [stream], sync.state).ids(stream)[12:])


def test_deployments_with_strange_parameters_leave_the_others_alone(empty: PrefectServer) -> None:
    insert_deployments(empty.database, [[] for _ in range(30)], until=NOW)
    there = [row["id"] for row in empty.rows("deployments")]
    execute(empty, "UPDATE deployment SET parameters = ? WHERE id = ?", SURROGATE, there[7])
    sync = read_here(settings(empty.url), ["deployments", "deployment_schedules"])
    assert set(there) - {there[7]} <= set(sync.ids("deployments"))


@pytest.mark.parametrize("status", [413, 502])
def test_a_gateway_that_refuses_large_answers_gets_smaller_pages(
    ids: list[str], empty_gate: Proxy, status: int
) -> None:
    def small(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        return Answer(status) if len(answer.body) > 8 * 1600 else answer

    empty_gate.behaviour = small
    sync = read_here(settings(empty_gate.url), ["flow_runs"]).ok()
    assert Counter(sync.ids("flow_runs")) == Counter(ids)
    assert any("read in parts" in line for line in sync.logs)


def test_a_server_that_fails_for_every_page_costs_two_requests_more(empty_gate: Proxy) -> None:
    empty_gate.behaviour = lambda _request, _forward: Answer(500)
    sync = read_here(settings(empty_gate.url), ["flow_runs"])
    assert sync.errors[0]["message"].startswith("Gave up after several tries. Prefect answered 500")
    assert len(empty_gate.log) == 6 + 2


def test_only_the_first_of_many_bad_pages_waits(empty: PrefectServer, ids: list[str]) -> None:
    for run in ids[::5]:
        break_run(empty, run, INTEGER)
    with recorded_waits() as waits:
        sync = read_here(settings(empty.url), ["flow_runs"]).ok()
    assert Counter(sync.ids("flow_runs")) == Counter(ids)
    assert [seconds for seconds in waits.retries if seconds] == [1, 2, 4, 8, 16]


def test_a_server_that_stops_after_a_bad_page_is_asked_with_patience(
    empty: PrefectServer, ids: list[str], empty_gate: Proxy
) -> None:
    for run in ids[:PAGE_SIZE]:
        break_run(empty, run, INTEGER)
    down = 0

    def stops_for_a_while(request: Request, forward: Forward) -> Answer:
        nonlocal down
        answer = forward(request)
        # The second page.
        if "before_" in json.dumps(request.body) and down < 5:
            down += 1
            return Answer(500)
        return answer

    empty_gate.behaviour = stops_for_a_while
    sync = read_here(settings(empty_gate.url), ["flow_runs"]).ok()
    assert Counter(sync.ids("flow_runs")) == Counter(ids)


def test_a_rate_limit_met_while_a_page_is_divided_costs_no_row(
    empty: PrefectServer, ids: list[str], empty_gate: Proxy
) -> None:
    for run in ids[::7]:
        break_run(empty, run, INTEGER)

    asked = set()

    def limits(request: Request, forward: Forward) -> Answer:
        if (request.path, str(request.body)) in asked:
            return forward(request)
        asked.add((request.path, str(request.body)))
        return Answer(429, headers={"Retry-After": "1"})

    empty_gate.behaviour = limits
    sync = read_here(settings(empty_gate.url), ["flow_runs"]).ok()
    assert Counter(sync.ids("flow_runs")) == Counter(ids)


def fails_from(number: int, answers: int, status: int) -> Any:
    """Spoil so many answers, from this one on after the tries of the first bad page."""
    left, since = answers, 0

    def behaviour(request: Request, forward: Forward) -> Answer:
        nonlocal left, since
        answer = forward(request)
        since += bool(since or answer.status == 500)
        # Six tries, and then the parts.
        if since > 6 + number and left:
            left -= 1
            return Answer(status)
        return answer

    return behaviour


@pytest.mark.parametrize("answers", [1, 3])
@pytest.mark.parametrize("number", range(1, 34, 4))
def test_a_short_outage_while_a_page_is_divided_costs_no_row(
    empty: PrefectServer, ids: list[str], empty_gate: Proxy, number: int, answers: int
) -> None:
    for place in (3, 11, 12):
        break_run(empty, ids[place], INTEGER)
    empty_gate.behaviour = fails_from(number, answers, 503)
    sync = read_here(settings(empty_gate.url), ["flow_runs"]).ok()
    assert Counter(sync.ids("flow_runs")) == Counter(ids)


@pytest.mark.parametrize("number", [1, 9, 15, 20])
@pytest.mark.parametrize("status", [401, 404, 500, 503])
def test_a_failure_for_good_while_a_page_is_divided_ends_soon_and_blames_no_row(
    empty: PrefectServer, ids: list[str], empty_gate: Proxy, number: int, status: int
) -> None:
    for place in (3, 11, 12):
        break_run(empty, ids[place], INTEGER)
    empty_gate.behaviour = fails_from(number, 1_000_000, status)
    sync = read_here(settings(empty_gate.url), ["flow_runs"])
    assert str(status) in sync.errors[0]["message"]
    assert "could not read" not in sync.errors[0]["message"]
    assert len(empty_gate.log) < 100
    later = read_here(settings(empty.url), ["flow_runs"], sync.state).ok()
    assert set(sync.ids("flow_runs")) | set(later.ids("flow_runs")) == set(ids)


@pytest.mark.parametrize("change", ["a younger run", "a run between", "a good run goes", "a bad run goes"])
@pytest.mark.parametrize("moment", ["ui/flow_runs/history", "flow_runs/", *range(1, 18, 3)])
def test_a_run_that_comes_or_goes_while_a_page_is_divided_hides_no_other(
    empty: PrefectServer, ids: list[str], empty_gate: Proxy, moment: str | int, change: str
) -> None:
    """Before the first request for single runs, or so many requests after the bad page."""
    for place in (0, 5, 6):
        break_run(empty, ids[place], INTEGER)
    flow, since, is_changed = make_flow(empty), 0, False
    due = {"a younger run": NOW + HOUR, "a run between": NOW - 4.5 * HOUR}
    gone = {"a good run goes": ids[4], "a bad run goes": ids[5]}

    def behaviour(request: Request, forward: Forward) -> Answer:
        nonlocal since, is_changed
        is_alone = request.path.startswith(str(moment)) and not request.path.endswith("/filter")
        if not is_changed and (is_alone or since - 6 == moment):
            is_changed = True
            if change in due:
                insert_flow_runs(empty.database, flow, history(1, until=due[change], every=HOUR))
            else:
                execute(empty, "DELETE FROM flow_run WHERE id = ?", gone[change])
        answer = forward(request)
        since += bool(since or answer.status == 500)
        return answer

    empty_gate.behaviour = behaviour
    sync = read_here(settings(empty_gate.url), ["flow_runs"]).ok()
    assert is_changed
    sent = Counter(sync.ids("flow_runs"))
    assert set(ids) - {gone.get(change)} <= sent.keys()
    assert max(sent.values()) == 1


SPOILT = {
    "an empty object": b"{}",
    "null": b"null",
    "numbers": b"[1, 2]",
    "HTML": b"<html>Log in</html>",
    "nothing": b"",
    "half of it": b'[{"id": "',
}


@pytest.mark.parametrize("body", SPOILT.values(), ids=SPOILT.keys())
@pytest.mark.parametrize("path", ["ui/flow_runs/history", "flow_runs/"])
def test_a_strange_answer_about_a_bad_row_is_asked_for_again(
    empty: PrefectServer, ids: list[str], empty_gate: Proxy, path: str, body: bytes
) -> None:
    break_run(empty, ids[5], INTEGER)
    left = 2

    def spoils(request: Request, forward: Forward) -> Answer:
        nonlocal left
        answer = forward(request)
        if request.path.startswith(path) and not request.path.endswith("/filter") and left:
            left -= 1
            return Answer(200, body)
        return answer

    empty_gate.behaviour = spoils
    sync = read_here(settings(empty_gate.url), ["flow_runs"]).ok()
    assert Counter(sync.ids("flow_runs")) == Counter(ids)
    assert left == 0


@pytest.mark.parametrize("status", [502, 503, 429])
@pytest.mark.parametrize("numbers", [(1, 2), (1, 3), (2, 4)], ids=str)
def test_a_gateway_that_fails_now_and_then_blames_no_row(
    empty: PrefectServer, ids: list[str], empty_gate: Proxy, numbers: tuple[int, int], status: int
) -> None:
    break_run(empty, ids[5], INTEGER)
    asked = 0

    def fails(request: Request, forward: Forward) -> Answer:
        nonlocal asked
        if request.path.endswith("/filter"):
            return forward(request)
        asked += 1
        return Answer(status) if asked in numbers else forward(request)

    empty_gate.behaviour = fails
    sync = read_here(settings(empty_gate.url), ["flow_runs"]).ok()
    assert Counter(sync.ids("flow_runs")) == Counter(ids)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "ui/flow_runs/history", status) for status in (403, 404, 422, 500)]
    + [("GET", "flow_runs/", status) for status in (404, 405, 500)],
)
def test_where_a_proxy_forbids_to_read_single_runs_all_others_arrive(
    empty: PrefectServer, ids: list[str], empty_gate: Proxy, method: str, path: str, status: int
) -> None:
    for place in (0, 5, 6):
        break_run(empty, ids[place], INTEGER)
    empty_gate.behaviour = lambda request, forward: (
        Answer(status) if request.method == method and request.path.startswith(path) else forward(request)
    )
    sync = read_here(settings(empty_gate.url), ["flow_runs"])
    assert Counter(sync.ids("flow_runs")) == Counter(set(ids) - {ids[0], ids[5], ids[6]})
    assert "could not read 3 of its rows" in sync.errors[0]["message"]
