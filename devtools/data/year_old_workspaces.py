"""Two workspaces after a year, as the tables of a sync: what time brings to figures that were
right at first.

Flows and deployments that are gone, paused or made again under their names, lineage on another
level than the runs, workspaces with the same names, buckets with the same paths, servers that were
older than they are now. It is Sunday noon.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain

from devtools.data.made_up_rows import (
    DAY,
    HOUR,
    change,
    declared_edge,
    deployment,
    every,
    flow,
    materialization,
    planned,
    run,
    schedule,
)
from devtools.data.tables import Row, Tables

NOW = datetime(2026, 11, 22, 12)
LONG_AGO = NOW - 90 * DAY
# The younger workspace was made then.
CRM_SINCE = NOW - 5 * DAY

Rows = Iterator[tuple[str, Row]]


def aged() -> Tables:
    tables: dict[str, list[Row]] = defaultdict(list)
    stories = chain(_gone(), _levels(), _twins(), _buckets(), _weekdays(), _old_servers(), _subflows(), _last_words())
    for table, row in stories:
        tables[table].append({"workspace_id": "shop", **row, "_airbyte_extracted_at": NOW})
    tables["workspaces"] = [{"id": "shop", "name": "Shop", "workspace_id": "shop"},
                            {"id": "crm", "name": "CRM", "workspace_id": "crm"},
                            {"id": "lab", "name": "Lab", "workspace_id": "lab"}]  # fmt: skip
    return tables


def _gone() -> Rows:
    """What failed and will not run again, and beside it what will."""
    # Deleted and made again under its name: one has succeeded since, the other has not.
    for name, state in (("remade", "COMPLETED"), ("remade-in-vain", "FAILED")):
        yield "flows", flow(name)
        for age, number in ((60, "first"), (4, "second")):
            yield "deployments", deployment(name, id=f"{name}-{number}", created=NOW - age * DAY)
        yield "flow_runs", run(name, NOW - 5 * DAY, state="FAILED", deployment_id=f"{name}-first")
        yield "flow_runs", run(name, NOW - 3 * DAY, state=state, deployment_id=f"{name}-second")
    # A flow that was registered a second time.
    for age, number, state in ((60, "first", "FAILED"), (4, "second", "COMPLETED")):
        yield "flows", flow("registered-again", id=f"registered-{number}", created=NOW - age * DAY)
        yield "flow_runs", run(f"registered-{number}", NOW - age * DAY, state=state, deployment=False)

    states: list[tuple[str, Row, Row | None]] = [
        ("deleted", {}, None),
        ("deleted-with-its-flow", {}, None),
        ("paused", {"paused": True}, None),
        # What goes on to fail after it was paused is not run by a schedule.
        ("paused-but-run", {"paused": True, "updated": NOW - 20 * DAY}, None),
        ("unscheduled", {}, {"is_active": False}),
        ("scheduled", {}, {"is_active": True}),
    ]
    for name, columns, plan in states:
        yield "flows", flow(name)
        yield "deployments", deployment(name, **columns)
        if plan:
            yield "deployment_schedules", schedule(name, schedule_cron="0 6 1 * *", updated=LONG_AGO, **plan)
        yield "flow_runs", run(name, NOW - 6 * DAY)
        yield "flow_runs", run(name, NOW - 5 * DAY, state="FAILED", auto_scheduled=name != "paused-but-run")
    gone: Row = {"action": "deleted", "field": None}
    yield "change_log", change("gone", NOW - 4 * DAY, "deleted-deployment", **gone)
    yield "change_log", change("gone-too", NOW - 4 * DAY, "deleted-with-its-flow", object_type="flow", **gone)

    # No event says so, but the table of deployments, which is replaced by each sync, does not have
    # it any more. In a workspace whose deployments are not synced, that says nothing.
    for name, workspace in (("vanished", "shop"), ("unread", "lab")):
        yield "flows", flow(name, workspace_id=workspace)
        yield "flow_runs", run(name, NOW - 5 * DAY, state="FAILED", workspace_id=workspace)

    # A one-off of 80 days ago, and what runs four times a year.
    yield "flows", flow("one-off")
    yield "flow_runs", run("one-off", NOW - 80 * DAY, state="FAILED", deployment=False)
    yield "flows", flow("quarterly")
    yield "deployments", deployment("quarterly", tags='["owner:Zoe"]')
    yield "deployment_schedules", schedule("quarterly", schedule_cron="0 6 3 */3 *", updated=LONG_AGO)
    yield "flow_runs", run("quarterly", NOW - 80 * DAY, state="FAILED")


def _levels() -> Rows:
    """Lineage on the flow and runs by deployment, and the other way round."""
    for name, edges, by_hand in (
        ("tagged-flow", [("tagged_flow", None)], False),
        ("by-hand", [("by_hand", "by-hand-deployment")], True),
        ("regions", [("eu", "regions-eu"), ("us", "regions-us")], True),
        ("asset-by-hand", [], False),
    ):
        yield "flows", flow(name)
        for id_ in {deployment_id for _, deployment_id in edges if deployment_id} or {f"{name}-deployment"}:
            yield "deployments", deployment(name, id=id_, name=id_)
        for table, deployment_id in edges:
            yield "lineage", declared_edge("dwh.levels.source", f"dwh.levels.{table}", name, deployment_id, name)
        yield "flow_runs", run(name, NOW - 5 * HOUR, deployment=not by_hand)
        yield "flow_runs", run(name, NOW - 2 * HOUR, deployment=not by_hand, state="FAILED")
    yield "flow_runs", run("asset-by-hand", NOW - 3 * HOUR, deployment=False, id="asset-run")
    made = materialization(
        "postgres://prod/dwh/levels/asset", "succeeded", NOW - 3 * HOUR, "asset-by-hand", "asset-run"
    )
    yield "asset_materializations", made


def _twins() -> Rows:
    """The same names in two workspaces: the older one is well, the younger one is not."""
    for workspace, since, state in (("shop", NOW - 60 * DAY, "COMPLETED"), ("crm", CRM_SINCE, "FAILED")):
        id_, here = f"twin-{workspace}", {"workspace_id": workspace}
        hourly: Row = {"schedule_interval": 3600.0, "schedule_anchor_date": datetime(2020, 1, 1)}
        edge = declared_edge("src.twin.orders", "dwh.twin.orders", id_, f"{id_}-deployment", "twin")
        for table, row in (
            ("flows", flow("twin", id=id_)),
            ("deployments", deployment(id_, tags='["owner:Ana"]')),
            ("deployment_schedules", schedule(id_, updated=LONG_AGO, **hourly)),
            ("lineage", edge),
            *(("flow_runs", run(id_, due, state=state)) for due in every(HOUR, since, NOW)),
        ):
            yield table, row | here
    # What the elder writes and the younger reads is one table; so is what it makes of it.
    yield "flows", flow("reader", workspace_id="crm")
    of_both = declared_edge("dwh.levels.eu", "crm.public.regions", "reader", None, "reader", workspace_id="crm")
    yield "lineage", of_both


def _buckets() -> Rows:
    """One path in several buckets, on several hosts and in several services."""
    yield "flows", flow("copier")
    yield "flow_runs", run("copier", NOW - HOUR, deployment=False, id="copy")
    for key in (
        *(
            "s3://prod-bucket/a/b/c",
            "s3://dev-bucket/a/b/c",
            "gs://x/a/b/c",
            "abfss://box@acme/a/b/c",
            "s3://bucket/a/b",
        ),
        *("postgres://prod/dwh/hosts/orders", "postgres://dev/dwh/hosts/orders"),
        *("postgres://prod/dwh/host/customers", "snowflake://dwh/host/items"),
    ):
        yield "asset_materializations", materialization(key, "succeeded", NOW - HOUR, "copier", "copy")
    for service, table in (("prod", "hosts.orders"), ("dev", "services.orders"), ("prod", "services.orders"),
                           ("any", "host.customers")):  # fmt: skip
        name = f"{service}.dwh.{table}"
        yield "lineage", declared_edge(None, name, "copier", None, "copier", destination_service=service)


def _weekdays() -> Rows:
    """Tables that are written from Monday to Friday, in the morning; since Thursday one is not."""
    for name, until in (("weekdays", NOW), ("weekdays-until-wednesday", NOW - 4 * DAY)):
        yield "flows", flow(name)
        yield "deployments", deployment(name)
        yield "deployment_schedules", schedule(name, schedule_cron="0 6 * * mon-fri", updated=LONG_AGO)
        yield "lineage", declared_edge(None, f"dwh.{name}.sales", name, f"{name}-deployment", name)
        for due in every(DAY, datetime(2026, 9, 1, 6), until):
            if due.isoweekday() <= 5:
                yield "flow_runs", run(name, due)


def _old_servers() -> Rows:
    """Failures without an end, and what was left running when its run had ended."""
    yield "flows", flow("ancient")
    yield "flow_runs", run("ancient", NOW - 9 * HOUR, deployment=False)
    for hours in (8, 7, 6):
        at = NOW - hours * HOUR
        yield "flow_runs", run("ancient", at, deployment=False, state="FAILED", took=None, state_timestamp=at)

    yield "flows", flow("host-that-died")
    yield "flows", flow("step")
    died: Row = {"deployment": False, "took": HOUR, "state": "CRASHED", "id": "died"}
    yield "flow_runs", run("host-that-died", NOW - 9 * DAY, **died)
    left: Row = {"took": None, "state": "RUNNING", "deployment": False}
    yield "flow_runs", run("step", NOW - 9 * DAY, parent_task_run_id="step-task", id="left-step", **left)
    tasks = {"fetch": NOW - 9 * DAY, "step-task": NOW - 9 * DAY, "in-the-background": NOW - 8 * DAY}
    for name, began in tasks.items():
        yield "task_runs", {"id": name, "name": name, "task_key": f"{name}-0a1b2c3d", "flow_run_id": "died",
                            "state_type": "RUNNING", "state_name": "Running", "start_time": began}  # fmt: skip


def _subflows() -> Rows:
    """A subflow that fails takes its parent along; one by deployment is a run of its own."""
    for name in ("parent", "child", "called"):
        yield "flows", flow(name)
    yield "deployments", deployment("called")
    at = NOW - 30 * timedelta(minutes=1)
    yield "flow_runs", run("parent", at, deployment=False, state="FAILED")
    yield "flow_runs", run("child", at, deployment=False, state="FAILED", parent_task_run_id="task-of-child")
    yield "flow_runs", run("called", at, state="FAILED", auto_scheduled=False, parent_task_run_id="task-of-called")


def _last_words() -> Rows:
    """A run that failed in its second try, with its tasks and logs, and the planned runs."""
    yield "flows", flow("loader")
    yield "deployments", deployment("loader")
    edited = NOW - DAY
    yield "deployment_schedules", schedule("loader", schedule_cron="0 * * * *", updated=edited)
    for name, hours, columns in (
        ("soon", 1, {}),
        ("later", 2, {}),
        # Prefect has dropped it with the edit.
        ("former", 0.5, {"created": edited - HOUR}),
        # By a person.
        ("by-hand", 1.5, {"auto_scheduled": False}),
    ):
        yield "flow_runs", planned("loader", NOW + hours * HOUR, id=f"loader-{name}", **{"created": NOW} | columns)
    began = NOW - 2 * HOUR
    yield "flow_runs", run("loader", began, state="FAILED", id="loader-failed", run_count=2)
    tasks = [
        ("extract", 1, "FAILED", 1),
        ("extract", 2, "COMPLETED", 2),
        ("load", 2, "FAILED", 3),
        ("mail", 2, "CRASHED", 4),
    ]
    for name, attempt, state, minute in tasks:
        at = began + timedelta(minutes=minute)
        yield "task_runs", {"id": f"{name}-{attempt}", "name": f"{name}-0", "task_key": f"{name}-0a1b",
                            "flow_run_id": "loader-failed", "flow_run_run_count": attempt, "run_count": 1,
                            "state_type": state, "start_time": at, "end_time": at,
                            "ui_url": f"http://tasks/{name}-{attempt}"}  # fmt: skip
    lines = [
        ("Task run failed: no route to host", 40),
        ("Encountered an exception: TimeoutError()\nTraceback (most recent call last):\n  File", 40),
        ("Retrying no more", 30),
        ("Finished in state Failed('TimeoutError()')", 40),
    ]
    for number, (message, level) in enumerate(lines):
        yield "logs", {"id": f"log-{number}", "timestamp": began + timedelta(minutes=5 + number), "level": level,
                       "message": message, "flow_run_id": "loader-failed"}  # fmt: skip
