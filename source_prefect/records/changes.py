"""Who created, changed or deleted what, and when: rows made of Prefect's events."""

import uuid
from collections.abc import Iterator

from source_prefect.paging import Row
from source_prefect.records.event_labels import ID, NAME, bare_id, labels, related

# On a server, the other events of an object report its health (`ready`, `not-ready`) or work
# (`triggered`).
_SERVER_ACTIONS = frozenset({"created", "updated", "deleted", "paused"})

# Prefect Cloud also sends events of its own work under these names: no changes, and possibly many.
_NO_CHANGES = ("prefect-cloud.automation.action.", "prefect-cloud.webhook.received", "prefect-cloud.webhook.failed",
               "prefect-cloud.managed-execution.", "prefect-cloud.request.")  # fmt: skip
_NO_CHANGE_ACTIONS = frozenset({"triggered", "resolved", "executed", "logged-in", "logged-out"})

# The namespace of the ids of changed fields: another one would give every row a new id.
_CHANGES = uuid.UUID("c1d5b0a3-6c2f-4c0b-8a55-1f5f6f3f9c77")


def changes(event: Row) -> Iterator[Row]:
    """The changes that an event reports: one row for each changed field, or one for the whole
    object.

    Events of deployments, work pools and work queues hold each field before and after. The others
    hold the object after its creation or change, or before its deletion.
    """
    object_type, action = _object_and_action(str(event.get("event") or ""))
    if not action:
        return
    resource, payload = labels(event.get("resource")), labels(event.get("payload"))
    # Only Prefect Cloud names one.
    actor = next(iter(related(event, "actor") + related(event, "creator")), {})
    row = {
        "id": event.get("id"),
        "occurred": event.get("occurred"),
        "received": event.get("received"),
        "known_from": event.get("known_from", "event"),
        "event_id": None if "known_from" in event else event.get("id"),
        "object_type": object_type,
        "object_id": bare_id(resource),
        "object_name": resource.get(NAME),
        "action": action,
        "actor_id": bare_id(actor),
        "actor_type": _type(actor),
        "actor_name": actor.get(NAME),
        **dict.fromkeys(("field", "before", "after")),
    }
    updates = labels(payload.get("updates"))
    if not updates:
        yield {**row, "before" if action == "deleted" else "after": payload or None}
    for field, values in sorted(updates.items()):
        values = labels(values)
        field_id = str(uuid.uuid5(_CHANGES, f"{event.get('id')} {field}"))
        yield {**row, "id": field_id, "field": field, "before": values.get("from"), "after": values.get("to")}


def deletion(object_type: str, object_id: str, name: str | None, noticed: str) -> Row:
    """What stands for the event of a deletion that Prefect sent none of."""
    return {
        "id": str(uuid.uuid5(_CHANGES, f"{object_id} deleted")),
        "occurred": noticed,
        "event": f"prefect.{object_type}.deleted",
        "resource": {ID: f"prefect.{object_type}.{object_id}", NAME: name},
        "known_from": "absence",
    }


def _object_and_action(name: str) -> tuple[str, str]:
    """`deployment`, `updated` of `prefect.deployment.updated`. No action without a change."""
    family, object_type, action = [*name.split(".", 2), "", ""][:3]
    is_of_server = family == "prefect" and action in _SERVER_ACTIONS
    is_of_cloud = family == "prefect-cloud" and not name.startswith(_NO_CHANGES) and action not in _NO_CHANGE_ACTIONS
    return object_type, action if is_of_server or is_of_cloud else ""


def _type(resource: Row) -> str | None:
    """`user` of `prefect-cloud.user.<UUID>`."""
    identifier = resource.get(ID)
    parts = identifier.split(".") if isinstance(identifier, str) else []
    return parts[1] if len(parts) > 2 else None
