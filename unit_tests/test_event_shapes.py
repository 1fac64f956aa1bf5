"""The rows that events become. The events are those of a Prefect Server 3.8.8, as they came."""

from typing import Any

from source_prefect.records.event_rows import (
    asset_edges,
    events,
    materializations,
    state_transitions,
    task_state_transitions,
)

RUN, FLOW, DEPLOYMENT = "a2402d0e-d2ff-4cce-9e9b-1ecf50622d7d", "bfedfffe-3f02-429b-9a98-4146e1bd223a", "8b284f3f-83f1"
TASK_RUN = "01a1f8bc-1e67-747f-b5ab-e330d2d71f14"


def related(kind: str, identifier: str, name: str) -> dict[str, str]:
    return {
        "prefect.resource.id": f"prefect.{kind}.{identifier}",
        "prefect.resource.role": kind,
        "prefect.resource.name": name,
    }


FAILED: dict[str, Any] = {
    "id": "01a1f8c2-f5f2-7e9d-bf93-d63d41583e63",
    "occurred": "2026-11-20T11:41:28.946025Z",
    "received": "2026-11-20T11:41:28.954778Z",
    "event": "prefect.flow-run.Failed",
    "resource": {
        "prefect.resource.id": f"prefect.flow-run.{RUN}",
        "prefect.resource.name": "amiable-mackerel",
        "prefect.run-count": "2",
        "prefect.state-message": "boom",
        "prefect.state-name": "Failed",
        "prefect.state-timestamp": "2026-11-20T11:41:28.946025+00:00",
        "prefect.state-type": "FAILED",
    },
    "related": [
        related("flow", FLOW, "load-orders"),
        related("deployment", DEPLOYMENT, "nightly"),
        related("work-queue", "c648d95b", "default"),
        {**related("work-pool", "677cdf97", "shop"), "prefect.work-pool.type": "process"},
        {"prefect.resource.id": "prefect.tag.team.data", "prefect.resource.role": "tag"},
    ],
    "payload": {
        "intended": {"from": "RUNNING", "to": "FAILED"},
        "initial_state": {"type": "RUNNING", "name": "Retrying"},
        "validated_state": {"type": "FAILED", "name": "Failed", "message": "boom"},
    },
    "follows": "01a1f8c2-f5cd-7493-bd76-7f46d7c6db6c",
}

MATERIALIZED: dict[str, Any] = {
    "id": "01a1f8bc-1e69-7bad-96a1-9111fdbcd31e",
    "occurred": "2026-11-20T11:34:00.553376Z",
    "received": "2026-11-20T11:34:00.628810Z",
    "event": "prefect.asset.materialization.succeeded",
    "resource": {
        "prefect.resource.id": "postgres://prod/warehouse/mart/customers",
        "prefect.resource.name": "Customers",
        "prefect.asset.description": "One row per customer",
        "prefect.asset.url": "https://shop.example.com/customers",
        "prefect.asset.owners": '["data"]',
    },
    "related": [
        {"prefect.resource.id": "s3://lake/customers.parquet", "prefect.resource.role": "asset"},
        {"prefect.resource.id": "postgres://prod/warehouse/staging/orders", "prefect.resource.role": "asset"},
        {"prefect.resource.id": "dbt", "prefect.resource.role": "asset-materialized-by"},
        related("flow-run", RUN, "amiable-mackerel"),
        related("task-run", TASK_RUN, "build_customers-ab0"),
        related("flow", FLOW, "refresh-marts"),
    ],
    "payload": {"rows": 5},
    "follows": None,
}


def test_an_event_keeps_all_it_has_and_names_its_resource() -> None:
    assert list(events(FAILED)) == [
        {**FAILED, "resource_id": f"prefect.flow-run.{RUN}", "resource_name": "amiable-mackerel"}
    ]


def test_a_change_of_state_is_a_row() -> None:
    assert list(state_transitions(FAILED)) == [
        {
            "id": FAILED["id"],
            "occurred": "2026-11-20T11:41:28.946025Z",
            "received": "2026-11-20T11:41:28.954778Z",
            "flow_run_id": RUN,
            "flow_run_name": "amiable-mackerel",
            "run_count": 2,
            "from_state_type": "RUNNING",
            "from_state_name": "Retrying",
            "from_state_message": None,
            "to_state_type": "FAILED",
            "to_state_name": "Failed",
            "to_state_message": "boom",
            "follows": "01a1f8c2-f5cd-7493-bd76-7f46d7c6db6c",
            "flow_id": FLOW,
            "flow_name": "load-orders",
            "deployment_id": DEPLOYMENT,
            "deployment_name": "nightly",
            "work_queue_id": "c648d95b",
            "work_queue_name": "default",
            "work_pool_id": "677cdf97",
            "work_pool_name": "shop",
            "tags": ["team.data"],
        }
    ]


