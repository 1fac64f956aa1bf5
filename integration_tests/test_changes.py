"""The changes that a real server reports: the shapes of its events are Prefect's, not ours."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import State, Sync
from devtools.connector import read_here as read
from devtools.data.bulk import insert_deployments, insert_events
from devtools.data.seeding import execute, make_deployment, make_flow
from devtools.servers.faults import impatient
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Request, pass_on, proxy

STREAM = "change_log"
# A row that the server ingested so long before the cursor may not have been persisted yet.
PERSISTING = timedelta(minutes=15)

# The objects whose deletion an event does not always report, and their tables.
COMPARED = {"deployment": "deployments", "work-pool": "work_pools", "concurrency-limit": "v2/concurrency_limits"}

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def events(server: PrefectServer) -> Rows:
    """The events, in order of time, of a server where people changed objects of every kind."""
    flow = make_flow(server)
    deployment = make_deployment(server, flow, "nightly")
    server.patch(f"deployments/{deployment}", {"description": "new", "tags": ["shop"]})
    server.post("work_pools/", {"name": "cloud", "type": "process"})
    server.patch("work_pools/cloud", {"concurrency_limit": 3, "is_paused": True})
    server.post("v2/concurrency_limits/", {"name": "crm", "limit": 1})
    trigger = {"type": "event", "posture": "Reactive", "expect": ["shop.*"], "threshold": 1, "within": 0}
    server.post("automations/", {"name": "notify", "trigger": trigger, "actions": [{"type": "do-nothing"}]})
    server.post("variables/", {"name": "schema", "value": "staging"})
    server.patch("variables/name/schema", {"value": "mart"})
    server.delete("variables/name/schema")
    server.delete("work_pools/cloud")
    server.delete(f"deployments/{deployment}")
    server.wait_for_events()
    found: Rows = server.post("events/filter", {"limit": 50, "filter": {"order": "ASC"}})["events"]
    assert {"prefect.work-pool.not-ready", "prefect.deployment.deleted"} <= {event["event"] for event in found}
    return found


@pytest.fixture(scope="module")
def rows(config: dict[str, Any], events: Rows) -> Rows:
    assert events
    return read(config, [STREAM]).ok().records[STREAM]


def test_every_change_is_a_row(rows: Rows) -> None:
    # A set: of a request that met a locked database and was made again, the server has sent the
    # event before.
    told = {
        tuple(row.get(column) for column in ("object_type", "object_name", "action", "field", "before", "after"))
        for row in rows
        if row["object_type"] in ("deployment", "work-pool", "variable")
    }
    staging, mart = (_text({"name": "schema", "value": value, "tags": []}) for value in ("staging", "mart"))
    assert told == {
        ("deployment", "nightly", "created", None, None, None),
        ("deployment", "nightly", "updated", "description", None, "new"),
        ("deployment", "nightly", "updated", "tags", "[]", '["shop"]'),
        ("deployment", "nightly", "deleted", None, None, None),
        ("work-pool", "cloud", "created", None, None, None),
        ("work-pool", "cloud", "paused", None, None, None),
        ("work-pool", "cloud", "updated", "concurrency_limit", None, "3"),
        ("work-pool", "cloud", "deleted", None, None, None),
        ("variable", "schema", "created", None, None, staging),
        ("variable", "schema", "updated", None, None, mart),
        ("variable", "schema", "deleted", None, mart, None),
    }
    assert {row["object_type"] for row in rows} >= {"flow", "work-queue", "concurrency-limit", "automation"}
    assert len({row["id"] for row in rows}) == len(rows)


def test_whole_rows(events: Rows, rows: Rows) -> None:
    by_name = {event["event"]: event for event in events}
    for name, field, more in (
        ("prefect.variable.deleted", None, {"before": _text(by_name["prefect.variable.deleted"]["payload"])}),
        ("prefect.deployment.updated", "description", {"field": "description", "after": "new"}),
    ):
        event = by_name[name]
        resource = event["resource"]
        [row] = [row for row in rows if row["event_id"] == event["id"] and row.get("field") == field]
        assert row == {
            "id": row["id"] if field else event["id"],
            "occurred": event["occurred"],
            "received": event["received"],
            "known_from": "event",
            "event_id": event["id"],
            "object_type": name.split(".")[1],
            "object_id": resource["prefect.resource.id"].removeprefix(name.rpartition(".")[0] + "."),
            "object_name": resource["prefect.resource.name"],
            "action": name.split(".")[2],
            **more,
        }


def test_no_more_is_asked_for_than_changes(server: PrefectServer, events: Rows) -> None:
    """Health of deployments and pools, and actions of automations: many events, no changes."""
    with proxy(server.url) as counted:
        config = {"connection": {"type": "server", "api_url": counted.url}}
        told = {row["event_id"] for row in read(config, [STREAM]).ok().records[STREAM]}
    request, *others = counted.log
    assert [other.path for other in others] == [f"{table}/filter" for table in COMPARED.values()]
    asked = server.post("events/filter", {**request.body, "limit": 50})["events"]
    assert {event["id"] for event in asked} == told
    assert len(told) < len(events)


def test_the_boundary_is_inclusive(server: PrefectServer, config: dict[str, Any]) -> None:
    cursor = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=6)
    boundary, millisecond = cursor - PERSISTING, timedelta(milliseconds=1)
    before, at, after = (
        insert_events(server.database, [time], event="prefect.flow.updated")
        for time in (boundary - millisecond, boundary, boundary + millisecond)
    )
    ids = read(config, [STREAM], _state(cursor)).ok().ids(STREAM)
    assert {*at, *after} <= set(ids)
    assert not {*before} & set(ids)


@pytest.fixture
def doomed(server: PrefectServer) -> dict[str, str]:
    """The ids of objects of each type, by type, on an otherwise empty server."""
    server.clear()
    return _make_one_of_each(server)


@pytest.fixture
def an_event_is_never_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next sync reports a deletion, and need not come a quarter of an hour later.

    Less than no time: the server's clock is known from whole seconds.
    """
    monkeypatch.setattr("source_prefect.progress.seen.LATEST_EVENT", timedelta(minutes=-1))


