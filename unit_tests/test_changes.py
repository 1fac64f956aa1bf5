from typing import Any

import pytest

from source_prefect.records.changes import PREFIXES, changes, deletions

FLOW = {"prefect.resource.id": "prefect.flow.f", "prefect.resource.name": "load", "prefect.resource.role": "flow"}


def event(name: str, payload: Any = None, *related: dict[str, str], resource: str = "") -> dict[str, Any]:
    """An event as a Prefect server of 3.8.8 sends it."""
    return {
        "id": "event",
        "occurred": "2026-11-24T11:38:07.598402Z",
        "received": "2026-11-24T11:38:07.650000Z",
        "event": name,
        "resource": {
            "prefect.resource.id": resource or f"{name.rpartition('.')[0]}.d4711f6e",
            "prefect.resource.name": "nightly",
        },
        "related": [FLOW, *related],
        "payload": payload or {},
    }


def told(event: dict[str, Any], *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in changes(event)]


def test_each_changed_field_of_a_deployment_is_a_row() -> None:
    updates = {"tags": {"from": ["x"], "to": ["y"]}, "description": {"from": None, "to": "new"}}
    updated = event("prefect.deployment.updated", {"updated_fields": ["description", "tags"], "updates": updates})
    assert told(updated, "object_type", "object_id", "object_name", "action", "field", "before", "after") == [
        ("deployment", "d4711f6e", "nightly", "updated", "description", None, "new"),
        ("deployment", "d4711f6e", "nightly", "updated", "tags", ["x"], ["y"]),
    ]
    ids = [row["id"] for row in changes(updated)]
    assert len({*ids, "event"}) == 3
    assert [row["id"] for row in changes(updated)] == ids


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [("created", None, {"limit": 4}), ("updated", None, {"limit": 4}), ("deleted", {"limit": 4}, None)],
)
def test_other_objects_tell_how_they_were_or_are(action: str, before: Any, after: Any) -> None:
    changed = event(f"prefect.concurrency-limit.{action}", {"limit": 4})
    assert told(changed, "object_type", "action", "field", "before", "after") == [
        ("concurrency-limit", action, None, before, after)
    ]


def test_a_row_tells_when_and_by_which_event() -> None:
    created = event("prefect.deployment.created")
    assert told(created, "id", "occurred", "received", "event_id", "known_from", "actor_id", "before", "after") == [
        ("event", "2026-11-24T11:38:07.598402Z", "2026-11-24T11:38:07.650000Z", "event", "event", None, None, None)
    ]


def test_prefect_cloud_tells_who_did_it() -> None:
    who = {
        "prefect.resource.id": "prefect-cloud.user.80546602",
        "prefect.resource.role": "actor",
        "prefect.resource.name": "ana",
    }
    added = event("prefect-cloud.workspace-access.created", None, who)
    assert told(added, "object_type", "action", "actor_id", "actor_type", "actor_name") == [
        ("workspace-access", "created", "80546602", "user", "ana")
    ]


@pytest.mark.parametrize(
    "name",
    [
        "prefect.deployment.ready",
        "prefect.work-pool.not-ready",
        "prefect.automation.triggered",
        "prefect.flow-run.Completed",
        "prefect.artifact.created",
        "prefect-cloud.automation.action.executed",
        "prefect-cloud.webhook.received",
        "prefect-cloud.user.logged-in",
        "prefect-cloud",
        "shop.order.updated",
        "",
    ],
)
def test_what_is_no_change_has_no_row(name: str) -> None:
    assert list(changes(event(name))) == []


@pytest.mark.parametrize("broken", [{}, {"resource": 7, "related": "x", "payload": [1]}])
def test_a_broken_event_does_not_stop_the_stream(broken: dict[str, Any]) -> None:
    assert told({"id": "event", "event": "prefect.variable.created", **broken}, "id", "object_id", "after") == [
        ("event", None, None)
    ]


def test_what_is_missing_from_a_whole_table_was_deleted() -> None:
    known = {"a": "nightly", "d4711f6e": "hourly"}
    (row,) = deletions("deployment", known, {"a": None}, "2026-11-25T00:00:00Z")
    columns = ("object_id", "object_name", "action", "known_from", "occurred")
    assert [row[column] for column in columns] == ["d4711f6e", "hourly", "deleted", "table", "2026-11-25T00:00:00Z"]
    # A destination merges it with what the event tells.
    (by_event,) = changes(event("prefect.deployment.deleted"))
    assert by_event["id"] == row["id"]
    assert by_event.keys() == row.keys()


def test_the_prefixes_ask_for_the_objects_and_no_others() -> None:
    assert "prefect.flow." in PREFIXES
    assert not "prefect.flow-run.Completed".startswith(PREFIXES)
    assert "prefect-cloud.user.updated".startswith(PREFIXES)
