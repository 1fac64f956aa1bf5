"""The Prefect Cloud workspaces that a command reads, their plans' limits, and their states."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests_mock
from airbyte_cdk.models import AirbyteMessage
from airbyte_cdk.sources.message import InMemoryMessageRepository

from source_prefect import manifest
from source_prefect.cdk import ByteQueue, Outbox, StreamCursor
from source_prefect.cloud import TemporaryError, details, unknown_workspace, with_plans, workspaces_to_read
from source_prefect.http.session import Session
from source_prefect.http.transport import IN_A_CHECK, Transport
from source_prefect.settings.parse import ConfigError, parse
from source_prefect.settings.values import Workspace

SPEC = manifest.load()["spec"]["connection_specification"]
ROOT = "https://api.prefect.cloud/api"
KEY = {"type": "cloud", "api_key": "pnu_0123456789"}
ACCOUNTS = [f"{number}0000000-0000-0000-0000-000000000000" for number in (1, 1, 2)]
WORKSPACES = [
    {
        "account_id": account,
        "account_name": f"account {account[0]}",
        "workspace_id": f"{number}1111111-0000-0000-0000-000000000000",
        "workspace_name": f"workspace {number}",
    }
    for number, account in enumerate(ACCOUNTS)
]


@pytest.fixture
def api() -> Iterator[requests_mock.Mocker]:
    """Two accounts, the first with two workspaces; the limits of their plans differ."""
    with requests_mock.Mocker() as mocker:
        mocker.get(f"{ROOT}/me/workspaces", json=WORKSPACES)
        for account, rate in zip(ACCOUNTS, (1_000, 1_000, 600), strict=True):
            limits = {"orchestration_rate_limit": rate, "run_retention_days": rate // 100}
            mocker.get(f"{ROOT}/accounts/{account}/usage_limits", json=limits)
        yield mocker


def session_of(*workspaces: str, **settings: Any) -> Session:
    connection = {**KEY, "workspaces": list(workspaces)}
    return Session(parse({"connection": connection, **settings}, SPEC), IN_A_CHECK)


def read(*workspaces: str) -> list[Workspace]:
    return workspaces_to_read(session_of(*workspaces))


def address(workspace: dict[str, str], ui: str = "https://app.prefect.cloud") -> str:
    return f"{ui}/account/{workspace['account_id']}/workspace/{workspace['workspace_id']}"


# Which workspaces


@pytest.mark.usefixtures("api")
def test_all_are_those_of_the_key_with_their_names_as_labels() -> None:
    found = read("all")
    assert [each.ids for each in found] == [
        {name: each[name] for name in ("account_id", "workspace_id")} for each in WORKSPACES
    ]
    assert [each.label for each in found] == [
        "account 1 / workspace 0",
        "account 1 / workspace 1",
        "account 2 / workspace 2",
    ]
    assert [each.api_url for each in found] == [
        f"{ROOT}/accounts/{each['account_id']}/workspaces/{each['workspace_id']}" for each in WORKSPACES
    ]
    assert [each.ui_url for each in found] == [address(each) for each in WORKSPACES]


@pytest.mark.usefixtures("api")
def test_a_workspace_that_is_named_twice_is_read_once() -> None:
    assert len(read(address(WORKSPACES[0]), WORKSPACES[0]["workspace_id"], WORKSPACES[1]["workspace_id"])) == 2


def test_a_whole_address_is_tried_where_cloud_lists_no_workspace_for_the_key(api: requests_mock.Mocker) -> None:
    api.get(f"{ROOT}/me/workspaces", json=[])
    whole, bare = read(address(WORKSPACES[0]), WORKSPACES[1]["workspace_id"])
    assert whole.problem == ""
    assert "no such workspace" in bare.problem


def test_the_addresses_of_a_private_ui_lead_to_the_private_api(api: requests_mock.Mocker) -> None:
    root = "https://api.private.prefect.cloud/api"
    api.get(f"{root}/me/workspaces", json=WORKSPACES)
    found = read(*(address(each, "https://app.private.prefect.cloud") for each in WORKSPACES))
    assert [each.api_url for each in found] == [
        f"{root}/accounts/{w['account_id']}/workspaces/{w['workspace_id']}" for w in WORKSPACES
    ]
    assert [request.path for request in api.request_history] == ["/api/me/workspaces"]


@pytest.mark.parametrize("texts", [["all"], [WORKSPACES[0]["workspace_id"]]], ids=["all", "an id alone"])
def test_what_cloud_does_not_report_now_may_be_reported_later(texts: list[str], api: requests_mock.Mocker) -> None:
    api.get(f"{ROOT}/me/workspaces", status_code=503, headers={"Prefect-Maintenance": "true"})
    with pytest.raises(TemporaryError, match="under maintenance"):
        read(*texts)


def test_workspaces_without_names_are_called_by_their_ids(api: requests_mock.Mocker) -> None:
    nameless = [{name: each[name] for name in ("account_id", "workspace_id")} for each in WORKSPACES]
    api.get(f"{ROOT}/me/workspaces", json=nameless)
    assert [each.label for each in read("all")] == [f"{e['account_id']} / {e['workspace_id']}" for e in WORKSPACES]


@pytest.mark.parametrize("found", [[{}], [7], [{"account_id": "a"}], [*WORKSPACES, {"workspace_id": "w"}]])
def test_a_list_with_an_entry_without_ids_is_a_sentence(found: list[Any], api: requests_mock.Mocker) -> None:
    api.get(f"{ROOT}/me/workspaces", json=found)
    with pytest.raises(ConfigError, match="its list has an entry without ids, so paste the address of the workspace"):
        read("all")


def test_the_key_is_sent_whatever_is_in_netrc(
    api: requests_mock.Mocker, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine api.prefect.cloud login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    read("all")
    assert [request.headers["Authorization"] for request in api.request_history] == ["Bearer pnu_0123456789"]


def test_the_workspaces_are_asked_for_once_in_a_command(api: requests_mock.Mocker) -> None:
    session = session_of("all")
    for workspace in workspaces_to_read(session):
        assert details(session, workspace)["workspace_name"] == workspace.label.partition(" / ")[2]
        assert unknown_workspace(session, workspace) == ""
    assert [request.path for request in api.request_history] == ["/api/me/workspaces"]


def test_a_workspace_that_the_key_does_not_list_may_be_the_reason_of_a_404(api: requests_mock.Mocker) -> None:
    session = session_of(address(WORKSPACES[0]))
    [workspace] = workspaces_to_read(session)
    assert unknown_workspace(session, workspace) == ""
    api.get(f"{ROOT}/me/workspaces", json=WORKSPACES[1:])
    sentence = unknown_workspace(session_of(address(WORKSPACES[0])), workspace)
    assert sentence.startswith(f"Prefect Cloud knows no workspace {workspace.workspace_id} in the account")
    assert "The key reads account 1 / workspace 1" in sentence


# The limits of their plans


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The requests a minute that each account gets."""
    limits: dict[str, int] = {}
    monkeypatch.setattr(Transport, "limit", lambda _, account, per_minute: limits.update({account: per_minute}))
    return limits


