"""Whatever Prefect Cloud reports about a plan and its workspaces is used, ignored, or named."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from devtools.connector import read_here, run_here
from devtools.data.bulk import insert_events
from devtools.data.seeding import make_flow
from devtools.servers.cloud import PRO, Cloud, Plan, Workspace, cloud
from devtools.servers.faults import impatient
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Request
from integration_tests.month import AGES, NOW

Change = Callable[[Any], Any]


@pytest.fixture(scope="module")
def events(server: PrefectServer) -> list[str]:
    """The ids of events of the last weeks; there is a flow as well."""
    make_flow(server)
    return insert_events(server.database, [NOW - age for age in AGES], event="shop.reported")


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    with impatient():
        yield


@contextmanager
def reporting(server: PrefectServer, path: str, change: Change, plan: Plan = PRO) -> Iterator[Cloud]:
    """Cloud with two workspaces, whose answers at this path are changed."""
    with cloud([Workspace(server.url, "Production"), Workspace(server.url, "Staging")], plan=plan) as front:

        def behave(request: Request, forward: Forward) -> Answer:
            answer = front(request, forward)
            return answer.with_rows(change(answer.rows)) if request.path.endswith(path) else answer

        front.proxy.behaviour = behave
        yield front


# The plan


@pytest.mark.parametrize("days", [1_000_000, 3_000_000, 10**9, 10**12, 10**20])
def test_a_plan_that_keeps_everything_is_read_as_far_back_as_any(
    server: PrefectServer, events: list[str], days: int
) -> None:
    with cloud([Workspace(server.url)], plan=Plan("CUSTOM", 5_000, days)) as front:
        assert_read(front, events)


@pytest.mark.parametrize("value", [None, 0, -1, "30", 7.5, True, [30], {"days": 30}], ids=str)
@pytest.mark.parametrize("field", ["run_retention_days", "orchestration_rate_limit"])
def test_a_limit_that_is_no_number_is_not_known(
    server: PrefectServer, events: list[str], field: str, value: object
) -> None:
    plan = Plan("CUSTOM", 5_000, 1_000)
    with reporting(server, "usage_limits", lambda limits: {**limits, field: value}, plan) as front:
        assert_read(front, events)


@pytest.mark.parametrize("limits", [None, [], "unlimited", {}, [{"run_retention_days": 7}]], ids=str)
def test_limits_of_another_form_are_not_known(server: PrefectServer, events: list[str], limits: object) -> None:
    with reporting(server, "usage_limits", lambda _: limits, Plan("CUSTOM", 5_000, 1_000)) as front:
        assert_read(front, events)


def assert_read(front: Cloud, events: list[str]) -> None:
    config = {"connection": front.connection(), "event_prefixes": ["shop.reported"]}
    sync = read_here(config, ["flows", "flow_runs", "events"]).ok()
    assert set(sync.ids("events")) == set(events)
    assert len(sync.ids("flows")) == 1


# The workspaces

NAMES = ["workspace_name", "account_name"]
TEXTS = [*NAMES, "workspace_handle", "account_handle", "workspace_description"]
UNNAMED: dict[str, Change] = {
    "without names": lambda rows: [{k: row[k] for k in row if k not in NAMES} for row in rows],
    "with ids alone": lambda rows: [{k: row[k] for k in ("account_id", "workspace_id")} for row in rows],
    "null for each name": lambda rows: [row | dict.fromkeys(TEXTS) for row in rows],
    "numbers for names": lambda rows: [row | dict.fromkeys(TEXTS, 7) for row in rows],
    "without names for one": lambda rows: [{k: rows[0][k] for k in ("account_id", "workspace_id")}, *rows[1:]],
}
UNUSABLE: dict[str, Change] = {
    "without ids": lambda rows: [{k: row[k] for k in row if not k.endswith("_id")} for row in rows],
    "null for each id": lambda rows: [row | {"account_id": None, "workspace_id": None} for row in rows],
    "an id that is not a UUID": lambda rows: [row | {"workspace_id": "../../admin"} for row in rows],
    "numbers for rows": lambda rows: [1] * len(rows),
    "lists for rows": lambda rows: [[row] for row in rows],
    "an object": lambda rows: {"workspaces": rows},
    "null": lambda _: None,
}


def config_of(front: Cloud, which: str) -> dict[str, Any]:
    ids: dict[str, Any] = {"account_id": "", "workspace_id": ""}
    if which == "all":
        ids["workspaces"] = ["all"]
    elif which == "by its id":
        ids["workspaces"] = [front.workspaces[1].workspace_id]
    elif which == "by their addresses":
        ids["workspaces"] = [workspace.ui_url for workspace in front.workspaces]
    elif which == "the one of this id":
        ids["workspace_id"] = front.workspaces[1].workspace_id
    return {"connection": front.connection(**ids)}


@pytest.mark.parametrize("which", ["all", "by its id", "by their addresses", "the one of this id"])
@pytest.mark.parametrize("change", UNNAMED.values(), ids=list(UNNAMED))
def test_workspaces_without_names_are_read(
    server: PrefectServer, events: list[str], change: Change, which: str
) -> None:
    assert events
    with reporting(server, "me/workspaces", change) as front:
        config = config_of(front, which)
        expected = front.workspaces if which in ("all", "by their addresses") else front.workspaces[1:]
        [status] = [message["connectionStatus"] for message in run_here("check", config)]
        assert status["status"] == "SUCCEEDED", status
        sync = read_here(config, ["flows", "workspaces"]).ok()
    assert sorted(row["workspace_id"] for row in sync.records["flows"]) == sorted(w.workspace_id for w in expected)
    assert sorted(sync.ids("workspaces")) == sorted(w.workspace_id for w in expected)


@pytest.mark.parametrize("which", ["all", "by its id", "the only one"])
@pytest.mark.parametrize("change", UNUSABLE.values(), ids=list(UNUSABLE))
def test_workspaces_that_cannot_be_told_apart_are_named_as_the_problem(
    server: PrefectServer, events: list[str], change: Change, which: str
) -> None:
    assert events
    with reporting(server, "me/workspaces", change) as front:
        config = config_of(front, which)
        messages = run_here("check", config)
        sync = read_here(config, ["flows"])
    [status] = [message["connectionStatus"] for message in messages if message["type"] == "CONNECTION_STATUS"]
    assert status["status"] == "FAILED"
    assert_a_sentence(status["message"])
    assert sync.exit_code == 1
    assert sync.ids("flows") == []
    for error in [error for error in sync.errors if error["internal_message"] != "Concurrent read failure"]:
        assert_a_sentence(error["message"])
    assert [request for request in front.log if "admin" in request.path] == []


def test_where_several_workspaces_without_names_could_be_meant_they_are_listed_by_their_ids(
    server: PrefectServer, events: list[str]
) -> None:
    assert events
    with reporting(server, "me/workspaces", UNNAMED["with ids alone"]) as front:
        [message] = run_here("check", config_of(front, "the only one"))
    assert message["connectionStatus"]["status"] == "FAILED"
    for workspace in front.workspaces:
        assert workspace.workspace_id in message["connectionStatus"]["message"]
    assert "None" not in message["connectionStatus"]["message"]


def assert_a_sentence(message: str) -> None:
    assert "Prefect Cloud" in message, message
    for technical in ("Something went wrong", "Error(", "NoneType", "Traceback"):
        assert technical not in message
