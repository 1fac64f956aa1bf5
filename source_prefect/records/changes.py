"""Who created, changed or deleted what, and when: rows made of Prefect's events, and of tables that are read whole."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

Row = dict[str, Any]

# The objects whose events tell of changes. On Prefect Cloud the audit log adds `prefect-cloud.<object>.<action>`.
OBJECTS = (
    "automation",
    "block-document",
    "block-schema",
    "block-type",
    "concurrency-limit",
    "deployment",
    "flow",
    "variable",
    "work-pool",
    "work-queue",
)
PREFIXES = (*(f"prefect.{kind}." for kind in OBJECTS), "prefect-cloud.")

# On a server, the other events of these objects tell of their health (`ready`, `not-ready`) or work (`triggered`).
_SERVER_ACTIONS = frozenset({"created", "updated", "deleted", "paused"})

# Prefect Cloud also sends events of its own work in this way: they are no changes, and there may be many.
_NO_CHANGES = ("prefect-cloud.automation.action.", "prefect-cloud.webhook.received", "prefect-cloud.webhook.failed",
               "prefect-cloud.managed-execution.", "prefect-cloud.request.")  # fmt: skip
_NO_CHANGE_ACTIONS = frozenset({"triggered", "resolved", "executed", "logged-in", "logged-out"})

# The ids of rows that are not those of their events rest on it: with another one each would be a new row.
_CHANGES = uuid.UUID("c1d5b0a3-6c2f-4c0b-8a55-1f5f6f3f9c77")


def changes(event: Row) -> Iterator[Row]:
    """The changes that an event tells of: one row for each changed field, or one for the whole object.

    Deployments, work pools and work queues tell each field's value before and after. The others tell how the object
    is after its creation or change, or was before its deletion.
    """
    split = _object_and_action(str(event.get("event") or ""))
    if split is None:
        return
    object_type, action = split
    resource, payload = _mapping(event.get("resource")), _mapping(event.get("payload"))
    object_id = _bare_id(resource.get("prefect.resource.id"))
    actor = _actor(event)
    row = {
        "id": deletion_id(object_type, object_id) if action == "deleted" and object_id else event.get("id"),
        "occurred": event.get("occurred"),
        "received": event.get("received"),
        "event_id": event.get("id"),
        "known_from": "event",
        "object_type": object_type,
        "object_id": object_id,
        "object_name": resource.get("prefect.resource.name"),
        "action": action,
        "actor_id": _bare_id(actor.get("prefect.resource.id")),
        "actor_type": _type(actor.get("prefect.resource.id")),
        "actor_name": actor.get("prefect.resource.name"),
        "field": None,
        "before": None,
        "after": None,
    }
    updates = _mapping(payload.get("updates"))
    if not updates:
        yield {**row, "before" if action == "deleted" else "after": payload or None}
    for field, values in sorted(updates.items()):
        values = _mapping(values)
        field_id = str(uuid.uuid5(_CHANGES, f"{event.get('id')} {field}"))
        yield {**row, "id": field_id, "field": field, "before": values.get("from"), "after": values.get("to")}


def deletions(object_type: str, known: Mapping[str, str | None], there: Mapping[str, Any], at: str) -> Iterator[Row]:
    """The objects that an earlier sync has read from a table, and that are not there when it is read whole again.

    `known` holds the names by id. `at` is when they were missed: when they were deleted, only an event tells. The row
    has the same id as that of the event, so that a destination merges the two.
    """
    for object_id in sorted(known.keys() - there.keys()):
        yield {
            "id": deletion_id(object_type, object_id),
            "occurred": at,
            "received": at,
            "event_id": None,
            "known_from": "table",
            "object_type": object_type,
            "object_id": object_id,
            "object_name": known[object_id],
            "action": "deleted",
            "actor_id": None,
            "actor_type": None,
            "actor_name": None,
            "field": None,
            "before": None,
            "after": None,
        }


def deletion_id(object_type: str, object_id: str) -> str:
    """The id of the row that tells of an object's end: there is only one, whichever way it became known."""
    return str(uuid.uuid5(_CHANGES, f"deleted {object_type} {object_id}"))


def _object_and_action(name: str) -> tuple[str, str] | None:
    """`deployment`, `updated` of `prefect.deployment.updated`; None where the event tells of no change."""
    family, _, rest = name.partition(".")
    object_type, _, action = rest.partition(".")
    if family == "prefect":
        return (object_type, action) if object_type in OBJECTS and action in _SERVER_ACTIONS else None
    if family != "prefect-cloud" or not action or name.startswith(_NO_CHANGES):
        return None
    return None if action in _NO_CHANGE_ACTIONS else (object_type, action)


def _actor(event: Row) -> Row:
    """Whom the event names as the one who did it, as Prefect Cloud does; nobody on a server."""
    related = event.get("related")
    for role in ("actor", "creator"):
        for resource in related if isinstance(related, list) else ():
            if isinstance(resource, dict) and resource.get("prefect.resource.role") == role:
                return resource
    return {}


def _mapping(value: Any) -> Row:
    return value if isinstance(value, dict) else {}


def _bare_id(resource_id: Any) -> str | None:
    """The UUID at the end of `prefect.deployment.<UUID>`."""
    return resource_id.rpartition(".")[2] if isinstance(resource_id, str) else None


def _type(resource_id: Any) -> str | None:
    """`user` of `prefect-cloud.user.<UUID>`."""
    parts = resource_id.split(".") if isinstance(resource_id, str) else []
    return parts[1] if len(parts) > 2 else None
