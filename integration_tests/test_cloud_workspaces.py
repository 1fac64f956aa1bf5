"""Several workspaces of Cloud in one connection: their rows, their states, and one that fails."""

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from devtools.connector import State, Sync, run_here
from devtools.connector import read_here as read
from devtools.data.bulk import history, insert_flow_runs, insert_logs
from devtools.data.seeding import age, make_flow, make_one_of_everything, make_run, make_task_run
from devtools.matrix.versions import chosen_python
from devtools.servers.cloud import Cloud, Key, Workspace, cloud
from devtools.servers.faults import impatient
from devtools.servers.prefect import QUIET, PrefectServer, free_port, prefect_server
from devtools.servers.proxy import Answer, Forward, Request, pass_on
from integration_tests.connecting import check
from source_prefect.progress.state import VERSION

# With a cursor, and one of each way that a table is read: what a second sync brings is known.
WITH_CURSOR = ["flows", "flow_runs", "logs"]

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
RUNS = 30
WEEK = {"start_date": f"{NOW - timedelta(days=7):%Y-%m-%d}"}

OTHER_ACCOUNT = "66915a23-275f-4bda-9b8b-f0f84196982a"


@pytest.fixture(scope="module")
def servers(server: PrefectServer) -> Iterator[list[PrefectServer]]:
    """Three servers with rows of yesterday, and a newest row: one hour old, three, and five."""
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        python = chosen_python()
        others = pool.map(lambda _: stack.enter_context(prefect_server(QUIET, python=python)), range(2))
        running = [server, *others]
        list(pool.map(_fill, running, [HOUR, 3 * HOUR, 5 * HOUR]))
        yield running


def _fill(server: PrefectServer, newest: timedelta) -> None:
    make_flow(server, "orders", tags=["om-source:shop.public.orders", "om-destination:dwh.mart.orders"])
    make_one_of_everything(server)
    server.post("work_pools/", {"name": "shop", "type": "process"})
    server.post("v2/concurrency_limits/", {"name": "database", "limit": 5})
    upstream = {"prefect.resource.id": "postgres://prod/shop/orders", "prefect.resource.role": "asset"}
    materialized = {
        "id": str(uuid4()),
        "event": "prefect.asset.materialization.succeeded",
        "occurred": (NOW - HOUR).isoformat(),
        "resource": {"prefect.resource.id": "postgres://prod/warehouse/orders"},
        "related": [upstream],
    }
    server.post("events", [materialized])
    insert_flow_runs(server.database, make_flow(server), history(RUNS, until=NOW, every=HOUR))
    age(server, timedelta(days=1))
    run = make_run(server, make_flow(server, "newest"), "COMPLETED")
    make_task_run(server, run, "load", task_inputs={"rows": [{"input_type": "parameter", "name": "rows"}]})
    insert_logs(server.database, [NOW - timedelta(days=1), NOW])
    age(server, newest)
    server.wait_for_events()


@pytest.fixture(scope="module")
def workspaces(servers: list[PrefectServer]) -> list[Workspace]:
    """Three workspaces: two of one account, and one of another."""
    production, staging, sandbox = (server.url for server in servers)
    return [
        Workspace(production, "Production"),
        Workspace(staging, "Staging", account_id=OTHER_ACCOUNT, account_name="Shop Labs"),
        Workspace(sandbox, "Sandbox"),
    ]


@pytest.fixture
def front(workspaces: list[Workspace]) -> Iterator[Cloud]:
    with cloud(workspaces) as running, impatient():
        yield running


def connection(front: Cloud, *named: str, **settings: Any) -> dict[str, Any]:
    """A config that names workspaces by their pasted addresses; without any, all of them."""
    addresses = list(named or (workspace.ui_url for workspace in front.workspaces))
    which = {"choice": "all"} if addresses == ["all"] else {"choice": "several", "addresses": addresses}
    key = {"type": "cloud", "api_key": front.keys[0].text, "api_url": front.url}
    return {"connection": {**key, "workspace": which}, **settings}


@pytest.fixture(scope="module")
def apart(servers: list[PrefectServer]) -> list[Sync]:
    """All that each server has by itself."""
    return [read({"connection": {"type": "server", "api_url": server.url}}).ok() for server in servers]


