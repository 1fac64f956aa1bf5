"""A sync keeps to the limits and retention of Cloud's plans, in every case its docs leave open."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import State, Sync, catalog, read_here
from devtools.data.bulk import insert_events
from devtools.data.seeding import make_deployment, make_flow, state_at
from devtools.servers.cloud import HOBBY, PRO, TEAM, Cloud, Key, Limits, Plan, Workspace, cloud
from devtools.servers.cloud.events import DANGLING
from devtools.servers.faults import RandomFaults, impatient
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Request
from integration_tests.connecting import assert_config_error
from integration_tests.month import NOW, OF_EVENTS
from source_prefect.http.transport import IN_A_SYNC

YESTERDAY = f"{NOW - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
ROBOT = Key("pnb_0123456789", reads_account=False)


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    with impatient():
        yield


def read(front: Cloud, *streams: str, state: State | None = None, **settings: Any) -> Sync:
    return read_here({"connection": front.connection(), **settings}, streams or None, state)


def kept(sync: Sync, stream: str, plan: Plan) -> list[str]:
    """The ids of a server's rows that the plan keeps: events have an age, other rows stay."""
    oldest = NOW - plan.retention
    return sorted(
        row["id"] for row in sync.records[stream] if stream not in OF_EVENTS or _time(row["occurred"]) > oldest
    )


def of_workspace(workspace: Workspace, state: State) -> State:
    """The state of a server as that of a workspace."""
    for message in state:
        parts = {workspace.workspace_id: message["stream"]["stream_state"]}
        message["stream"]["stream_state"] = {"workspaces": parts}
    return state


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


# Streams x ways of a limit x plans

PLANS = [HOBBY, TEAM, PRO]
# All that a server has as well.
STREAMS = sorted({entry["stream"]["name"] for entry in catalog(None, "incremental")["streams"]} - {"workspaces"})


@pytest.fixture(scope="module", params=[Limits.REFUSE, Limits.CLAMP], ids=lambda limits: limits.value)
def limits(request: pytest.FixtureRequest) -> Limits:
    chosen: Limits = request.param
    return chosen


@pytest.fixture(scope="module", params=PLANS, ids=lambda plan: f"{plan.retention_days} days")
def plan(request: pytest.FixtureRequest) -> Plan:
    chosen: Plan = request.param
    return chosen


@pytest.fixture(scope="module")
def first_sync(workspace: Workspace, limits: Limits, plan: Plan) -> Sync:
    """Of all streams, through each kind of limit on each plan."""
    with cloud([workspace], plan=plan, event_limits=limits) as front, impatient():
        return read(front)


@pytest.mark.parametrize("stream", STREAMS)
def test_all_that_is_kept_arrives(of_server: Sync, first_sync: Sync, plan: Plan, stream: str) -> None:
    assert first_sync.statuses[stream][-1] == "COMPLETE"
    assert sorted(first_sync.ids(stream)) == kept(of_server, stream, plan)


def test_a_sync_that_stays_within_the_limits_has_no_error(first_sync: Sync) -> None:
    assert (first_sync.exit_code, first_sync.errors) == (0, [])


@pytest.mark.parametrize("status", [422, 400])
def test_what_a_plan_keeps_is_found_without_leave_to_read_it(
    workspace: Workspace, of_server: Sync, status: int
) -> None:
    with cloud([workspace], keys=[ROBOT], plan=HOBBY, refusal=status) as front:
        sync = read(front, *OF_EVENTS).ok()
    assert {s: sorted(sync.ids(s)) for s in OF_EVENTS} == {s: kept(of_server, s, HOBBY) for s in OF_EVENTS}
    assert sync.errors == []


def test_no_request_asks_for_more_than_the_plan_keeps(workspace: Workspace) -> None:
    with cloud([workspace], plan=TEAM) as front:
        read(front, *OF_EVENTS).ok()
        spans = [request.body["filter"]["occurred"] for request in front.requests("events/filter")]
    begun = [_time(span["since"]) for span in spans]
    ended = [_time(span["until"]) if span.get("until") else datetime.now(UTC) for span in spans]
    assert max(end - begin for begin, end in zip(begun, ended, strict=True)) < timedelta(days=14)
    assert min(begun) > NOW - timedelta(days=14, minutes=1)
    # Not one window after the other of which nothing is kept.
    assert len(spans) <= 24


