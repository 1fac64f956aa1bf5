"""Prefect Cloud as the stand-in plays it: what people fill in, what syncs bring, how they fail."""

from collections.abc import Iterator

import pytest

from devtools.connector import Sync, read_here
from devtools.servers.cloud import Cloud, Key, Plan, Workspace, cloud
from devtools.servers.faults import RandomFaults, impatient
from devtools.servers.prefect import PrefectServer
from integration_tests.connecting import check
from integration_tests.month import OF_EVENTS

# One of each way that a table is read in.
TABLES = ["flows", "deployments", "task_runs", "logs", "automations"]


@pytest.fixture
def front(workspace: Workspace) -> Iterator[Cloud]:
    with cloud([workspace]) as running, impatient():
        yield running


def test_every_table_comes_whole(front: Cloud, of_server: Sync) -> None:
    streams = [stream for stream in of_server.records if stream not in (*OF_EVENTS, "workspaces")]
    sync = read_here({"connection": front.connection()}, streams).ok()
    assert {s: sorted(sync.ids(s)) for s in streams} == {s: sorted(of_server.ids(s)) for s in streams}
    assert len(streams) >= 13


def test_a_second_sync_asks_as_little_as_of_a_server(front: Cloud, of_server: Sync, server: PrefectServer) -> None:
    first = read_here({"connection": front.connection()}, TABLES).ok()
    of_first = len(front.log)
    read_here({"connection": front.connection()}, TABLES, first.state).ok()
    with cloud([Workspace(server.url)], more_fields=False, unfinished_first=False) as plain:
        read_here({"connection": plain.connection()}, TABLES, of_server.state).ok()
        assert len(front.log) - of_first <= len(plain.log) + 2
    print(f"{of_first} requests, then {len(front.log) - of_first}")


def test_what_goes_wrong_on_the_way_is_asked_again(front: Cloud, of_server: Sync) -> None:
    front.spoil = RandomFaults(seed=7)
    sync = read_here({"connection": front.connection(), "page_size": 3}, TABLES).ok()
    assert {s: sorted(sync.ids(s)) for s in TABLES} == {s: sorted(of_server.ids(s)) for s in TABLES}
    assert sum(front.spoil.seen.values()) > 5


def test_too_many_requests_are_waited_for(workspace: Workspace, of_server: Sync) -> None:
    slow = Plan("SLOW", requests_per_minute=3, retention_days=30)
    # Who may not read the limit meets it.
    robot = Key("pnb_0123456789", reads_account=False)
    with cloud([workspace], keys=[robot], plan=slow, minute=0.4) as front:
        sync = read_here({"connection": front.connection(), "page_size": 3}, ["flow_runs"]).ok()
        assert len(front.log) > 4
    assert sorted(sync.ids("flow_runs")) == sorted(of_server.ids("flow_runs"))
    assert any("429" in line for line in sync.logs)


def test_a_short_maintenance_is_waited_for(front: Cloud) -> None:
    front.maintenance = 3
    assert read_here({"connection": front.connection()}, ["flows"]).ok().ids("flows")


def test_a_feature_that_the_plan_has_not_fails_alone(workspace: Workspace, of_server: Sync) -> None:
    with cloud([workspace], missing_tables=frozenset({"automations"})) as front:
        sync = read_here({"connection": front.connection()}, TABLES)
    assert {stream for stream, statuses in sync.statuses.items() if statuses[-1] != "COMPLETE"} == {"automations"}
    assert sorted(sync.ids("task_runs")) == sorted(of_server.ids("task_runs"))
    assert any("403" in error["message"] for error in sync.errors)


def test_the_key_of_a_service_account_is_as_good_as_that_of_a_user(workspace: Workspace) -> None:
    robot = Key("pnb_0123456789", reads_account=False)
    with cloud([workspace], keys=[robot]) as front:
        assert check({"connection": front.connection()}) == ""
        assert read_here({"connection": front.connection()}, ["flows"]).ok().ids("flows")


def test_blanks_around_the_key_do_not_matter(front: Cloud) -> None:
    padded = f"\t {front.keys[0].text} \n"
    assert check({"connection": front.connection(api_key=padded)}) == ""


def test_blanks_inside_the_key_are_named_and_the_key_is_not_repeated(front: Cloud) -> None:
    said = check({"connection": front.connection(api_key="pnu_4711 0815")})
    assert "space" in said
    assert "4711" not in said


def test_a_wrong_key_is_said_to_be_rejected(front: Cloud) -> None:
    said = check({"connection": front.connection(key=Key("pnu_expired"))})
    assert "401" in said
    assert "pnu_expired" not in said


def test_links_lead_into_the_workspace(workspace: Workspace, of_server: Sync) -> None:
    with cloud([workspace]) as front:
        rows = read_here({"connection": front.connection()}, ["flows"]).ok().records["flows"]
    assert [row["ui_url"] for row in rows] == [f"{workspace.ui_url}/flows/flow/{id_}" for id_ in of_server.ids("flows")]