@pytest.mark.usefixtures("an_event_is_never_late")
def test_each_deletion_without_an_event_is_one_row(
    server: PrefectServer, config: dict[str, Any], doomed: dict[str, str]
) -> None:
    told_by_events = _make_one_of_each(server)
    first = read(config, [STREAM]).ok()
    _delete_with_events(server, told_by_events)
    _delete_without_events(server, doomed)
    # The same names again are other objects.
    _make_one_of_each(server)
    # The server's clock is read from its `Date`, which has no fraction.
    before = datetime.now(UTC) - timedelta(seconds=1)
    noticed = read(config, [STREAM], first.state).ok()
    after = datetime.now(UTC) + timedelta(seconds=2)
    later = read(config, [STREAM], noticed.state).ok()
    last = read(config, [STREAM], later.state).ok()
    events = [row for row in noticed.records[STREAM] if row["action"] == "deleted" and row["known_from"] == "event"]
    assert {row["object_id"] for row in events} >= {*told_by_events.values()}
    assert [_absent(sync) for sync in (first, noticed, last)] == [[], [], []]
    rows = _absent(later)
    assert {row["object_type"]: row["object_id"] for row in rows} == doomed
    assert len(rows) == len(doomed) == len(COMPARED)
    for row in rows:
        assert before <= datetime.fromisoformat(row["occurred"].replace("Z", "+00:00")) <= after
        assert {**row, "id": "", "occurred": "", "object_id": "", "object_type": ""} == {
            "id": "",
            "occurred": "",
            "known_from": "absence",
            "object_type": "",
            "object_id": "",
            "object_name": "doomed",
            "action": "deleted",
        }


def test_syncs_in_quick_succession_wait_for_the_events(server: PrefectServer, doomed: dict[str, str]) -> None:
    """A server writes an event seconds after the deletion: here two syncs later."""
    told = _make_one_of_each(server)
    server.wait_for_events()
    with proxy(server.url) as front:
        reader = {"connection": {"type": "server", "api_url": front.url}}
        state = read(reader, [STREAM]).ok().state
        _delete_with_events(server, told)

        def withhold(request: Request, forward: Forward) -> Answer:
            answer = forward(request)
            if request.path != "events/filter":
                return answer
            events = [event for event in answer.rows["events"] if not event["event"].endswith(".deleted")]
            return answer.with_rows({**answer.rows, "events": events})

        rows = []
        for behaviour in (withhold, withhold, pass_on, pass_on):
            front.behaviour = behaviour
            sync = read(reader, [STREAM], state).ok()
            state = sync.state
            rows += [row for row in sync.records[STREAM] if row["action"] == "deleted"]
    assert {row["object_id"]: row["known_from"] for row in rows}.items() >= dict.fromkeys(
        told.values(), "event"
    ).items()
    assert {row["known_from"] for row in rows} == {"event"}
    assert doomed


