"""Rows of every stream on one server, with events as old as Cloud keeps them, and older."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from devtools.data.bulk import Run, insert_flow_runs, insert_logs
from devtools.data.seeding import make_flow, make_one_of_everything, make_run, make_task_run
from devtools.servers.prefect import PrefectServer

NOW = datetime.now(UTC).replace(microsecond=0)

# Each side of what the plans keep (7, 14, 30 days), and what none of them does.
AGES = [timedelta(hours=hours) for hours in (1, 30, 6.8 * 24, 7.2 * 24, 10 * 24, 13.8 * 24, 14.2 * 24)]
AGES += [timedelta(days=days) for days in (20, 29.8, 30.2, 45)]

# The streams that are made of events: Cloud keeps them so long as its plan says.
OF_EVENTS = [
    *("events", "flow_run_state_transitions", "task_run_state_transitions"),
    *("asset_materializations", "asset_lineage"),
]


def make_month(server: PrefectServer) -> None:
    """At least a row in every stream, and an event of each kind at each of the ages."""
    flow_id = make_flow(server, "load-orders", tags=["om-source:shop.public.orders", "om-destination:dwh.mart.orders"])
    make_one_of_everything(server)
    parent = make_run(server, flow_id, "RUNNING")
    make_task_run(server, parent, "load", "RUNNING")
    insert_flow_runs(server.database, flow_id, [Run(NOW - age, NOW - age + timedelta(minutes=5)) for age in AGES])
    insert_logs(server.database, [NOW - age for age in AGES])
    server.post("work_pools/", {"name": "shop", "type": "process"})
    server.post("work_pools/shop/workers/heartbeat", {"name": "worker 1"})
    server.post("v2/concurrency_limits/", {"name": "database", "limit": 5})
    trigger = {"type": "event", "posture": "Reactive", "expect": ["shop.*"], "threshold": 1, "within": 0}
    server.post("automations/", {"name": "notify", "trigger": trigger, "actions": [{"type": "do-nothing"}]})
    server.post("events", [event for age in AGES for event in _events(NOW - age)])
    server.wait_for_events()


def transition(run: str, before: str, after: str, occurred: datetime, kind: str = "flow-run") -> dict[str, Any]:
    """The event of a run's going over from one state to another."""
    states = {"initial_state": before, "validated_state": after}
    payload = {name: {"type": state.upper(), "name": state} for name, state in states.items()}
    return _event(f"prefect.{kind}.{after}", f"prefect.{kind}.{run}", occurred, payload=payload)


def _events(occurred: datetime) -> Iterator[dict[str, Any]]:
    yield _event("shop.order.paid", "shop.order.1", occurred)
    yield transition(str(uuid4()), "Pending", "Running", occurred)
    # Without the label of Prefect's client, Prefect makes no task run of it.
    yield transition(str(uuid4()), "Running", "Observed", occurred, "task-run")
    upstream = [{"prefect.resource.id": "postgres://prod/shop/orders", "prefect.resource.role": "asset"}]
    yield _event(
        "prefect.asset.materialization.succeeded", "postgres://prod/warehouse/orders", occurred, related=upstream
    )


def _event(name: str, resource: str, occurred: datetime, **more: Any) -> dict[str, Any]:
    event = {"id": str(uuid4()), "event": name, "occurred": occurred.isoformat()}
    return {**event, "resource": {"prefect.resource.id": resource}, **more}
