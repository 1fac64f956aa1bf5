"""Which workspaces of Prefect Cloud a connection reads: named, left out, several of them, and all."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest

from devtools.bulk import insert_logs
from devtools.cloud import Cloud, Key, Workspace, cloud
from devtools.connector import State, Sync, run_here
from devtools.connector import read_here as read
from devtools.faults import impatient
from devtools.server import QUIET, PrefectServer, free_port, prefect_server
from devtools.versions import chosen_python
from integration_tests.connecting import check
from integration_tests.month import OF_EVENTS
from integration_tests.seeding import age, make_flow, make_one_of_everything, make_run

# Each way that a table is read in.
STREAMS = ["flows", "deployments", "flow_runs", "task_runs", "logs", "lineage", "events"]

# And with a cursor: what a second sync brings is known.
WITH_CURSOR = ["flows", "flow_runs", "logs"]

NOW = datetime.now(timezone.utc)
HOUR = timedelta(hours=1)

OTHER_ACCOUNT = "66915a23-275f-4bda-9b8b-f0f84196982a"


@pytest.fixture(scope="module")
def second_server() -> Iterator[PrefectServer]:
    with prefect_server(QUIET, python=chosen_python()) as running:
        yield running


@pytest.fixture(scope="module")
def servers(server: PrefectServer, second_server: PrefectServer) -> list[PrefectServer]:
    """Two servers with rows of yesterday, and a newest row: an hour old on the one, three hours on the other."""
    for running, newest in ((server, HOUR), (second_server, 3 * HOUR)):
        make_flow(running, "orders", tags=["om-source:shop.public.orders", "om-destination:dwh.mart.orders"])
        make_one_of_everything(running)
        age(running, timedelta(days=1))
        make_run(running, make_flow(running, "newest"), "COMPLETED")
        insert_logs(running.database, [NOW - timedelta(days=1), NOW])
        age(running, newest)
        running.wait_for_events()
    return [server, second_server]


@pytest.fixture
def front(servers: list[PrefectServer]) -> Iterator[Cloud]:
    """Two workspaces of two accounts."""
    first, second = (server.url for server in servers)
    workspaces = [
        Workspace(first, "Production"),
        Workspace(second, "Staging", account_id=OTHER_ACCOUNT, account_name="Shop Labs"),
    ]
    with cloud(workspaces) as running, impatient():
        yield running


def connection(front: Cloud, *workspaces: str, **more: Any) -> dict[str, Any]:
    """A config as a person fills it in who pastes addresses, or nothing."""
    named = {"workspaces": list(workspaces)} if workspaces else {}
    config = {"type": "cloud", "api_key": front.keys[0].text, "api_url": front.url, **named, **more}
    return {"connection": config}


def ids_of(server: PrefectServer, stream: str) -> set[str]:
    return {row["id"] for row in server.rows(stream)}


# One workspace


@pytest.mark.parametrize("path", ["", "/runs/flow-run/1b2c?tab=Logs#top"])
def test_the_address_in_the_browser_is_enough(front: Cloud, servers: list[PrefectServer], path: str) -> None:
    config = connection(front, front.workspaces[1].ui_url + path)
    assert check(config) == ""
    assert set(read(config, ["flows"]).ok().ids("flows")) == ids_of(servers[1], "flows")


def test_so_is_the_address_of_the_api_or_the_id_or_the_handle(front: Cloud, servers: list[PrefectServer]) -> None:
    workspace = front.workspaces[1]
    for named in (f"https://api.prefect.cloud/api/{workspace.path}", workspace.workspace_id, " shop-labs/staging "):
        assert set(read(connection(front, named), ["flows"]).ok().ids("flows")) == ids_of(servers[1], "flows")


def test_a_key_that_reads_one_workspace_needs_no_ids(front: Cloud, servers: list[PrefectServer]) -> None:
    front.keys = [Key(workspace_ids=[front.workspaces[1].workspace_id])]
    config = connection(front)
    assert check(config) == ""
    assert set(read(config, ["flows"]).ok().ids("flows")) == ids_of(servers[1], "flows")


def test_a_key_that_reads_several_is_told_which(front: Cloud) -> None:
    said = check(connection(front))
    assert all(word in said for word in ("Production", "Staging", front.workspaces[0].workspace_id))


def test_a_key_that_reads_none_is_told_so(front: Cloud) -> None:
    front.keys = [Key(workspace_ids=[])]
    assert "no workspace" in check(connection(front))


@pytest.mark.parametrize("known", [True, False], ids=["not a member", "no such workspace"])
def test_a_404_lists_what_the_key_can_read(front: Cloud, known: bool) -> None:
    front.keys = [Key(workspace_ids=[front.workspaces[0].workspace_id])]
    wrong = front.workspaces[1] if known else Workspace("", account_id=OTHER_ACCOUNT)
    for config in (connection(front, wrong.ui_url), {"connection": front.connection(wrong)}):
        said = check(config)
        assert "not a member" in said
        assert "Production" in said
        assert front.workspaces[0].workspace_id in said
        assert "Staging" not in said


@pytest.mark.parametrize("field", ["account_id", "workspace_id", "api_url"])
def test_a_key_in_the_wrong_field_is_named_and_not_repeated(front: Cloud, field: str) -> None:
    for key in ("pnu_4711471147114711", "pnb_4711471147114711"):
        said = check({"connection": {**front.connection(), field: key}})
        assert field in said
        assert "API key" in said
        assert "4711" not in said


def test_an_address_in_the_place_of_the_key_is_named(front: Cloud) -> None:
    said = check({"connection": front.connection(api_key=front.workspaces[0].ui_url)})
    assert "api_key" in said
    assert "address" in said


def test_a_key_for_cloud_is_no_auth_string_of_a_server() -> None:
    said = check({"connection": {"type": "server", "api_url": "localhost:4200", "auth_string": "pnu_47114711"}})
    assert "auth_string" in said
    assert "Prefect Cloud" in said
    assert "4711" not in said


@pytest.mark.parametrize("quotes", ['""', "''", "“”", "<>"])
def test_quotes_around_the_key_are_named(front: Cloud, quotes: str) -> None:
    said = check({"connection": front.connection(api_key=f"{quotes[0]}pnu_4711{quotes[1]}")})
    assert "quotes" in said
    assert "4711" not in said


# Several workspaces


def both(front: Cloud) -> dict[str, Any]:
    return connection(front, *(workspace.ui_url for workspace in front.workspaces))


@pytest.fixture(scope="module")
def apart(servers: list[PrefectServer]) -> list[Sync]:
    """What each server has by itself."""
    return [read({"connection": {"type": "server", "api_url": server.url}}, STREAMS).ok() for server in servers]


@pytest.fixture(scope="module")
def again(servers: list[PrefectServer], apart: list[Sync]) -> list[Sync]:
    """What a second sync of each server brings: its newest rows, in case others were under way at the same time."""
    found = [
        read({"connection": {"type": "server", "api_url": server.url}}, WITH_CURSOR, first.state).ok()
        for server, first in zip(servers, apart, strict=True)
    ]
    assert all(set(new.ids("flows")) < set(old.ids("flows")) for new, old in zip(found, apart, strict=True))
    return found


def ids(*syncs: Sync) -> dict[str, list[str]]:
    """The ids of these syncs by stream, of the streams with a cursor."""
    return {stream: sorted(row_id for sync in syncs for row_id in sync.ids(stream)) for stream in WITH_CURSOR}


def test_rows_of_all_workspaces_say_whose_they_are(front: Cloud, apart: list[Sync]) -> None:
    sync = read(both(front), STREAMS).ok()
    for stream in STREAMS:
        found = {(row["account_id"], row["workspace_id"], row["id"]) for row in sync.records[stream]}
        expected = {
            (workspace.account_id, workspace.workspace_id, row_id)
            for workspace, alone in zip(front.workspaces, apart, strict=True)
            for row_id in alone.ids(stream)
        }
        assert found == expected
        assert len(sync.ids(stream)) == len(set(sync.ids(stream)))
        assert sync.statuses[stream] == ["STARTED", "RUNNING", "COMPLETE"]


def test_links_lead_into_the_workspace_of_the_row(front: Cloud) -> None:
    rows = read(both(front), ["flows"]).ok().records["flows"]
    urls = {workspace.workspace_id: workspace.ui_url for workspace in front.workspaces}
    assert {row["workspace_id"] for row in rows} == set(urls)
    assert all(row["ui_url"] == f"{urls[row['workspace_id']]}/flows/flow/{row['id']}" for row in rows)


@pytest.mark.parametrize("named", ["all", "both"])
def test_a_table_names_the_workspaces(front: Cloud, named: str) -> None:
    sync = read(connection(front, "all") if named == "all" else both(front), ["workspaces"]).ok()
    assert [(row["id"], row["name"], row["account_id"], row["account_name"]) for row in sync.records["workspaces"]] == [
        (w.workspace_id, w.name, w.account_id, w.account_name) for w in front.workspaces
    ]


def test_all_means_those_that_the_key_reads(front: Cloud, servers: list[PrefectServer]) -> None:
    config = connection(front, "all")
    assert check(config) == ""
    assert set(read(config, ["flows"]).ok().ids("flows")) == ids_of(servers[0], "flows") | ids_of(servers[1], "flows")
    front.keys = [Key(workspace_ids=[front.workspaces[1].workspace_id])]
    assert set(read(config, ["flows"]).ok().ids("flows")) == ids_of(servers[1], "flows")


def test_each_workspace_has_a_cursor_of_its_own(front: Cloud, again: list[Sync]) -> None:
    first = read(both(front), WITH_CURSOR).ok()
    assert ids(read(both(front), WITH_CURSOR, first.state).ok()) == ids(*again)


def test_a_workspace_that_is_added_later_is_read_from_its_beginning(
    front: Cloud, apart: list[Sync], again: list[Sync]
) -> None:
    first = read(connection(front, front.workspaces[0].ui_url), WITH_CURSOR).ok()
    assert ids(read(both(front), WITH_CURSOR, first.state).ok()) == ids(again[0], apart[1])


def test_a_workspace_that_is_left_out_and_comes_back_loses_nothing(front: Cloud, servers: list[PrefectServer]) -> None:
    first = read(both(front), ["flows"]).ok()
    without = read(connection(front, front.workspaces[0].ui_url), ["flows"], first.state).ok()
    new = make_flow(servers[1], f"meanwhile-{uuid4()}")
    assert new in read(both(front), ["flows"], without.state).ok().ids("flows")
    servers[1].delete(f"flows/{new}")


def test_the_state_of_a_connection_with_one_workspace_stays_readable(
    front: Cloud, apart: list[Sync], again: list[Sync]
) -> None:
    """Such as a connection has that was set up before there could be several."""
    old: State = [m for m in apart[0].state if m["stream"]["stream_descriptor"]["name"] in WITH_CURSOR]
    assert ids(read({"connection": front.connection()}, WITH_CURSOR, old).ok()) == ids(again[0])
    # To which of two workspaces it belongs, it does not say: nothing of either may be missed.
    together = read(both(front), WITH_CURSOR, old).ok()
    assert all(set(together.ids(stream)) >= set(apart[1].ids(stream)) for stream in WITH_CURSOR)


@pytest.mark.parametrize("how", ["private", "no member", "gone"])
def test_one_that_cannot_be_read_fails_alone_and_by_name(
    servers: list[PrefectServer], apart: list[Sync], again: list[Sync], how: str
) -> None:
    production = Workspace(servers[0].url, "Production")
    staging = Workspace(servers[1].url, "Staging", account_id=OTHER_ACCOUNT)
    unreachable = replace(staging, server_url=f"http://127.0.0.1:{free_port()}/api")
    key = Key(workspace_ids=[production.workspace_id]) if how == "no member" else Key()
    closed = frozenset({OTHER_ACCOUNT}) if how == "private" else frozenset[str]()
    start = {"start_date": f"{NOW - timedelta(days=7):%Y-%m-%d}"}
    there = [production, unreachable if how == "gone" else staging]
    with cloud(there, keys=[key], private_accounts=closed) as front, impatient():
        sync = read({**both(front), **start}, WITH_CURSOR)
    assert sync.exit_code != 0
    assert ids(sync) == ids(apart[0])
    # Of a workspace that the key does not read, nobody knows the name.
    name = staging.workspace_id if how == "no member" else "Staging"
    assert any(name in error["message"] for error in sync.errors)
    assert not any("Production" in error["message"] for error in sync.errors)
    assert {stream: sync.statuses[stream][-1] for stream in WITH_CURSOR} == dict.fromkeys(WITH_CURSOR, "INCOMPLETE")
    # What the other one has brought is kept, and the one that failed begins where it stood.
    with cloud([production, staging]) as front, impatient():
        assert ids(read({**both(front), **start}, WITH_CURSOR, sync.state).ok()) == ids(again[0], apart[1])


def test_all_that_is_asked_twice_is_read_once(front: Cloud, servers: list[PrefectServer]) -> None:
    url = front.workspaces[0].ui_url
    sync = read(connection(front, url, f"{url}/runs", front.workspaces[0].workspace_id), ["flows"]).ok()
    assert sorted(sync.ids("flows")) == sorted(ids_of(servers[0], "flows"))


# What is declared


def test_every_stream_declares_the_columns_which_are_null_on_a_server(
    apart: list[Sync], servers: list[PrefectServer]
) -> None:
    config = {"connection": {"type": "server", "api_url": servers[0].url}}
    [streams] = [m["catalog"]["streams"] for m in run_here("discover", config) if m["type"] == "CATALOG"]
    for stream in streams:
        if stream["name"] != "workspaces":
            columns = stream["json_schema"]["properties"]
            assert columns["account_id"]["type"] == columns["workspace_id"]["type"] == ["string", "null"]
    assert not any({"account_id", "workspace_id"} & row.keys() for s in STREAMS for row in apart[0].records[s])


def test_a_server_has_no_workspaces(servers: list[PrefectServer]) -> None:
    config = {"connection": {"type": "server", "api_url": servers[0].url}}
    sync = read(config, ["workspaces"]).ok()
    assert (sync.records["workspaces"], sync.statuses["workspaces"][-1]) == ([], "COMPLETE")


def test_events_of_several_workspaces_stay_within_the_limits(front: Cloud) -> None:
    assert read(both(front), OF_EVENTS).ok().errors == []