def test_a_second_sync_of_events_asks_once_for_each_stream(workspace: Workspace) -> None:
    with cloud([workspace], plan=HOBBY) as front:
        state = read(front, *OF_EVENTS).ok().state
        before = len(front.requests("events/filter"))
        read(front, "asset_lineage", "asset_materializations", state=state).ok()
        assert len(front.requests("events/filter")) - before == 2


# The pages of events


@pytest.mark.parametrize(("count", "tied"), [(50, False), (100, False), (50, True), (100, True), (101, True)])
def test_the_token_of_a_last_page_is_not_followed(
    server: PrefectServer, workspace: Workspace, count: int, tied: bool
) -> None:
    name = f"shop.token.{count}.{tied}"
    begin = NOW - timedelta(hours=3)
    ids = insert_events(
        server.database, [begin + timedelta(seconds=0 if tied else n) for n in range(count)], event=name
    )
    with cloud([workspace]) as front:
        sync = read(front, "events", event_prefixes=[name], start_date=YESTERDAY).ok()
        followed = [request for request in front.log if request.path.endswith(f"={DANGLING}")]
    assert sorted(sync.ids("events")) == sorted(ids)
    assert followed == []


def test_faults_on_the_way_hide_no_event(server: PrefectServer, workspace: Workspace) -> None:
    ids = insert_events(server.database, [NOW - timedelta(minutes=n) for n in range(120)], event="shop.fault")
    with cloud([workspace], plan=HOBBY) as front:
        front.spoil = RandomFaults(seed=3)
        sync = read(front, "events", event_prefixes=["shop.fault"], start_date=YESTERDAY).ok()
    assert sorted(sync.ids("events")) == sorted(ids)


def test_events_of_cloud_only_are_rows_too(server: PrefectServer, workspace: Workspace) -> None:
    with cloud([workspace]) as front:
        ids = front.record_cloud_events(NOW - timedelta(hours=5))
        server.wait_for_events()
        prefixes = ["prefect-cloud.", "prefect.log."]
        sync = read(front, "events", event_prefixes=prefixes, start_date=YESTERDAY).ok()
    assert set(ids) <= set(sync.ids("events"))
    assert {row["workspace"] for row in sync.records["events"]} == {workspace.workspace_id}


# Rows


def test_no_column_of_cloud_is_unknown(first_sync: Sync) -> None:
    assert [line for line in first_sync.logs if "does not know" in line] == []


def test_a_disabled_deployment_has_no_active_schedule(server: PrefectServer, workspace: Workspace) -> None:
    flow_id = make_flow(server, "seasonal")
    off, on = (make_deployment(server, flow_id, name) for name in ("christmas", "nightly"))
    with cloud([workspace]) as front:
        front.disabled_deployments.add(off)
        sync = read(front, "deployments", "deployment_schedules").ok()
    deployments, schedules = sync.by_id("deployments"), sync.records["deployment_schedules"]
    assert (deployments[off]["is_schedule_active"], deployments[on]["is_schedule_active"]) == (False, True)
    assert (deployments[off]["disabled"], deployments[on]["disabled"]) == (True, False)
    active = {schedule["deployment_id"]: schedule["is_active"] for schedule in schedules}
    assert (active[off], active[on]) == (False, True)
    # What the person who set it up wrote stays what it is.
    assert deployments[off]["schedule"] == "0 2 * * *"


def test_a_schedule_that_makes_a_run_is_no_change_of_its_deployment(workspace: Workspace) -> None:
    with cloud([workspace]) as front:
        first = read(front, "deployments").ok()

        def planned(request: Request, forward: Forward) -> Answer:
            answer = forward(request)
            for schedule in (schedule for row in answer.rows for schedule in row["schedules"]):
                schedule["last_scheduled_at"] = schedule["latest_scheduled_run"] = f"{datetime.now(UTC):%FT%TZ}"
            return answer.with_rows(answer.rows)

        front.spoil = planned
        # What is new is what the last minutes changed, with or without the digests.
        assert {row["id"] for row in read(front, "deployments", state=first.state).ok().records["deployments"]} == set()