@pytest.mark.usefixtures("an_event_is_never_late")
@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_what_cannot_be_read_was_not_deleted(server: PrefectServer, doomed: dict[str, str], status: int) -> None:
    assert doomed
    with proxy(server.url) as front, impatient():
        reader = {"connection": {"type": "server", "api_url": front.url}}
        state = read(reader, [STREAM]).ok().state

        def refuse(request: Request, forward: Forward) -> Answer:
            return Answer(status, b"{}") if request.path == "work_pools/filter" else forward(request)

        for _ in range(2):
            front.behaviour = refuse
            failed = read(reader, [STREAM], state)
            assert failed.exit_code == 1
            assert not _absent(failed)
            state = failed.state
        front.behaviour = pass_on
        _assert_no_absences(reader, state)


@pytest.mark.usefixtures("an_event_is_never_late")
def test_the_objects_of_another_server_were_not_deleted(
    server: PrefectServer, config: dict[str, Any], doomed: dict[str, str]
) -> None:
    state = read(config, [STREAM]).ok().state
    _delete_without_events(server, doomed)
    with proxy(server.url) as other:
        _assert_no_absences({"connection": {"type": "server", "api_url": other.url}}, state)


@pytest.mark.usefixtures("an_event_is_never_late")
def test_a_table_that_fills_a_page_is_left_to_its_events(
    server: PrefectServer, config: dict[str, Any], doomed: dict[str, str]
) -> None:
    insert_deployments(server.database, [[]] * 250, until=datetime.now(UTC))
    first = read(config, [STREAM]).ok()
    assert sum("deployments fills a page" in line for line in first.logs) == 1
    assert len(json.dumps(first.state)) < 2_000
    _delete_without_events(server, doomed)
    second = read(config, [STREAM], first.state).ok()
    third = read(config, [STREAM], second.state).ok()
    assert {row["object_type"] for row in _absent(third)} == {*COMPARED} - {"deployment"}


def _make_one_of_each(server: PrefectServer) -> dict[str, str]:
    """Objects of the same names where these are free: the ids by type."""
    names = {row["name"] for row in server.rows("work_pools")}
    name = "told" if "doomed" in names else "doomed"
    return {
        "deployment": make_deployment(server, make_flow(server, f"flow-{name}"), name),
        "work-pool": server.post("work_pools/", {"name": name, "type": "process"})["id"],
        "concurrency-limit": server.post("v2/concurrency_limits/", {"name": name, "limit": 1})["id"],
    }


def _delete_with_events(server: PrefectServer, ids: dict[str, str]) -> None:
    server.delete(f"deployments/{ids['deployment']}")
    server.delete("work_pools/told")
    server.delete(f"v2/concurrency_limits/{ids['concurrency-limit']}")
    server.wait_for_events()


def _delete_without_events(server: PrefectServer, ids: dict[str, str]) -> None:
    """Delete the deployment with its flow, as people do, and the others as Prefect up to 3.7.2.

    Neither sends an event for them.
    """
    server.delete(f"flows/{server.get('deployments/' + ids['deployment'])['flow_id']}")
    execute(server, "DELETE FROM work_queue WHERE work_pool_id = ?", ids["work-pool"])
    execute(server, "DELETE FROM work_pool WHERE id = ?", ids["work-pool"])
    execute(server, "DELETE FROM concurrency_limit_v2 WHERE id = ?", ids["concurrency-limit"])
    server.wait_for_events()


def _assert_no_absences(config: dict[str, Any], state: State) -> None:
    """In two syncs: the first that misses an object does not report it."""
    for _ in range(2):
        sync = read(config, [STREAM], state).ok()
        assert not _absent(sync)
        state = sync.state


def _absent(sync: Sync) -> Rows:
    return [row for row in sync.records[STREAM] if row["known_from"] == "absence"]


def _state(cursor: datetime) -> State:
    state = {"occurred": f"{cursor:%FT%T.%fZ}"}
    return [{"type": "STREAM", "stream": {"stream_descriptor": {"name": STREAM}, "stream_state": state}}]


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
