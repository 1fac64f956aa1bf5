"""The pipelines of a small shop's data team, run for real: they fill a Prefect server in a few
seconds.

`PREFECT_API_URL=... python -m devtools.data.flows` runs all of them,
`python -m devtools.data.flows refresh-marts` only one. It ends when the
server has recorded what they did. Every kind of row is among them: a success, a failure, a crash,
a cancellation, retries of a flow and of a task, a subflow, mapped tasks, artifacts, variables of
every JSON type, schedules, an asset, tags that declare lineage.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from prefect import flow, tags, task
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
)
from prefect.assets import materialize
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.runtime import flow_run, task_run
from prefect.schedules import Cron, Interval, RRule
from prefect.states import Cancelled
from prefect.variables import Variable

WORK_POOL = "shop"
REGIONS = ["Köln", "Łódź", "東京"]


# load-orders: mapped tasks, a task that needs a second try, a subflow, large and nested
# parameters, tags of the run


@task(tags=["extract"])
def extract_orders(region: str) -> list[dict[str, Any]]:
    return [{"order": n, "region": region, "amount": 19.99 * n} for n in range(1, 4)]


@task(retries=2, retry_delay_seconds=[0, 1])
def write_to_warehouse(batches: list[list[dict[str, Any]]], table: str) -> int:
    if task_run.run_count == 1:
        raise ConnectionError(f"The warehouse closed the connection while {table} was written")
    return sum(len(batch) for batch in batches)


@flow(name="check-quality")
def check_quality(rows: int) -> None:
    create_table_artifact(
        key="order-checks",
        table=[{"check": "not empty", "passed": rows > 0}, {"check": "no duplicates", "passed": True}],
        description="Checks of the orders that were loaded",
    )
    create_markdown_artifact(key="order-report", markdown=f"# Orders\n\n**{rows}** rows from {', '.join(REGIONS)} ✓")


@flow(name="load-orders")
def load_orders(regions: list[str], options: dict[str, Any], order_ids: list[int]) -> int:
    batches = extract_orders.map(regions).result()
    rows = write_to_warehouse(batches, table="staging.orders")
    create_link_artifact(link="https://shop.example.com/orders", link_text="The shop's orders", key="orders-source")
    asked = f"{len(order_ids)} orders asked for, from {options.get('window')}"
    create_progress_artifact(progress=100.0, key="order-load", description=asked)
    check_quality(rows)
    return rows


# refresh-marts: an asset and what it is made from; the flow needs a second try


@materialize(
    "postgres://prod/warehouse/mart/customers",
    asset_deps=["postgres://prod/warehouse/staging/orders", "s3://shop-exports/customers.parquet"],
    by="dbt",
)
def build_customers() -> None:
    """One row per customer."""


@flow(name="refresh-marts", retries=1, retry_delay_seconds=0)
def refresh_marts() -> None:
    build_customers()
    if flow_run.run_count == 1:
        raise TimeoutError("mart.customers is locked by another session")


# sync-crm fails, train-forecast crashes


@task
def fetch_contacts(page: int) -> None:
    raise RuntimeError(f"CRM answered 503 for page {page}: „Wartungsarbeiten“")


@flow(name="sync-crm")
def sync_crm(page: int = 1) -> None:
    fetch_contacts(page)


@flow(name="train-forecast")
def train_forecast() -> None:
    # What a container that ran out of memory looks like from inside.
    raise SystemExit(137)


# How they run


def run_load_orders() -> None:
    options = {
        "window": {"from": "2026-11-01", "to": "2026-11-20", "days": [1, 2, 3]},
        "filter": {"status": ["paid", "shipped"], "min_amount": 9.5, "test orders": False, "coupon": None},
        "Größe 📦": {"a.b": {"c": [[], {}, ""]}},
    }
    with tags("nightly", "Team Ümläut"):
        load_orders(REGIONS, options, order_ids=list(range(5_000)))


def run_refresh_marts() -> None:
    refresh_marts()


def run_sync_crm() -> None:
    sync_crm(return_state=True)


def run_train_forecast() -> None:
    with contextlib.suppress(SystemExit):
        train_forecast()


class Pipeline(NamedTuple):
    run: Callable[[], None]
    # How many it makes: each attempt of the flow makes its own.
    task_runs: int


PIPELINES = {
    "load-orders": Pipeline(run_load_orders, 5),
    "refresh-marts": Pipeline(run_refresh_marts, 2),
    "sync-crm": Pipeline(run_sync_crm, 1),
    "train-forecast": Pipeline(run_train_forecast, 0),
}

AUTOMATION: dict[str, Any] = {
    "name": "pause-after-failures",
    "description": "A pipeline that fails three times within an hour needs a person",
    "trigger": {
        "type": "event",
        "posture": "Reactive",
        "expect": ["prefect.flow-run.Failed"],
        "for_each": ["prefect.resource.id"],
        "threshold": 3,
        "within": 3600,
    },
    "actions": [{"type": "do-nothing"}],
}

VARIABLES: dict[str, Any] = {
    "warehouse_schema": "staging",
    "batch_size": 500,
    "min_amount": 9.5,
    "is_frozen": False,
    "regions": REGIONS,
    "crm": {"url": "https://crm.example.com", "retries": {"max": 3, "on": [502, 503]}},
    "owner": None,
}


def deployments() -> list[RunnerDeployment]:
    return [
        RunnerDeployment.from_flow(
            load_orders,
            "nightly",
            schedules=[
                Cron("0 2 * * *", timezone="Europe/Berlin", slug="night"),
                Interval(timedelta(hours=6), anchor_date=datetime(2026, 1, 1, tzinfo=UTC)),
                RRule("FREQ=WEEKLY;BYDAY=MO;BYHOUR=5", active=False),
            ],
            parameters={"regions": REGIONS, "options": {"full": True}, "order_ids": []},
            description="Every night, all regions",
            tags=["om-source:shop.public.orders", "om-destination:warehouse.staging.orders", "nightly"],
            version="1.4.0",
            work_pool_name=WORK_POOL,
            job_variables={"env": {"LOG_LEVEL": "INFO"}},
        ),
        RunnerDeployment.from_flow(
            refresh_marts,
            "hourly",
            interval=3600,
            tags=["om-source:warehouse.staging.orders", "OM-Destination: postgres.warehouse.mart.customers "],
            concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        ),
        RunnerDeployment.from_flow(
            sync_crm,
            "weekly",
            rrule="FREQ=WEEKLY;BYDAY=SU;BYHOUR=4",
            paused=True,
            tags=["source:crm.api.contacts", "destination:warehouse.staging.contacts"],
        ),
    ]


def set_up() -> None:
    """Variables, an automation, a tagged flow, scheduled deployments, a run cancelled early."""
    for name, value in VARIABLES.items():
        Variable.set(name, value, tags=["shop"], overwrite=True)
    with get_client(sync_client=True) as client:
        # Python cannot give a flow tags; a deployment by the API can.
        tagged = {"name": "train-forecast", "tags": ["om-source:warehouse.mart.customers"]}
        client.request("POST", "/flows/", json=tagged)
        client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process"), overwrite=True)
        if not client.read_automations_by_name(AUTOMATION["name"]):
            client.request("POST", "/automations/", json=AUTOMATION)
        for deployment in deployments():
            deployment.apply()
        run = client.create_flow_run_from_deployment(
            client.read_deployment_by_name("sync-crm/weekly").id, name="sync-crm-maintenance", tags=["manual"]
        )
        client.set_flow_run_state(run.id, Cancelled(message="The CRM is down for maintenance"))


def main(names: Sequence[str]) -> None:
    """Run the named flows; without names all of them, after setting up what is around them."""
    if not names:
        set_up()
    chosen = [PIPELINES[name] for name in names or PIPELINES]
    with get_client(sync_client=True) as client:
        expected = ended_task_runs(client) + sum(pipeline.task_runs for pipeline in chosen)
        for pipeline in chosen:
            pipeline.run()
        deadline = time.monotonic() + 60
        while (recorded := ended_task_runs(client)) < expected:
            if time.monotonic() > deadline:
                sys.exit(f"Of {expected} task runs, the server has recorded the end of {recorded}.")
            time.sleep(0.2)


def ended_task_runs(client: SyncPrefectClient) -> int:
    """The server records task runs and their states from events, up to some seconds later."""
    body = {"task_runs": {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]}}}}
    count: int = client.request("POST", "/task_runs/count", json=body).json()
    return count


if __name__ == "__main__":
    main(sys.argv[1:])