@pytest.fixture(scope="module")
def again(servers: list[PrefectServer], apart: list[Sync]) -> list[Sync]:
    """What a second sync of each server brings: its newest rows, in case some were in flight."""
    found = [
        read({"connection": {"type": "server", "api_url": server.url}}, WITH_CURSOR, first.state).ok()
        for server, first in zip(servers, apart, strict=True)
    ]
    assert all(set(new.ids("flows")) < set(old.ids("flows")) for new, old in zip(found, apart, strict=True))
    return found


def ids(*syncs: Sync) -> dict[str, list[str]]:
    """The ids of these syncs by stream, of some streams with a cursor."""
    return {stream: sorted(row_id for sync in syncs for row_id in sync.ids(stream)) for stream in WITH_CURSOR}


def parts(sync: Sync, stream: str) -> list[dict[str, Any]]:
    """The states of a stream, by workspace, in the order in which they were sent."""
    return [message["stream"]["stream_state"]["workspaces"] for message in sync.states[stream]]


# Rows


def test_rows_of_all_workspaces_say_whose_they_are_and_keys_stay_unique(front: Cloud, apart: list[Sync]) -> None:
    sync = read(connection(front)).ok()
    streams = {stream for alone in apart for stream, rows in alone.records.items() if rows}
    assert len(streams) >= 17
    for stream in streams:
        found = {(row["account_id"], row["workspace_id"], row["id"]) for row in sync.records[stream]}
        expected = {
            (workspace.account_id, workspace.workspace_id, row_id)
            for workspace, alone in zip(front.workspaces, apart, strict=True)
            for row_id in alone.ids(stream)
        }
        assert found == expected, stream
        assert len(sync.ids(stream)) == len(set(sync.ids(stream)))
        assert sync.statuses[stream] == ["STARTED", "RUNNING", "COMPLETE"]


def test_links_lead_into_the_workspace_of_the_row(front: Cloud) -> None:
    rows = read(connection(front), ["flows", "lineage"]).ok().records
    urls = {workspace.workspace_id: workspace.ui_url for workspace in front.workspaces}
    assert (
        {row["workspace_id"] for row in rows["flows"]} == {row["workspace_id"] for row in rows["lineage"]} == set(urls)
    )
    assert all(row["ui_url"] == f"{urls[row['workspace_id']]}/flows/flow/{row['id']}" for row in rows["flows"])
    assert all(row["ui_url"].startswith(urls[row["workspace_id"]]) for row in rows["lineage"])


@pytest.mark.parametrize("named", ["all", "each", "one by its ids"])
def test_a_table_names_the_workspaces(front: Cloud, named: str) -> None:
    config = connection(front, "all") if named == "all" else connection(front)
    expected = front.workspaces
    if named == "one by its ids":
        config, expected = {"connection": front.connection()}, expected[:1]
    rows = read(config, ["workspaces"]).ok().records["workspaces"]
    assert sorted(
        (row["id"], row["name"], row["account_id"], row["account_name"], row["ui_url"]) for row in rows
    ) == sorted((each.workspace_id, each.name, each.account_id, each.account_name, each.ui_url) for each in expected)
    assert all(row["workspace_id"] == row["id"] for row in rows)


# Which workspaces


def test_all_means_those_that_the_key_reads(front: Cloud, apart: list[Sync]) -> None:
    config = connection(front, "all")
    assert check(config) == ""
    assert ids(read(config, WITH_CURSOR).ok()) == ids(*apart)
    front.keys = [Key(workspace_ids=[front.workspaces[1].workspace_id])]
    assert ids(read(config, WITH_CURSOR).ok()) == ids(apart[1])
    front.keys = [Key(workspace_ids=[])]
    assert "reads no workspace" in check(config)


def test_an_address_of_the_api_or_an_id_names_one_as_well(front: Cloud, apart: list[Sync]) -> None:
    first, second, _ = front.workspaces
    config = connection(front, f"https://api.prefect.cloud/api/{first.path}", f" {second.workspace_id.upper()}\n")
    assert ids(read(config, WITH_CURSOR).ok()) == ids(*apart[:2])


def test_one_that_is_named_twice_is_read_once(front: Cloud, apart: list[Sync]) -> None:
    url = front.workspaces[0].ui_url
    config = connection(front, url, f"{url}/runs?tab=Logs", front.workspaces[0].workspace_id)
    assert ids(read(config, WITH_CURSOR).ok()) == ids(apart[0])


