"""The probe of Prefect Cloud, on the stand-in: what it finds out, and that it prints no more."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.cloud_probe import main
from devtools.data.bulk import insert_events
from devtools.data.seeding import make_flow, make_run
from devtools.servers.cloud import HOBBY, TEAM, Cloud, Key, Limits, Workspace, cloud
from devtools.servers.prefect import PrefectServer

KEY = Key("pnu_secret_of_ada")
SERVICE = Key("pnb_secret_of_a_robot", reads_account=False)
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def workspace(server: PrefectServer) -> Workspace:
    flow_id = make_flow(server, "payroll")
    make_run(server, flow_id, "COMPLETED", name="salaries-of-march")
    make_run(server, flow_id, "RUNNING")
    server.wait_for_events()
    insert_events(server.database, [NOW - timedelta(days=n) for n in (6, 13, 18)], event="payroll.paid")
    return Workspace(server.url, "Human Resources", account_name="Secretive Ltd")


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the probe; its lines by the topic that they stand below."""

    def run(front: Cloud, key: Key = KEY, *arguments: str) -> dict[str, list[str]]:
        monkeypatch.setenv("PREFECT_API_KEY", f" {key.text}\n")
        assert main([*arguments, "--api-url", f"{front.url}/"]) == 0
        return _topics(capsys.readouterr().out.splitlines())

    return run


def _topics(lines: Sequence[str]) -> dict[str, list[str]]:
    topics: dict[str, list[str]] = {}
    for line in lines:
        if line[0].isdigit():
            topic, _, status = line.partition(". ")[2].partition(": ")
            topics[topic] = [status]
        else:
            topics[topic].append(line.strip())
    return topics


def test_seven_requests_tell_what_cloud_does(workspace: Workspace, ask: Any) -> None:
    with cloud([workspace], keys=[KEY], plan=TEAM, event_limits=Limits.CLAMP) as front:
        found = ask(front)
        assert [request.method for request in front.log] == ["GET", "GET", "POST", "POST", "POST", "POST", "GET"]
    assert [answer[0] for answer in found.values()] == ["200"] * 6 + ["500"]
    assert found["the limits of the plan"][2:] == [
        "orchestration_rate_limit: 2500",
        "log_rate_limit: 2500",
        "run_retention_days: 14",
    ]
    assert found["task runs by their end"][1:] == ["the filter is known"]
    assert "unfinished runs come first" in found["flow runs, the last to end first"]
    assert any("flow_name" in line for line in found["flow runs, the last to end first"])
    assert "the oldest event is less than 14 days old" in found["events of 20 days"]
    assert any(
        line.startswith("occurred looks like 0000-00-00T00:00:00.000000+00:00") for line in found["events of 20 days"]
    )
    assert found["events of ten years ago"][1:] == ["events: 0, next_page: an address"]


def test_the_opposite_is_told_apart(workspace: Workspace, ask: Any) -> None:
    ways: dict[str, Any] = {"unfinished_first": False, "dangling_token": False, "offset_in_times": False}
    with cloud([workspace], keys=[KEY], event_limits=Limits.NONE, **ways) as front:
        found = ask(front)
        assert len(front.log) == 7
    assert "unfinished runs come last" in found["flow runs, the last to end first"]
    assert "the oldest event is more than 14 days old" in found["events of 20 days"]
    assert any(line.endswith("Z") for line in found["events of 20 days"])
    assert found["events of ten years ago"][1:] == ["events: 0, next_page: null"]
    assert found["events that there are none of"] == ["200", "events: 0, next_page: null"]


def test_refusals_are_told_in_their_own_words(workspace: Workspace, ask: Any) -> None:
    with cloud([workspace], keys=[SERVICE], plan=HOBBY, refusal=400) as front:
        found = ask(front, SERVICE)
        assert len(front.log) == 7
    assert found["the limits of the plan"] == ["403"]
    assert found["events of 20 days"] == ["400, The time range must be at most 7 days."]
    assert found["events of ten years ago"] == ["400, Events are kept for 7 days."]
    assert found["events that there are none of"] == ["200", "events: 0, next_page: an address"]
    with cloud([workspace], keys=[KEY], plan=HOBBY, refusal=422) as front:
        assert ask(front)["events of 20 days"] == ["422, The time range must be at most 7 days."]


def test_a_workspace_can_be_named_by_its_address(workspace: Workspace, ask: Any) -> None:
    other = Workspace("http://127.0.0.1:9/api", "Other")
    with cloud([other, workspace], keys=[KEY]) as front:
        assert ask(front, KEY, f"{workspace.ui_url}/runs?state=failed")["task runs by their end"][0] == "200"


def test_a_wrong_key_ends_it(workspace: Workspace, ask: Any) -> None:
    with cloud([workspace], keys=[KEY]) as front:
        found = ask(front, Key("pnu_expired"))
        assert len(front.log) == 1
    assert found == {"the workspaces of a key": ["401", "No workspace to ask: give the address of one."]}


def test_without_a_key_nothing_is_asked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_KEY", raising=False)
    assert main([]) == 2
    assert "PREFECT_API_KEY" in capsys.readouterr().err


def test_nothing_of_the_users_own_is_printed(server: PrefectServer, workspace: Workspace, ask: Any) -> None:
    own = {"payroll", "salaries-of-march", "Human", "Secretive", KEY.text, SERVICE.text, workspace.account_id}
    own |= {workspace.workspace_id, *(row["id"] for table in ("flows", "flow_runs") for row in server.rows(table))}
    own |= {row["created"][:10] for row in server.rows("flow_runs")}
    for limits in Limits:
        with cloud([workspace], keys=[KEY, SERVICE], event_limits=limits) as front:
            for key in (KEY, SERVICE):
                printed = str(ask(front, key))
                assert [text for text in own if text in printed] == []
