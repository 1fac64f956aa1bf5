"""Which workspace of Prefect Cloud is read: pasted, found by id, or left out; misplaced keys."""

from collections.abc import Iterator
from typing import Any

import pytest

from devtools.connector import read_here as read
from devtools.data.seeding import make_flow
from devtools.servers.cloud import Cloud, Key, Workspace, cloud
from devtools.servers.faults import impatient
from devtools.servers.prefect import PrefectServer
from integration_tests.connecting import check

OTHER_ACCOUNT = "66915a23-275f-4bda-9b8b-f0f84196982a"


@pytest.fixture
def front(server: PrefectServer) -> Iterator[Cloud]:
    """Two workspaces of two accounts: no server listens at the address of the first one's rows."""
    workspaces = [
        Workspace("http://127.0.0.1:9/api", "Production"),
        Workspace(server.url, "Staging", account_id=OTHER_ACCOUNT, account_name="Shop Labs"),
    ]
    with cloud(workspaces) as running, impatient():
        yield running


@pytest.fixture(scope="module")
def of_second(server: PrefectServer) -> set[str]:
    """The ids of the flows in the second one."""
    return {make_flow(server, "orders")}


def connection(front: Cloud, workspace: str = "", **more: Any) -> dict[str, Any]:
    """A config as a person fills it in who pastes an address, or nothing."""
    named = {"workspace_id": workspace} if workspace else {}
    return {"connection": {"type": "cloud", "api_key": front.keys[0].text, "api_url": front.url, **named, **more}}


@pytest.mark.parametrize("path", ["", "/runs/flow-run/1b2c?tab=Logs#top"])
def test_the_address_in_the_browser_is_enough(front: Cloud, of_second: set[str], path: str) -> None:
    config = connection(front, front.workspaces[1].ui_url + path)
    assert check(config) == ""
    assert set(read(config, ["flows"]).ok().ids("flows")) == of_second


def test_so_is_the_address_of_the_api_or_the_id(front: Cloud, of_second: set[str]) -> None:
    workspace = front.workspaces[1]
    for named in (f"https://api.prefect.cloud/api/{workspace.path}", workspace.workspace_id):
        assert set(read(connection(front, named), ["flows"]).ok().ids("flows")) == of_second


def test_a_key_that_reads_one_workspace_needs_no_ids(front: Cloud, of_second: set[str]) -> None:
    front.keys = [Key(workspace_ids=[front.workspaces[1].workspace_id])]
    config = connection(front)
    assert check(config) == ""
    assert set(read(config, ["flows"]).ok().ids("flows")) == of_second


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