def test_addresses_are_enough_where_the_key_may_not_list_its_workspaces(front: Cloud, apart: list[Sync]) -> None:
    front.keys = [Key("pnb_0123456789", lists_workspaces=False)]
    sync = read(connection(front), [*WITH_CURSOR, "workspaces"]).ok()
    assert ids(sync) == ids(*apart)
    assert sorted(sync.ids("workspaces")) == sorted(each.workspace_id for each in front.workspaces)
    # An id alone does not say which account it belongs to: this one fails alone.
    by_id = front.workspaces[1].workspace_id
    sync = read(connection(front, front.workspaces[0].ui_url, by_id), WITH_CURSOR)
    assert ids(sync) == ids(apart[0])
    assert all(by_id in error["message"] and "account" in error["message"] for error in _of_streams(sync))
    assert "403" in check(connection(front, "all"))


# States


def test_each_workspace_has_a_cursor_of_its_own(front: Cloud, again: list[Sync]) -> None:
    first = read(connection(front), WITH_CURSOR).ok()
    assert {stream: set(parts(first, stream)[-1]) for stream in WITH_CURSOR} == {
        stream: {workspace.workspace_id for workspace in front.workspaces} for stream in WITH_CURSOR
    }
    assert ids(read(connection(front), WITH_CURSOR, first.state).ok()) == ids(*again)


def test_a_state_never_follows_a_newer_one(front: Cloud) -> None:
    sync = read(connection(front, page_size=2, num_workers=8), ["flow_runs", "logs"]).ok()
    for stream in ("flow_runs", "logs"):
        states = parts(sync, stream)
        assert len(states) >= (12 if stream == "flow_runs" else 3)
        for older, newer in pairwise(states):
            assert older.keys() <= newer.keys()
            assert sum(older[workspace] != newer[workspace] for workspace in older) + len(newer) - len(older) == 1


def test_a_workspace_that_is_added_later_is_read_from_its_beginning(
    front: Cloud, apart: list[Sync], again: list[Sync]
) -> None:
    alone = read({"connection": front.connection()}, WITH_CURSOR).ok()
    first, second, _ = (workspace.ui_url for workspace in front.workspaces)
    two = read(connection(front, first, second), WITH_CURSOR, alone.state).ok()
    assert ids(two) == ids(again[0], apart[1])
    assert ids(read(connection(front), WITH_CURSOR, two.state).ok()) == ids(*again[:2], apart[2])


def test_a_workspace_that_is_left_out_and_comes_back_loses_nothing(front: Cloud, servers: list[PrefectServer]) -> None:
    streams = ["flows", "variables"]
    first = read(connection(front), streams).ok()
    without = read(connection(front, front.workspaces[0].ui_url), streams, first.state).ok()
    new = servers[1].post("variables/", {"name": f"meanwhile_{uuid4().hex}", "value": 1})["id"]
    back = read(connection(front), streams, without.state).ok()
    servers[1].delete(f"variables/{new}")
    assert new in back.ids("variables")
    # And it is not read from its beginning.
    assert len(back.ids("flows")) < len(first.ids("flows"))


def test_the_state_of_a_server_is_not_that_of_a_workspace(front: Cloud, apart: list[Sync]) -> None:
    """It does not say to which workspace it belongs: nothing of any of them may be missed."""
    of_server: State = [m for m in apart[0].state if m["stream"]["stream_descriptor"]["name"] in WITH_CURSOR]
    together = read(connection(front), WITH_CURSOR, of_server).ok()
    assert ids(together) == ids(*apart)
    assert sum("not from this kind of connection" in line for line in together.logs) == 1


def test_a_server_reads_the_state_of_a_workspace_from_the_beginning(
    front: Cloud, servers: list[PrefectServer], apart: list[Sync]
) -> None:
    state = read({"connection": front.connection()}, WITH_CURSOR).ok().state
    config = {"connection": {"type": "server", "api_url": servers[0].url}}
    assert ids(read(config, WITH_CURSOR, state).ok()) == ids(apart[0])


