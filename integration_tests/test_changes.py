"""The changes that a real server reports: the shapes of its events are Prefect's, not ours."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from devtools.bulk import insert_events
from devtools.connector import State
from devtools.connector import read_here as read
from devtools.proxy import proxy
from devtools.server import PrefectServer
from integration_tests.seeding import make_deployment, make_flow

STREAM = "change_log"
# A row that the server ingested so long before the cursor may not have been persisted yet.
PERSISTING = timedelta(minutes=15)

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def events(server: PrefectServer) -> Rows:
    """The events of a server on which people have changed objects of every kind, in the order of time."""
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
    # A set: of a request that met a locked database and was made again, the server has sent the event before.
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
            "event_id": event["id"],
            "object_type": name.split(".")[1],
            "object_id": resource["prefect.resource.id"].removeprefix(name.rpartition(".")[0] + "."),
            "object_name": resource["prefect.resource.name"],
            "action": name.split(".")[2],
            **more,
        }


def test_no_more_is_asked_for_than_changes(server: PrefectServer, events: Rows) -> None:
    """The health of deployments and pools, and what automations do, are many events and no changes."""
    with proxy(server.url) as counted:
        config = {"connection": {"type": "server", "api_url": counted.url}}
        told = {row["event_id"] for row in read(config, [STREAM]).ok().records[STREAM]}
    [request] = counted.log
    asked = server.post("events/filter", {**request.body, "limit": 50})["events"]
    assert {event["id"] for event in asked} == told
    assert len(told) < len(events)


def test_the_boundary_is_inclusive(server: PrefectServer, config: dict[str, Any]) -> None:
    cursor = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(hours=6)
    boundary, millisecond = cursor - PERSISTING, timedelta(milliseconds=1)
    before, at, after = (
        insert_events(server.database, [time], event="prefect.flow.updated")
        for time in (boundary - millisecond, boundary, boundary + millisecond)
    )
    ids = read(config, [STREAM], _state(cursor)).ok().ids(STREAM)
    assert {*at, *after} <= set(ids)
    assert not {*before} & set(ids)


def _state(cursor: datetime) -> State:
    state = {"occurred": f"{cursor:%FT%T.%fZ}"}
    return [{"type": "STREAM", "stream": {"stream_descriptor": {"name": STREAM}, "stream_state": state}}]


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
