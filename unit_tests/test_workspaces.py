"""The streams of several workspaces of Prefect Cloud: what they share, and how their states are joined."""

import threading
import time
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest
import requests_mock
from airbyte_cdk.sources.declarative.requesters import HttpRequester
from airbyte_cdk.sources.message import InMemoryMessageRepository
from airbyte_cdk.sources.message.concurrent_repository import ConcurrentMessageRepository
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream

from source_prefect import SourcePrefect
from source_prefect.cdk import StreamCursor, WorkspaceCursor, retriever_of
from source_prefect.http.cloud import Config, with_plans
from source_prefect.http.workspaces import TemporaryError, each_workspace
from source_prefect.reading.scan import PrefectRetriever

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
    """Two accounts, the first with two workspaces; its plan has another limit than that of the second."""
    with requests_mock.Mocker() as mocker:
        mocker.get(f"{ROOT}/me/workspaces", json=WORKSPACES)
        for account, rate in zip(ACCOUNTS, (1_000, 1_000, 600), strict=True):
            limits = {"orchestration_rate_limit": rate, "run_retention_days": rate // 100}
            mocker.get(f"{ROOT}/accounts/{account}/usage_limits", json=limits)
        yield mocker


def configs(**settings: Any) -> list[Config]:
    """What each workspace of the connection is read with."""
    source = SourcePrefect(config={"connection": {**KEY, "workspaces": ["all"]}, **settings})
    return with_plans(each_workspace(source._config))


def test_a_whole_address_is_tried_where_cloud_lists_no_workspace_for_the_key(api: requests_mock.Mocker) -> None:
    api.get(f"{ROOT}/me/workspaces", json=[])
    first, second = WORKSPACES[0], WORKSPACES[1]
    address = f"https://app.prefect.cloud/account/{first['account_id']}/workspace/{first['workspace_id']}"
    named = {"connection": {**KEY, "workspaces": [address, second["workspace_id"]]}}
    whole, bare = each_workspace(SourcePrefect(config=named)._config)
    assert "problem" not in whole
    assert "no such workspace" in bare["problem"]


def budgets(workspaces: list[Config]) -> list[int]:
    """Which budget of requests each workspace has, numbered as they come. All of its streams have the same."""
    source = SourcePrefect(config={"connection": {**KEY, "workspaces": ["all"]}})
    found: list[int] = []
    for workspace in workspaces:
        [budget] = {id(_budget(stream)) for stream in source._streams(workspace)}
        found.append(budget)
    return [list(dict.fromkeys(found)).index(budget) for budget in found]


def _budget(stream: AbstractStream) -> object:
    retriever = retriever_of(stream)
    assert isinstance(retriever, PrefectRetriever)
    assert isinstance(retriever.requester, HttpRequester)
    return retriever.requester.api_budget


def test_the_users_number_of_requests_per_minute_is_one_budget_for_all(api: requests_mock.Mocker) -> None:
    assert api
    assert budgets(configs(max_requests_per_minute=90)) == [0, 0, 0]


def test_without_it_each_account_has_a_budget_by_its_plan(api: requests_mock.Mocker) -> None:
    workspaces = configs()
    assert [each["max_requests_per_minute"] for each in workspaces] == [500, 500, 300]
    assert [each["retention_days"] for each in workspaces] == [10, 10, 6]
    assert budgets(workspaces) == [0, 0, 1]
    asked = [request.path for request in api.request_history]
    assert len(asked) == len(set(asked)) == 3


def test_the_addresses_of_a_private_ui_lead_to_the_private_api(api: requests_mock.Mocker) -> None:
    root = "https://api.private.prefect.cloud/api"
    api.get(f"{root}/me/workspaces", json=WORKSPACES)
    texts = [
        f"https://app.private.prefect.cloud/account/{w['account_id']}/workspace/{w['workspace_id']}" for w in WORKSPACES
    ]
    source = SourcePrefect(config={"connection": {**KEY, "workspaces": texts}})
    found = each_workspace(source._config)
    assert [each["api_url"] for each in found] == [
        f"{root}/accounts/{w['account_id']}/workspaces/{w['workspace_id']}" for w in WORKSPACES
    ]
    assert [request.path for request in api.request_history] == ["/api/me/workspaces"]


@pytest.mark.parametrize("texts", [["all"], [WORKSPACES[0]["workspace_id"]]], ids=["all", "an id alone"])
def test_what_cloud_does_not_report_now_may_be_reported_later(texts: list[str], api: requests_mock.Mocker) -> None:
    api.get(f"{ROOT}/me/workspaces", status_code=503, headers={"Prefect-Maintenance": "true"})
    source = SourcePrefect(config={"connection": {**KEY, "workspaces": texts}})
    with pytest.raises(TemporaryError, match="under maintenance"):
        each_workspace(source._config)


class SlowQueue(Queue[Any]):
    """Lets other threads go first before it takes in a message."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        time.sleep(0.001)
        super().put(item, block, timeout)


def test_states_of_workspaces_that_are_read_at_the_same_time_only_grow() -> None:
    queue = SlowQueue()
    stream = StreamCursor("flows", "updated", {}, ConcurrentMessageRepository(queue, InMemoryMessageRepository()))

    def read(workspace_id: str) -> None:
        cursor = WorkspaceCursor(stream, workspace_id, is_only=False)
        for number in range(20):
            cursor.checkpoint({"updated": number})

    threads = [threading.Thread(target=read, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queue.qsize() == 60
    states = [vars(queue.get().state.stream.stream_state)["workspaces"] for _ in range(60)]
    heights = [[state.get(name, {"updated": -1})["updated"] for name in "abc"] for state in states]
    assert heights == sorted(heights, key=sum)
    assert [sum(height) for height in heights] == list(range(-2, 58))
