from typing import Any

import pytest

from source_prefect.records.changes import changes, deletion

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
    assert told(created, "id", "occurred", "received", "known_from", "event_id", "actor_id", "before", "after") == [
        ("event", "2026-11-24T11:38:07.598402Z", "2026-11-24T11:38:07.650000Z", "event", "event", None, None, None)
    ]


def test_a_deletion_that_prefect_sent_no_event_of_is_a_row_too() -> None:
    gone = deletion("work-pool", "d4711f6e", "nightly", "2026-11-24T12:00:00.000000Z")
    [row] = changes(gone)
    assert {column: value for column, value in row.items() if value is not None} == {
        "id": gone["id"],
        "occurred": "2026-11-24T12:00:00.000000Z",
        "known_from": "absence",
        "object_type": "work-pool",
        "object_id": "d4711f6e",
        "object_name": "nightly",
        "action": "deleted",
    }
    assert deletion("work-pool", "d4711f6e", None, "later")["id"] == gone["id"]
    assert deletion("work-pool", "another", "nightly", "later")["id"] != gone["id"]


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


def test_an_action_of_prefect_cloud_may_have_several_words() -> None:
    invited = event("prefect-cloud.workspace-access.invitation.email.sent", resource="prefect-cloud.workspace.d4711f6e")
    assert told(invited, "object_type", "action") == [("workspace-access", "invitation.email.sent")]


@pytest.mark.parametrize("identifier", ["prefect-cloud.user", "ana", None])
def test_an_actor_without_an_id_of_the_usual_form_has_no_type(identifier: str | None) -> None:
    who: dict[str, Any] = {"prefect.resource.id": identifier, "prefect.resource.role": "actor"}
    assert told(event("prefect-cloud.user.updated", None, who), "actor_type") == [(None,)]


@pytest.mark.parametrize(
    "name",
    [
        "prefect.deployment.ready",
        "prefect.work-pool.not-ready",
        "prefect.automation.triggered",
        "prefect.flow-run.Completed",
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
