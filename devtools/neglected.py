"""A neglected workspace, as the tables of a sync: it has each way in which figures can mislead.

Paused and edited schedules whose runs stay, runs that are late, stuck or not due yet, tables that are dead,
written in bursts, seen only as assets, or stale because of what they are made from, tables in a circle.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from devtools.tables import Row, Tables
from devtools.warehouse import AS_OF, UI, declared_edge

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DOWN_SINCE = AS_OF - 10 * DAY
# Of the hour that comes twice that night, Prefect takes the first.
END_OF_SUMMER = datetime(2026, 10, 25, 1)


def neglected() -> Tables:
    return {
        "flows": [
            *(_flow(name) for name in ("ingest", "mart", "export", "report", "legacy", "observed", "circle")),
            # Names are text and never markup.
            {**_flow("burst"), "name": "<script>alert(1)</script>"},
        ],
        "deployments": [
            _deployment("ingest", tags='["owner:Ana","critical"]'),
            _deployment("mart", tags='["owner:Ben"]'),
            _deployment("export", paused=True),
            {**_deployment("report"), "name": 'it\'s "quoted"'},
            _deployment("legacy"),
            _deployment("burst"),
        ],
        "deployment_schedules": [
            _schedule("ingest", schedule_interval=3600.0, schedule_anchor_date=datetime(2020, 1, 1)),
            _schedule("mart", schedule_cron="30 2 * * *", schedule_timezone="Europe/Berlin"),
            _schedule("export", is_active=False, schedule_cron="0 * * * *"),
            _schedule("report", schedule_rrule="DTSTART:20200101T070000\nFREQ=DAILY", updated=AS_OF - DAY),
            _schedule("legacy", schedule_cron="0 0 L * *"),
        ],
        "flow_runs": list(_flow_runs()),
        "task_runs": list(_task_runs()),
        "lineage": [
            declared_edge("shop.public.events", "raw.public.events", "ingest", "ingest-deployment", "ingest"),
            declared_edge("raw.public.events", "mart.public.daily", "mart", "mart-deployment", "mart"),
            # A flow declares what its deployment's runs write, a deployment what a run by hand writes.
            declared_edge(None, "dwh.legacy.archive", "legacy", None, "legacy"),
            declared_edge(None, "dwh.legacy.bursts", "burst", "burst-deployment", "burst"),
            declared_edge("dwh.circle.a", "dwh.circle.b", "circle", None, "circle"),
            declared_edge("dwh.circle.b", "dwh.circle.a", "circle", None, "circle"),
        ],
        "asset_materializations": list(_materializations()),
        "task_dependencies": [_dependency(day) for day in range(1, 20)],
        "change_log": [
            _change("old", DOWN_SINCE - 5 * DAY, "schedule"),
            _change("culprit", DOWN_SINCE - HOUR, "parameters"),
            _change("culprit", DOWN_SINCE - HOUR, "entrypoint"),
            _change("too-late", DOWN_SINCE + HOUR, "tags"),
        ],
        "asset_lineage": [
            _asset_edge("succeeded", "postgres://prod/raw/public/events", "postgres://prod/mart/public/observed"),
            _asset_edge("failed", "s3://lost/file.parquet", "postgres://prod/mart/public/observed"),
        ],
    }  # fmt: skip


def _flow(name: str) -> Row:
    return {"id": name, "name": name, "tags": "[]", "ui_url": f"{UI}/flows/flow/{name}"}


def _deployment(flow: str, *, paused: bool = False, tags: str = "[]") -> Row:
    return {"id": f"{flow}-deployment", "flow_id": flow, "name": "prod", "paused": paused, "tags": tags,
            "work_pool_name": "shop", "ui_url": f"{UI}/deployments/deployment/{flow}"}  # fmt: skip


def _schedule(flow: str, *, is_active: bool = True, updated: datetime = AS_OF - 90 * DAY, **columns: Any) -> Row:
    return {"id": f"{flow}-schedule", "deployment_id": f"{flow}-deployment", "deployment_name": "prod", "flow_id": flow,
            "active": True, "is_active": is_active, "updated": updated, "schedule_day_or": True, **columns}  # fmt: skip


def _run(flow: str, due: datetime, *, deployment: bool = True, took: timedelta | None = timedelta(minutes=1),
         late: timedelta = timedelta(seconds=2), state: str = "COMPLETED", **columns: Any) -> Row:  # fmt: skip
    """A run that began `late` after it was due and `took` so long; `took=None` if it has not ended."""
    start = due + late
    run_id = columns.get("id") or f"{flow}-{due:%m%dT%H%M%S}"
    return {
        "id": run_id, "name": run_id, "flow_id": flow, "deployment_id": f"{flow}-deployment" if deployment else None,
        "created": due - HOUR, "auto_scheduled": deployment, "expected_start_time": due, "start_time": start,
        "end_time": start + took if took else None, "total_run_time": took.total_seconds() if took else 0.0,
        "run_count": 1, "state_type": state, "state_name": state.title(), "tags": '["nightly"]',
        "ui_url": f"{UI}/runs/flow-run/{run_id}", "_airbyte_extracted_at": AS_OF, **columns,
    }  # fmt: skip


def _planned(flow: str, due: datetime, **columns: Any) -> Row:
    """A run that has not begun."""
    return _run(flow, due, took=None, state="SCHEDULED", start_time=None, run_count=0, **columns)


def _every(step: timedelta, begin: datetime, end: datetime) -> Iterator[datetime]:
    while begin < end:
        yield begin
        begin += step


def _flow_runs() -> Iterator[Row]:
    yield from _ingest()
    # The mart ran every night at 2:30 in Berlin, until the raw table stopped coming; one run hangs.
    for due in _every(DAY, datetime(2026, 9, 25, 0, 30), DOWN_SINCE):
        yield _run("mart", due + (HOUR if due >= END_OF_SUMMER else timedelta()))
    yield _run("mart", AS_OF - 2 * DAY, took=None, state="RUNNING", id="mart-stuck")

    # Prefect has deleted these, the destination has not.
    unseen = AS_OF - 2 * DAY
    yield _planned("export", AS_OF - 2 * HOUR, id="export-paused", _airbyte_extracted_at=unseen)
    yield _planned("report", AS_OF - 3 * HOUR, id="report-edited", created=unseen, _airbyte_extracted_at=unseen)
    yield _planned("report", AS_OF - HOUR, id="report-unseen", created=AS_OF - HOUR * 20,
                   _airbyte_extracted_at=AS_OF - HOUR * 20)  # fmt: skip

    # By hand, a flow failed that its deployment had run well; the deployment has a slot a day, at 7.
    yield _run("report", datetime(2026, 11, 20, 7))
    yield _run(
        "report",
        AS_OF - HOUR,
        deployment=False,
        state="FAILED",
        id="report-by-hand",
        state_message="No disk <b>„voll“</b>",
    )

    # Every day until 30 days and 11 hours ago; one of these tables only once.
    for due in _every(DAY, AS_OF - 60 * DAY - 11 * HOUR, AS_OF - 30 * DAY):
        yield _run("legacy", due)
    # Ten runs in half a minute, once a week.
    for week in (17, 10, 3):
        for number in range(10):
            yield _run("burst", AS_OF - week * DAY + timedelta(seconds=3 * number), deployment=False,
                       took=timedelta(seconds=1))  # fmt: skip
    yield _run("observed", AS_OF - timedelta(seconds=70), deployment=False, id="observed-run")


def _ingest() -> Iterator[Row]:
    """Every hour, with an incident that recovered in two hours, and one that has not."""
    recovered = datetime(2026, 11, 5, 3)
    for due in _every(HOUR, AS_OF - 45 * DAY, AS_OF - HOUR):
        if due >= DOWN_SINCE or due in (recovered, recovered + HOUR):
            yield _run("ingest", due, state="FAILED", state_message=f"Shop {due:%d%H} at 0x7f3a{due:%H} answered 503")
        elif due == datetime(2026, 11, 6, 4):
            yield _run("ingest", due, late=timedelta(minutes=10))
        elif due == datetime(2026, 11, 6, 5):
            yield _run("ingest", due, state="CANCELLED", start_time=None, total_run_time=0.0)
        elif due != datetime(2026, 11, 6, 6):
            yield _run("ingest", due)
    yield _planned("ingest", AS_OF - HOUR / 2, id="ingest-late", state_name="Late")
    yield _planned("ingest", AS_OF - timedelta(seconds=1.3), id="ingest-due")
    yield _planned("ingest", AS_OF + HOUR, id="ingest-next")
    yield _run("ingest", AS_OF - timedelta(seconds=20), took=None, state="RUNNING", id="ingest-running")


def _task_runs() -> Iterator[Row]:
    for day in range(1, 20):
        for number, (task, tries, state) in enumerate((("fetch", 3, "COMPLETED"), ("parse", 1, "FAILED"))):
            start = AS_OF - day * DAY
            task_run = f"{task}-{day}"
            yield {
                "id": task_run, "name": f"{task}-{number}", "task_key": f"{task}-0a1b2c3d", "state_type": state,
                "flow_run_id": f"ingest-{start - HOUR:%m%dT%H%M%S}", "run_count": tries, "start_time": start,
                "end_time": start + timedelta(seconds=30), "total_run_time": 30.0, "state_name": state.title(),
                "ui_url": f"{UI}/runs/task-run/{task_run}", "_airbyte_extracted_at": AS_OF,
            }  # fmt: skip


def _dependency(day: int) -> Row:
    return {"id": f"dependency-{day}", "task_run_id": f"parse-{day}", "upstream_task_run_id": f"fetch-{day}",
            "input_name": "page", "input_type": "task_run"}  # fmt: skip


def _change(event: str, occurred: datetime, field: str) -> Row:
    return {"id": f"{event}-{field}", "event_id": event, "occurred": occurred, "object_type": "deployment",
            "object_id": "ingest-deployment", "action": "updated", "field": field, "actor_name": "Ana"}  # fmt: skip


def _materializations() -> Iterator[Row]:
    once = {"dwh/legacy/once": AS_OF - 40 * DAY, "dwh/legacy/recent": AS_OF - 5 * DAY}
    for path, occurred in {**once, "mart/public/observed": AS_OF - timedelta(seconds=4)}.items():
        yield _materialization(f"postgres://prod/{path}", "succeeded", occurred)
    yield _materialization("postgres://prod/mart/public/broken", "failed", AS_OF - HOUR)


def _materialization(asset: str, result: str, occurred: datetime) -> Row:
    return {"id": f"{asset}-{result}", "asset": asset, "result": result, "occurred": occurred, "flow_id": "observed",
            "flow_name": "observed", "flow_run_id": "observed-run", "_airbyte_extracted_at": AS_OF}  # fmt: skip


def _asset_edge(result: str, source: str, destination: str) -> Row:
    return {"id": f"{source}-{destination}", "source": source, "destination": destination, "result": result,
            "occurred": AS_OF - timedelta(seconds=4), "flow_id": "observed", "flow_name": "observed",
            "flow_run_id": "observed-run"}  # fmt: skip