def test_each_account_gets_half_of_the_requests_of_its_plan(api: requests_mock.Mocker, limits: dict[str, int]) -> None:
    session = session_of("all")
    workspaces = with_plans(session, workspaces_to_read(session))
    assert limits == {ACCOUNTS[0]: 500, ACCOUNTS[2]: 300}
    assert [each.retention_days for each in workspaces] == [10, 10, 6]
    asked = [request.path for request in api.request_history]
    assert len(asked) == len(set(asked)) == 3


@pytest.mark.usefixtures("api")
def test_the_users_number_of_requests_per_minute_is_the_limit_of_all(limits: dict[str, int]) -> None:
    session = session_of("all", max_requests_per_minute=90)
    workspaces = with_plans(session, workspaces_to_read(session))
    assert limits == {}
    assert [each.retention_days for each in workspaces] == [10, 10, 6]


@pytest.mark.parametrize("days", [0, -1, None, "30", 3_651, 1_000_000, 10**30])
def test_a_retention_of_more_than_ten_years_or_of_no_number_is_not_known(
    api: requests_mock.Mocker, limits: dict[str, int], days: Any
) -> None:
    api.get(f"{ROOT}/accounts/{ACCOUNTS[0]}/usage_limits", json={"run_retention_days": days})
    session = session_of("all")
    assert [each.retention_days for each in with_plans(session, workspaces_to_read(session))] == [None, None, 6]
    assert limits == {ACCOUNTS[2]: 300}


@pytest.mark.parametrize("answer", [{"status_code": 403}, {"json": []}, {"text": "<html>"}, {"text": "[" * 100_000}])
def test_an_account_whose_limits_cannot_be_read_has_none(
    api: requests_mock.Mocker, limits: dict[str, int], answer: dict[str, Any]
) -> None:
    api.get(f"{ROOT}/accounts/{ACCOUNTS[0]}/usage_limits", **answer)
    session = session_of("all")
    assert [each.retention_days for each in with_plans(session, workspaces_to_read(session))] == [None, None, 6]
    assert limits == {ACCOUNTS[2]: 300}


# Their states


class SlowQueue(ByteQueue):
    """Lets other threads go first before it takes in a message."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        time.sleep(0.001)
        super().put(item, block, timeout)


def test_states_of_workspaces_that_are_read_at_the_same_time_only_grow() -> None:
    queue = SlowQueue(0)
    cursor = StreamCursor("flows", "updated", {}, Outbox(queue, InMemoryMessageRepository()))

    def read(workspace_id: str) -> None:
        for number in range(20):
            cursor.save(workspace_id, {"updated": number})

    threads = [threading.Thread(target=read, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    states: list[dict[str, Any]] = []
    while not queue.empty():
        message = queue.get()
        assert isinstance(message, AirbyteMessage)
        states.append(vars(message.state.stream.stream_state)["workspaces"])  # type: ignore[union-attr]  # a state
    heights = [[state.get(name, {"updated": -1})["updated"] for name in "abc"] for state in states]
    assert heights == sorted(heights, key=sum)
    assert [sum(height) for height in heights] == list(range(-2, 58))