# The limits of the plan


def test_the_rate_limit_of_the_plan_is_said_once(workspace: Workspace) -> None:
    with cloud([workspace], plan=TEAM) as front:
        sync = read(front, "flows", "variables", "artifacts").ok()
        asked = front.proxy.requests(f"accounts/{workspace.account_id}/usage_limits")
    assert len(asked) == 1
    assert len(_lines(sync, "2,500")) == 1


def test_a_setting_wins_over_the_plan(workspace: Workspace) -> None:
    with cloud([workspace], plan=TEAM) as front:
        sync = read(front, "flows", max_requests_per_minute=300).ok()
    assert _lines(sync, "2,500") == []


def test_a_key_that_may_not_read_the_limits_reads_all_else(workspace: Workspace, of_server: Sync) -> None:
    with cloud([workspace], keys=[ROBOT]) as front:
        sync = read(front, "flows", "flow_runs").ok()
        # Once: a refused request is not repeated.
        assert len([request for request in front.log if request.path.endswith("usage_limits")]) == 1
    assert sorted(sync.ids("flow_runs")) == sorted(of_server.ids("flow_runs"))
    assert sync.errors == []


@pytest.mark.parametrize(
    ("plan", "warned"), [(HOBBY, "7 days"), (TEAM, "14 days"), (PRO, None)], ids=["7 days", "14 days", "30 days"]
)
def test_a_cursor_older_than_what_the_plan_keeps_is_worth_a_warning(
    workspace: Workspace, plan: Plan, warned: str | None
) -> None:
    with cloud([workspace], plan=plan) as front:
        sync = read(
            front, "flow_runs", state=of_workspace(workspace, state_at(NOW - timedelta(days=20), "flow_runs"))
        ).ok()
    warnings = _lines(sync, "20 days ago")
    assert len(warnings) == (1 if warned else 0)
    assert warned is None or warned in warnings[0]


# Maintenance


def test_a_long_maintenance_is_waited_for_and_said_so_once(workspace: Workspace, of_server: Sync) -> None:
    with cloud([workspace]) as front:
        front.maintenance = 40
        sync = read(front, "flows").ok()
        assert front.maintenance == 0
    assert set(sync.ids("flows")) >= set(of_server.ids("flows"))
    assert 1 <= len(_lines(sync, "maintenance")) <= 2


@pytest.mark.parametrize("workspaces", [[], ["all"]], ids=["one workspace", "all workspaces"])
def test_a_maintenance_without_an_end_ends_the_sync_with_one_sentence(
    workspace: Workspace, workspaces: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("source_prefect.source.IN_A_SYNC", IN_A_SYNC._replace(longest_maintenance=0.5))
    with cloud([workspace]) as front:
        front.maintenance = 1_000_000
        all_of_them: dict[str, Any] = {"account_id": "", "workspace_id": "", "workspaces": workspaces}
        began = time.monotonic()
        sync = read_here(
            {"connection": front.connection(**(all_of_them if workspaces else {}))}, ["flows", "variables"]
        )
        seconds = time.monotonic() - began
    assert sync.exit_code != 0
    assert 0.5 <= seconds < 5
    # Of the question for the limits of the plan, and of each stream.
    assert 1 <= len(_lines(sync, "is asked again for at most")) <= 3
    failed = [error for error in sync.errors if error["internal_message"] != "Concurrent read failure"]
    assert {error["failure_type"] for error in failed} == {"transient_error"}
    # Of each stream, or of the sync where it is not known yet which workspaces there are.
    assert len(failed) == (1 if workspaces else 2)
    assert all("under maintenance" in error["message"] for error in failed)


def test_a_feature_that_the_plan_has_not_is_named(workspace: Workspace) -> None:
    with cloud([workspace], missing_tables=frozenset({"automations"})) as front:
        sync = read(front, "automations", "flows")
    assert_config_error(sync, "plan")
    assert sync.statuses["flows"][-1] == "COMPLETE"


def _lines(sync: Sync, text: str) -> list[str]:
    return [line for line in sync.logs if re.search(rf"(?<!\d){re.escape(text)}", line)]
