"""Prefect's events as rows: the feed itself, and the tables that are made from it."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from source_prefect.paging import Row
from source_prefect.records.asset_keys import split_key
from source_prefect.records.changes import changes
from source_prefect.records.event_labels import ID, NAME, bare_id, labels, related

MATERIALIZATION = "prefect.asset.materialization."

# The namespace of the ids of observed edges: another one would give every row a new id.
_EDGES = uuid.UUID("0d3f5a52-2f0c-4c58-9a44-5b8e1f6f7c21")


def events(event: Row) -> Iterator[Row]:
    """An unchanged event, with the id and the name of its resource as columns."""
    resource = labels(event.get("resource"))
    yield {**event, "resource_id": resource.get(ID), "resource_name": resource.get(NAME)}


def state_transitions(event: Row) -> Iterator[Row]:
    """The change of a flow run's state."""
    for row in _transition(event, "flow_run"):
        yield row | _around(event, ("flow", "deployment", "work_queue", "work_pool"))


def task_state_transitions(event: Row) -> Iterator[Row]:
    """The change of a task run's state. Prefect's client reports it; the run is the payload."""
    task_key = labels(labels(event.get("payload")).get("task_run")).get("task_key")
    for row in _transition(event, "task_run"):
        yield row | {"task_key": task_key} | _around(event, ("flow_run", "flow", "deployment"))


def materializations(event: Row) -> Iterator[Row]:
    """The materialization of an asset, successful or not."""
    resource = labels(event.get("resource"))
    yield {
        **_materialization(event),
        **_key("asset", str(resource.get(ID) or "")),
        "asset_name": resource.get(NAME),
        "asset_description": resource.get("prefect.asset.description"),
        "asset_url": resource.get("prefect.asset.url"),
        "asset_owners": resource.get("prefect.asset.owners"),
        "upstream_assets": list(_upstream(event)),
        "metadata": event.get("payload") or {},
        "tags": _tags(event),
    }


def asset_edges(event: Row) -> Iterator[Row]:
    """One row for each asset that an asset was made from; none where it was made from none."""
    destination = str(labels(event.get("resource")).get(ID) or "")
    for source in _upstream(event):
        yield {
            **_materialization(event),
            "id": str(uuid.uuid5(_EDGES, f"{event.get('id')} {source}")),
            "materialization_id": event.get("id"),
            **_key("source", source),
            **_key("destination", destination),
        }


# By their names in the manifest.
ROWS_OF_AN_EVENT: dict[str, Callable[[Row], Iterator[Row]]] = {
    rows.__name__: rows
    for rows in (events, state_transitions, task_state_transitions, materializations, asset_edges, changes)
}


def _transition(event: Row, run: str) -> Iterator[Row]:
    """The change of a run's state, where the event reports one: heartbeats and others do not."""
    payload, resource = labels(event.get("payload")), labels(event.get("resource"))
    if not isinstance(payload.get("validated_state"), dict):
        return
    run_count = resource.get("prefect.run-count")
    yield {
        "id": event.get("id"),
        "occurred": event.get("occurred"),
        "received": event.get("received"),
        f"{run}_id": bare_id(resource),
        f"{run}_name": resource.get(NAME),
        "run_count": int(run_count) if isinstance(run_count, str) and run_count.isdecimal() else None,
        **_state("from", payload.get("initial_state")),
        **_state("to", payload.get("validated_state")),
        "follows": event.get("follows"),
        "tags": _tags(event),
    }


def _materialization(event: Row) -> Row:
    """When an asset was materialized, with what result, by which run and tool."""
    return {
        "id": event.get("id"),
        "occurred": event.get("occurred"),
        "received": event.get("received"),
        "result": str(event.get("event")).removeprefix(MATERIALIZATION),
        "materialized_by": next((r.get(ID) for r in related(event, "asset-materialized-by")), None),
        **_around(event, ("flow_run", "task_run", "flow", "deployment")),
    }


def _upstream(event: Row) -> list[str]:
    """The keys of the assets that an asset was made from, each once."""
    return sorted({str(resource.get(ID)) for resource in related(event, "asset")})


def _key(side: str, key: str) -> Row:
    asset = split_key(key)
    return {side: key, f"{side}_scheme": asset.scheme, f"{side}_table": asset.name, f"{side}_parts": asset.parts}


def _state(side: str, state: Any) -> Row:
    return {f"{side}_state_{field}": labels(state).get(field) for field in ("type", "name", "message")}


def _around(event: Row, objects: Iterable[str]) -> Row:
    """Id and name of each of these objects; null where the event names none."""
    row: Row = {}
    for kind in objects:
        resource = next(iter(related(event, kind.replace("_", "-"))), {})
        row[f"{kind}_id"] = bare_id(resource)
        row[f"{kind}_name"] = resource.get(NAME)
    return row


def _tags(event: Row) -> list[str]:
    return [str(resource.get(ID)).removeprefix("prefect.tag.") for resource in related(event, "tag")]