def test_a_change_of_state_of_a_task_run_is_a_row() -> None:
    """Prefect's client reports it, with the task run as the payload."""
    of_task = {
        **FAILED,
        "event": "prefect.task-run.Failed",
        "resource": {
            "prefect.resource.id": f"prefect.task-run.{TASK_RUN}",
            "prefect.resource.name": "build_customers-ab0",
            "prefect.run-count": "one",
        },
        "related": [related("flow-run", RUN, "amiable-mackerel"), related("flow", FLOW, "load-orders")],
        "payload": {**FAILED["payload"], "task_run": {"task_key": "build_customers-f1e2"}},
    }
    assert list(task_state_transitions(of_task)) == [
        {
            "id": FAILED["id"],
            "occurred": "2026-11-20T11:41:28.946025Z",
            "received": "2026-11-20T11:41:28.954778Z",
            "task_run_id": TASK_RUN,
            "task_run_name": "build_customers-ab0",
            "run_count": None,
            "from_state_type": "RUNNING",
            "from_state_name": "Retrying",
            "from_state_message": None,
            "to_state_type": "FAILED",
            "to_state_name": "Failed",
            "to_state_message": "boom",
            "follows": "01a1f8c2-f5cd-7493-bd76-7f46d7c6db6c",
            "task_key": "build_customers-f1e2",
            "flow_run_id": RUN,
            "flow_run_name": "amiable-mackerel",
            "flow_id": FLOW,
            "flow_name": "load-orders",
            "deployment_id": None,
            "deployment_name": None,
            "tags": [],
        }
    ]
    [row] = task_state_transitions({**of_task, "payload": FAILED["payload"]})
    assert row["task_key"] is None


def test_the_first_state_comes_from_nothing() -> None:
    payload = {**FAILED["payload"], "initial_state": None}
    [row] = state_transitions({**FAILED, "payload": payload, "follows": None})
    assert (row["from_state_type"], row["from_state_name"], row["follows"]) == (None, None, None)


def test_what_is_no_change_of_state_gives_no_row() -> None:
    heartbeat = {**FAILED, "event": "prefect.flow-run.heartbeat", "payload": {}}
    assert list(state_transitions(heartbeat)) == []


def test_a_materialization_is_a_row() -> None:
    assert list(materializations(MATERIALIZED)) == [
        {
            "id": MATERIALIZED["id"],
            "occurred": "2026-11-20T11:34:00.553376Z",
            "received": "2026-11-20T11:34:00.628810Z",
            "result": "succeeded",
            "asset": "postgres://prod/warehouse/mart/customers",
            "asset_scheme": "postgres",
            "asset_table": "prod.warehouse.mart.customers",
            "asset_parts": ["prod", "warehouse", "mart", "customers"],
            "asset_name": "Customers",
            "asset_description": "One row per customer",
            "asset_url": "https://shop.example.com/customers",
            "asset_owners": '["data"]',
            "upstream_assets": ["postgres://prod/warehouse/staging/orders", "s3://lake/customers.parquet"],
            "materialized_by": "dbt",
            "metadata": {"rows": 5},
            "flow_run_id": RUN,
            "flow_run_name": "amiable-mackerel",
            "task_run_id": TASK_RUN,
            "task_run_name": "build_customers-ab0",
            "flow_id": FLOW,
            "flow_name": "refresh-marts",
            "deployment_id": None,
            "deployment_name": None,
            "tags": [],
        }
    ]


def test_each_upstream_asset_is_an_edge() -> None:
    first, second = asset_edges(MATERIALIZED)
    assert first == {
        "id": "edff2bb4-25f2-562e-bfc8-febd7c91201c",
        "materialization_id": MATERIALIZED["id"],
        "occurred": "2026-11-20T11:34:00.553376Z",
        "received": "2026-11-20T11:34:00.628810Z",
        "result": "succeeded",
        "source": "postgres://prod/warehouse/staging/orders",
        "source_scheme": "postgres",
        "source_table": "prod.warehouse.staging.orders",
        "source_parts": ["prod", "warehouse", "staging", "orders"],
        "destination": "postgres://prod/warehouse/mart/customers",
        "destination_scheme": "postgres",
        "destination_table": "prod.warehouse.mart.customers",
        "destination_parts": ["prod", "warehouse", "mart", "customers"],
        "materialized_by": "dbt",
        "flow_run_id": RUN,
        "flow_run_name": "amiable-mackerel",
        "task_run_id": TASK_RUN,
        "task_run_name": "build_customers-ab0",
        "flow_id": FLOW,
        "flow_name": "refresh-marts",
        "deployment_id": None,
        "deployment_name": None,
    }
    assert (second["source"], second["destination"]) == ("s3://lake/customers.parquet", first["destination"])
    assert second["id"] != first["id"]


def test_an_asset_that_is_made_from_nothing_has_no_edge() -> None:
    assert list(asset_edges({**MATERIALIZED, "related": []})) == []


def test_a_strange_event_is_passed_on() -> None:
    strange: dict[str, Any] = {"id": "1", "event": None, "resource": None, "related": "?", "payload": []}
    assert list(events(strange)) == [{**strange, "resource_id": None, "resource_name": None}]
    assert list(state_transitions(strange)) == list(task_state_transitions(strange)) == []
    assert [row["asset"] for row in materializations(strange)] == [""]