@pytest.mark.parametrize("damage", [5, {"version": VERSION + 1}, "part"])
def test_a_damaged_state_fails_its_stream_alone_and_is_kept(front: Cloud, damage: Any) -> None:
    first, second, _ = front.workspaces
    config = connection(front, first.ui_url, second.ui_url)
    state = read(config, WITH_CURSOR).ok().state
    [flows] = [m["stream"] for m in state if m["stream"]["stream_descriptor"]["name"] == "flows"]
    if damage == "part":
        flows["stream_state"]["workspaces"][second.workspace_id] = 5
    else:
        flows["stream_state"] |= damage if isinstance(damage, dict) else {"workspaces": damage}
    sync = read(config, WITH_CURSOR, state)
    assert [stream for stream in WITH_CURSOR if sync.statuses[stream][-1] == "INCOMPLETE"] == ["flows"]
    assert all("state of the stream flows" in error["message"] for error in _of_streams(sync))
    assert len(_of_streams(sync)) == (1 if damage == "part" else 2)
    assert (
        sync.states["flows"][-1]["stream"]["stream_state"].items() >= flows["stream_state"].items() or damage == "part"
    )


@pytest.mark.parametrize("answers", [15, 40, 70])
def test_a_sync_that_breaks_off_anywhere_loses_nothing(front: Cloud, apart: list[Sync], answers: int) -> None:
    left = iter(range(answers))

    def until_then(request: Request, forward: Forward) -> Answer:
        return Answer(401) if next(left, None) is None else forward(request)

    front.spoil = until_then
    config = connection(front, page_size=2)
    broken = read(config, WITH_CURSOR)
    assert broken.exit_code != 0
    front.spoil = pass_on
    whole = read(config, WITH_CURSOR, broken.state).ok()
    # A destination may drop the rows after the last state.
    kept = {stream: broken.ids(stream)[: broken.committed[stream]] for stream in WITH_CURSOR}
    assert any(kept.values())
    assert {stream: set(kept[stream]) | set(whole.ids(stream)) for stream in WITH_CURSOR} == {
        stream: set(expected) for stream, expected in ids(*apart).items()
    }


# One that fails


@pytest.mark.parametrize("how", ["private", "no member", "gone"])
def test_one_that_cannot_be_read_fails_alone_and_by_name(
    workspaces: list[Workspace], apart: list[Sync], again: list[Sync], how: str
) -> None:
    production, staging, sandbox = workspaces
    unreachable = replace(staging, server_url=f"http://127.0.0.1:{free_port()}/api")
    key = Key(workspace_ids=[production.workspace_id, sandbox.workspace_id]) if how == "no member" else Key()
    closed = frozenset({OTHER_ACCOUNT}) if how == "private" else frozenset[str]()
    there = [production, unreachable if how == "gone" else staging, sandbox]
    # Of a workspace that the key does not read, nobody knows the name.
    name = staging.workspace_id if how == "no member" else "Shop Labs / Staging"
    with cloud(there, keys=[key], private_accounts=closed) as front, impatient():
        said = check(connection(front, **WEEK))
        sync = read(connection(front, **WEEK), WITH_CURSOR)
        in_vain = [request for request in front.log if staging.path in request.path]
    assert name in said
    assert "Corner Shop / Production: " not in said
    assert sync.exit_code != 0
    assert ids(sync) == ids(apart[0], apart[2])
    errors = _of_streams(sync)
    assert len(errors) == len(WITH_CURSOR)
    assert all(error["message"].startswith((f"{name}: ", f"workspace {name}: ")) for error in errors)
    assert {stream: sync.statuses[stream][-1] for stream in WITH_CURSOR} == dict.fromkeys(WITH_CURSOR, "INCOMPLETE")
    assert how != "no member" or in_vain == []
    # What the others have brought is kept, and the one that failed begins where it stood.
    with cloud(workspaces) as front, impatient():
        next_sync = read(connection(front, **WEEK), WITH_CURSOR, sync.state).ok()
    assert ids(next_sync) == ids(again[0], apart[1], again[2])


