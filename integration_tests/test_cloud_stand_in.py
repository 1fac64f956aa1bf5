"""The stand-in for Prefect Cloud does what is known of Cloud, seen by a plain client."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from devtools.data.bulk import insert_events, insert_logs
from devtools.data.seeding import make_deployment, make_flow, make_one_of_everything, make_run, make_task_run
from devtools.servers.cloud import HOBBY, Cloud, Key, Limits, Plan, Workspace, cloud
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer

NOW = datetime.now(UTC)
USER = Key()
SERVICE = Key("pnb_0123456789", reads_account=False)
STRANGER = Key("pnu_stranger", workspace_ids=[])


@pytest.fixture(scope="module")
def workspace(server: PrefectServer) -> Workspace:
    make_one_of_everything(server)
    run_id = make_run(server, make_flow(server), "RUNNING")
    make_task_run(server, run_id, "load", "RUNNING")
    server.post("work_pools/", {"name": "shop", "type": "process"})
    trigger = {"type": "event", "posture": "Reactive", "expect": ["shop.*"], "threshold": 1, "within": 0}
    server.post("automations/", {"name": "notify", "trigger": trigger, "actions": [{"type": "do-nothing"}]})
    insert_logs(server.database, [NOW])
    insert_events(server.database, [NOW - timedelta(hours=n) for n in range(60)], event="shop.order.paid")
    insert_events(server.database, [NOW - timedelta(days=n) for n in (5, 10, 20, 40)], event="shop.order.sent")
    return Workspace(server.url)


@pytest.fixture
def front(workspace: Workspace) -> Iterator[Cloud]:
    with cloud([workspace], keys=[USER, SERVICE, STRANGER]) as running:
        yield running


def get(front: Cloud, path: str, key: Key = USER) -> requests.Response:
    return requests.get(f"{front.url}/{path}", headers=_headers(key), timeout=30)


def post(front: Cloud, path: str, key: Key = USER, **body: Any) -> requests.Response:
    url = f"{front.url}/{front.workspaces[0].path}/{path}"
    return requests.post(url, json=body, headers=_headers(key), timeout=30)


def rows(front: Cloud, table: str, **body: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = post(front, f"{table}/filter", **body).json()
    return found


def events(front: Cloud, *prefixes: str, since: float, until: float = 0, limit: int = 50) -> requests.Response:
    """The events from so many days ago until so many days ago."""
    occurred = {"since": _days_ago(since), "until": _days_ago(until)}
    return post(
        front,
        "events/filter",
        filter={"occurred": occurred, "event": {"prefix": list(prefixes)}, "order": "ASC"},
        limit=limit,
    )


def _headers(key: Key) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.text}"}


def _days_ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


# Who may read what


def test_a_workspace_has_the_rows_of_its_server(front: Cloud, server: PrefectServer) -> None:
    assert [row["id"] for row in rows(front, "flows", sort="CREATED_DESC")] == [
        row["id"] for row in server.rows("flows", sort="CREATED_DESC")
    ]
    assert [request.path for request in front.log] == [f"{front.workspaces[0].path}/flows/filter"]
    assert len(front.requests("flows/filter")) == 1


def test_each_workspace_is_a_server_of_its_own(workspace: Workspace) -> None:
    nowhere = Workspace("http://127.0.0.1:9/api", "Empty")
    with cloud([nowhere, workspace]) as front:
        assert requests.post(
            f"{front.url}/{workspace.path}/flows/filter", json={}, headers=_headers(USER), timeout=30
        ).ok
        assert [w["workspace_id"] for w in get(front, "me/workspaces").json()] == [
            nowhere.workspace_id,
            workspace.workspace_id,
        ]


@pytest.mark.parametrize("path", ["me/", "me/workspaces", "accounts/x", "accounts/x/workspaces/y/flows/filter"])
def test_without_a_key_there_is_nothing(front: Cloud, path: str) -> None:
    answer = get(front, path, Key("pnu_expired"))
    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid authentication credentials"})


def test_who_is_no_member_of_a_workspace_does_not_learn_that_it_exists(front: Cloud) -> None:
    assert post(front, "flows/filter", STRANGER).status_code == 404
    assert get(front, f"accounts/{front.workspaces[0].account_id}", STRANGER).status_code == 404
    assert get(front, "me/workspaces", STRANGER).json() == []


def test_a_user_is_told_who_it_is_and_a_service_account_is_not(front: Cloud) -> None:
    assert get(front, "me/").json()["handle"] == "ada"
    assert get(front, "me/", SERVICE).status_code == 403


def test_a_key_is_told_its_workspaces(front: Cloud) -> None:
    workspace = front.workspaces[0]
    expected = [
        {
            "account_id": workspace.account_id,
            "account_name": "Corner Shop",
            "account_handle": "corner-shop",
            "workspace_id": workspace.workspace_id,
            "workspace_name": "Production",
            "workspace_description": "",
            "workspace_handle": "production",
        }
    ]
    for key in (USER, SERVICE):
        assert get(front, "me/workspaces", key).json() == expected


def test_the_account_tells_its_limits_to_who_may_know_them(front: Cloud) -> None:
    path = f"accounts/{front.workspaces[0].account_id}"
    account, limits = get(front, path).json(), get(front, f"{path}/usage_limits").json()
    assert (account["plan_type"], account["run_retention_days"]) == ("PRO", 30)
    assert (limits["orchestration_rate_limit"], limits["run_retention_days"]) == (5_000, 30)
    assert get(front, path, SERVICE).status_code == get(front, f"{path}/usage_limits", SERVICE).status_code == 403
    assert get(front, f"{path}/billing").status_code == 404


def test_a_plan_may_lack_a_table(workspace: Workspace) -> None:
    with cloud([workspace], missing_tables=frozenset({"automations"})) as front:
        assert post(front, "automations/filter").status_code == 403
        assert post(front, "flows/filter").status_code == 200


def test_an_account_may_be_open_to_private_links_only(workspace: Workspace) -> None:
    with cloud([workspace], private_accounts=frozenset({workspace.account_id})) as front:
        assert post(front, "flows/filter").status_code == 403


# What is refused


def test_a_body_must_have_a_length_and_at_most_five_mebibytes(front: Cloud) -> None:
    url = f"{front.url}/{front.workspaces[0].path}/flows/filter"
    assert requests.post(url, data=iter([b"{}"]), headers=_headers(USER), timeout=30).status_code == 411
    assert (
        requests.post(url, data=b'"' + b"x" * 5 * 2**20 + b'"', headers=_headers(USER), timeout=30).status_code == 413
    )


def test_too_many_requests_a_minute_are_refused_until_it_is_over(workspace: Workspace) -> None:
    slow = Plan("SLOW", requests_per_minute=3, retention_days=7)
    with cloud([workspace], plan=slow, minute=0.5) as front:
        answered = [post(front, "flows/filter", limit=1) for _ in range(4)]
        assert [answer.status_code for answer in answered] == [200, 200, 200, 429]
        assert answered[-1].json() == {"detail": "Orchestration API rate limit reached"}
        seconds = answered[-1].headers["Retry-After"]
        assert "." in seconds
        time.sleep(float(seconds))
        assert post(front, "flows/filter", limit=1).status_code == 200
    with cloud([workspace], plan=slow, rate_limit=False) as front:
        assert {post(front, "flows/filter", limit=1).status_code for _ in range(5)} == {200}


def test_maintenance_is_said_in_a_header(front: Cloud) -> None:
    front.maintenance, front.maintenance_retry_after = 2, 1.5
    first, second, third = (post(front, "flows/filter", limit=1) for _ in range(3))
    assert (first.status_code, first.headers["Prefect-Maintenance"], first.headers["Retry-After"]) == (
        503,
        "true",
        "1.5",
    )
    assert second.status_code == 503
    assert third.status_code == 200


def test_every_answer_is_dated(front: Cloud) -> None:
    front.maintenance = 1
    for _ in range(2):
        assert post(front, "flow_runs/filter", sort="END_TIME_DESC").headers["Date"].endswith("GMT")


# Rows


MORE = {
    "flows": {"created_by", "updated_by"},
    "deployments": {
        *("disabled", "version_id", "version_info", "branch", "root", "base", "infra_overrides", "manifest_path"),
        *("schedule", "is_schedule_active"),
    },
    "flow_runs": {"flow_name", "deployment_version_id", "deployment_version_info"},
    "work_pools": {"is_push_pool", "is_mex_pool", "last_polled", "created_by", "updated_by"},
    "work_queues": {"work_pool", "created_by", "updated_by"},
    "automations": {"account", "workspace", "actor", "labels"},
    "logs": {"worker_id"},
    "task_runs": set[str](),
    "artifacts": set[str](),
    "variables": set[str](),
}


@pytest.mark.parametrize("table", sorted(MORE))
def test_rows_have_more_columns_than_a_servers_which_can_be_left_out(
    server: PrefectServer, workspace: Workspace, table: str
) -> None:
    known = server.rows(table)
    with cloud([workspace]) as front:
        found = {row["id"]: row for row in rows(front, table)}
    assert {row["id"] for row in known} == set(found) != set()
    for row in known:
        assert found[row["id"]].keys() == row.keys() | MORE[table]
    with cloud([workspace], more_fields=False) as front:
        assert all(row.keys() == known[0].keys() for row in rows(front, table))


def test_the_columns_name_what_belongs_to_a_row(front: Cloud) -> None:
    flows = {flow["id"]: flow["name"] for flow in rows(front, "flows")}
    assert all(run["flow_name"] == flows[run["flow_id"]] for run in rows(front, "flow_runs"))
    assert all(queue["work_pool"]["id"] == queue["work_pool_id"] for queue in rows(front, "work_queues"))


def test_schedules_have_more_columns_too(front: Cloud) -> None:
    [schedule] = next(row["schedules"] for row in rows(front, "deployments") if row["schedules"])
    assert schedule.keys() >= {"last_scheduled_at", "soonest_scheduled_run", "max_active_runs", "catchup", "active"}


def test_a_deployment_can_be_disabled(front: Cloud, server: PrefectServer) -> None:
    deployment_id = make_deployment(server, make_flow(server, "seasonal"), "christmas")
    front.disabled_deployments.add(deployment_id)
    assert {row["id"] for row in rows(front, "deployments") if row["disabled"]} == {deployment_id}


def test_unfinished_runs_come_first_by_their_end(server: PrefectServer, workspace: Workspace) -> None:
    for table in ("flow_runs", "task_runs"):
        known = server.rows(table, sort="END_TIME_DESC")
        unfinished = sum(row["end_time"] is None for row in known)
        assert 0 < unfinished < len(known)
        expected = [row["id"] for row in [*known[len(known) - unfinished :], *known[: len(known) - unfinished]]]
        with cloud([workspace]) as front:
            for size in (1, 2, 200):
                pages = [rows(front, table, sort="END_TIME_DESC", limit=size, offset=n) for n in range(0, 4, size)]
                assert [row["id"] for page in pages for row in page] == expected
        with cloud([workspace], unfinished_first=False) as front:
            assert rows(front, table, sort="END_TIME_DESC")[0]["id"] == known[0]["id"]


# Events


def test_events_are_those_of_the_server_with_other_timestamps(front: Cloud, server: PrefectServer) -> None:
    [event] = events(front, "shop.order.sent", since=6).json()["events"]
    [known] = server.post("events/filter", {"filter": {"id": {"id": [event["id"]]}}})["events"]
    assert event == {
        **known,
        "occurred": known["occurred"].replace("Z", "+00:00"),
        "received": known["received"].replace("Z", "+00:00"),
        "account": front.workspaces[0].account_id,
        "workspace": front.workspaces[0].workspace_id,
    }
    assert event["occurred"].endswith("+00:00")


def test_events_may_look_like_those_of_a_server(workspace: Workspace, server: PrefectServer) -> None:
    with cloud([workspace], offset_in_times=False, more_fields=False, dangling_token=False) as front:
        page = events(front, "shop.order.sent", since=6).json()
    [event] = page["events"]
    assert server.post("events/filter", {"filter": {"id": {"id": [event["id"]]}}})["events"] == [event]
    assert page["next_page"] is None


def test_the_last_page_names_one_that_answers_500(front: Cloud) -> None:
    first = events(front, "shop.order.paid", since=6).json()
    prefix = f"{front.url}/{front.workspaces[0].path}/events/filter/next?page-token="
    assert first["next_page"].startswith(prefix)
    last = requests.get(first["next_page"], headers=_headers(USER), timeout=30).json()
    assert (len(first["events"]), len(last["events"]), last["total"]) == (50, 10, 60)
    assert len({event["id"] for page in (first, last) for event in page["events"]}) == 60
    assert last["next_page"].startswith(prefix)
    assert len(last["next_page"]) < len(first["next_page"])
    assert requests.get(last["next_page"], headers=_headers(USER), timeout=30).status_code == 500


def test_an_empty_page_names_a_next_one_as_well(front: Cloud) -> None:
    page = events(front, "shop.nothing", since=6).json()
    assert page["events"] == []
    assert requests.get(page["next_page"], headers=_headers(USER), timeout=30).status_code == 500


def test_too_old_events_are_refused(workspace: Workspace) -> None:
    with cloud([workspace], event_limits=Limits.REFUSE) as front:
        answer = events(front, "shop.order.sent", since=15)
        assert (answer.status_code, "at most 14 days" in answer.text) == (422, True)
        assert events(front, "shop.order.sent", since=31, until=20).status_code == 422
        assert len(events(front, "shop.order.sent", since=29, until=16).json()["events"]) == 1
    with cloud([workspace], plan=HOBBY, refusal=400) as front:
        answer = events(front, "shop.order.sent", since=8)
        assert (answer.status_code, answer.json()) == (400, {"detail": "The time range must be at most 7 days."})


def test_or_left_out_silently(workspace: Workspace) -> None:
    with cloud([workspace], event_limits=Limits.CLAMP) as front:
        assert len(events(front, "shop.order.sent", since=100).json()["events"]) == 2
        assert len(events(front, "shop.order.sent", since=100, until=19).json()["events"]) == 1
        assert events(front, "shop.order.sent", since=100, until=35).json()["events"] == []
    with cloud([workspace], event_limits=Limits.CLAMP, plan=HOBBY) as front:
        assert len(events(front, "shop.order.sent", since=100).json()["events"]) == 1


def test_or_given(workspace: Workspace) -> None:
    with cloud([workspace], event_limits=Limits.NONE) as front:
        assert len(events(front, "shop.order.sent", since=100).json()["events"]) == 4


def test_things_happen_that_are_events_on_cloud_only(front: Cloud, server: PrefectServer) -> None:
    ids = front.record_cloud_events()
    server.wait_for_events()
    found = [*events(front, "prefect-cloud.", "prefect.log.", since=1, until=-1).json()["events"]]
    assert [event["id"] for event in found] == ids
    assert [event["event"] for event in found] == [
        "prefect.log.write",
        "prefect-cloud.automation.triggered",
        "prefect-cloud.automation.action.executed",
        "prefect-cloud.workspace.updated",
    ]


def test_what_else_goes_wrong_on_the_way(front: Cloud) -> None:
    front.spoil = lambda request, forward: Answer(502) if request.path == "flows/filter" else forward(request)
    assert post(front, "flows/filter").status_code == 502
    assert post(front, "deployments/filter").status_code == 200