def test_a_check_names_the_one_that_does_not_answer(
    workspaces: list[Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("source_prefect.check.WORKSPACE_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        there = [replace(workspaces[0], server_url=f"http://127.0.0.1:{silent.getsockname()[1]}/api"), workspaces[1]]
        with cloud(there) as front:
            said = check(connection(front))
    assert said == "Corner Shop / Production did not answer within 1 s"


def test_a_check_asks_each_workspace_even_if_a_sync_may_send_fewer_requests_a_minute(front: Cloud) -> None:
    assert check(connection(front, max_requests_per_minute=2)) == ""
    assert all(front.requests("flows/filter", workspace) for workspace in front.workspaces)
    tried = [request for request in front.log if request.path.endswith("/filter")]
    assert len(tried) <= len(front.workspaces) + 2


def test_a_check_waits_for_nothing_without_a_limit(front: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_prefect.check.CONNECTION_SECONDS", 0.0)
    # And no workspace is accused that was not asked.
    assert check(connection(front)).startswith(f"{front.url} did not answer within 0 s.")


def test_a_warning_names_the_workspace(front: Cloud) -> None:
    def unheard_of(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        return answer.with_rows([{**row, "mood": "good"} for row in answer.rows])

    front.spoil = unheard_of
    lines = [line for line in read(connection(front), ["variables"]).ok().logs if "does not know" in line]
    assert sorted(line.partition(": ")[0] for line in lines) == [
        "variables (Corner Shop / Production)",
        "variables (Corner Shop / Sandbox)",
        "variables (Shop Labs / Staging)",
    ]


# Requests


def test_three_workspaces_cost_what_three_connections_do(front: Cloud) -> None:
    for workspace in front.workspaces:
        read({"connection": front.connection(workspace)}, WITH_CURSOR).ok()
    of_three, limits = len(front.log), len(_asked_for_limits(front))
    first = read(connection(front), WITH_CURSOR).ok()
    of_one = len(front.log) - of_three
    # It asks once which workspaces there are, and once for the limits of each of the two accounts.
    assert (limits, len(_asked_for_limits(front)) - limits) == (3, 2)
    assert len(front.proxy.requests("me/workspaces")) == 1
    assert of_one == of_three
    read(connection(front), WITH_CURSOR, first.state).ok()
    print(f"{of_three} requests of three connections, {of_one} of one")


def test_task_runs_and_their_dependencies_are_read_together_in_each_workspace(front: Cloud, apart: list[Sync]) -> None:
    streams = ["task_runs", "task_dependencies"]
    sync = read(connection(front, num_workers=2), streams).ok()
    for stream in streams:
        assert sorted(sync.ids(stream)) == sorted(row_id for alone in apart for row_id in alone.ids(stream))
        assert set(parts(sync, stream)[-1]) == {workspace.workspace_id for workspace in front.workspaces}
    for workspace in front.workspaces:
        assert len(front.requests("task_runs/filter", workspace)) == 1
    # One that fails fails both streams, of its workspace alone.
    front.keys = [Key(workspace_ids=[front.workspaces[0].workspace_id, front.workspaces[2].workspace_id])]
    failed = read(connection(front), streams)
    assert {row["workspace_id"] for stream in streams for row in failed.records[stream]} == set(
        front.keys[0].workspace_ids or ()
    )
    assert len(_of_streams(failed)) == 2
    assert all(front.workspaces[1].workspace_id in error["message"] for error in _of_streams(failed))


def test_each_account_has_the_limits_of_its_plan(front: Cloud) -> None:
    sync = read(connection(front), ["flows"]).ok()
    lines = [line for line in sync.logs if "requests a minute" in line]
    assert sorted(re.findall(r"[0-9a-f-]{36}", " ".join(lines))) == sorted({w.account_id for w in front.workspaces})


# What is declared


def test_every_stream_declares_the_columns_which_a_server_does_not_have(
    apart: list[Sync], servers: list[PrefectServer]
) -> None:
    config = {"connection": {"type": "server", "api_url": servers[0].url}}
    [streams] = [m["catalog"]["streams"] for m in run_here("discover", config) if m["type"] == "CATALOG"]
    for stream in streams:
        columns = stream["json_schema"]["properties"]
        assert columns["account_id"]["type"] == columns["workspace_id"]["type"] == ["string", "null"]
    rows = [row for records in apart[0].records.values() for row in records]
    assert not any({"account_id", "workspace_id"} & row.keys() for row in rows)


def test_a_server_has_no_workspaces(apart: list[Sync]) -> None:
    assert (apart[0].records["workspaces"], apart[0].statuses["workspaces"][-1]) == ([], "COMPLETE")


def _of_streams(sync: Sync) -> list[dict[str, Any]]:
    """The errors without the one that ends a failed sync."""
    return [error for error in sync.errors if error.get("stream_descriptor")]


def _asked_for_limits(front: Cloud) -> list[Request]:
    return [request for request in front.log if request.path.endswith("usage_limits")]
