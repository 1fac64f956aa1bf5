"""A neglected workspace, as the tables of a sync: it has each way in which figures can mislead.

Paused and edited schedules whose runs stay, runs that are late, stuck or not due yet, tables that
are dead, written in bursts, seen only as assets, or stale because of what they are made from,
tables in a circle.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from devtools.data.made_up_rows import (
    AS_OF,
    DAY,
    HOUR,
    UI,
    asset_edge,
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

DOWN_SINCE = AS_OF - 10 * DAY
# When assets were observed: moments before the sync.
SEEN = AS_OF - timedelta(seconds=4)
# Of the hour that comes twice that night, Prefect takes the first.
END_OF_SUMMER = datetime(2026, 10, 25, 1)


def neglected() -> Tables:
    return {
        "flows": [
            *(flow(name) for name in ("ingest", "mart", "export", "report", "legacy", "observed", "circle")),
            # Names are text and never markup.
            {**flow("burst"), "name": "<script>alert(1)</script>"},
        ],
        "deployments": [
            deployment("ingest", tags='["owner:Ana","critical"]'),
            deployment("mart", tags='["owner:Ben"]'),
            deployment("export", paused=True),
            {**deployment("report"), "name": 'it\'s "quoted"'},
            deployment("legacy"),
            deployment("burst"),
        ],
        "deployment_schedules": [
            schedule("ingest", schedule_interval=3600.0, schedule_anchor_date=datetime(2020, 1, 1)),
            schedule("mart", schedule_cron="30 2 * * *", schedule_timezone="Europe/Berlin"),
            schedule("export", is_active=False, schedule_cron="0 * * * *"),
            schedule("report", schedule_rrule="DTSTART:20200101T070000\nFREQ=DAILY", updated=AS_OF - DAY),
            schedule("legacy", schedule_cron="0 0 L * *"),
        ],
        "flow_runs": list(_flow_runs()),
        "task_runs": list(_task_runs()),
        "lineage": [
            declared_edge("shop.public.events", "raw.public.events", "ingest", "ingest-deployment", "ingest"),
            declared_edge("raw.public.events", "mart.public.daily", "mart", "mart-deployment", "mart"),
            # A flow declares what its deployment's runs write, a deployment what a run by hand
            # writes.
            declared_edge(None, "dwh.legacy.archive", "legacy", None, "legacy"),
            declared_edge(None, "dwh.legacy.bursts", "burst", "burst-deployment", "burst"),
            declared_edge("dwh.circle.a", "dwh.circle.b", "circle", None, "circle"),
            declared_edge("dwh.circle.b", "dwh.circle.a", "circle", None, "circle"),
        ],
        "asset_materializations": list(_materializations()),
        "task_dependencies": [_dependency(day) for day in range(1, 20)],
        "change_log": [
            change(event, occurred, "ingest-deployment", field=field, actor_name="Ana")
            for event, occurred, field in (
                ("old", DOWN_SINCE - 5 * DAY, "schedule"),
                ("culprit", DOWN_SINCE - HOUR, "parameters"),
                ("culprit", DOWN_SINCE - HOUR, "entrypoint"),
                ("too-late", DOWN_SINCE + HOUR, "tags"),
            )
        ],
        "asset_lineage": [
            asset_edge(source, "postgres://prod/mart/public/observed", result, SEEN, "observed", "observed-run")
            for source, result in (
                ("postgres://prod/raw/public/events", "succeeded"),
                ("s3://lost/file.parquet", "failed"),
            )
        ],
    }  # fmt: skip


def _flow_runs() -> Iterator[Row]:
    yield from _ingest()
    # The mart ran every night at 2:30 in Berlin, until the raw table stopped coming; one run
    # hangs.
    for due in every(DAY, datetime(2026, 9, 25, 0, 30), DOWN_SINCE):
        yield run("mart", due + (HOUR if due >= END_OF_SUMMER else timedelta()))
    yield run("mart", AS_OF - 2 * DAY, took=None, state="RUNNING", id="mart-stuck")

    # Prefect has deleted these, the destination has not.
    unseen = AS_OF - 2 * DAY
    yield planned("export", AS_OF - 2 * HOUR, id="export-paused", _airbyte_extracted_at=unseen)
    yield planned("report", AS_OF - 3 * HOUR, id="report-edited", created=unseen, _airbyte_extracted_at=unseen)
    yield planned("report", AS_OF - HOUR, id="report-unseen", created=AS_OF - HOUR * 20,
                   _airbyte_extracted_at=AS_OF - HOUR * 20)  # fmt: skip

    # By hand, a flow failed that its deployment had run well; the deployment has a slot a day, at
    # 7.
    yield run("report", datetime(2026, 11, 20, 7))
    yield run(
        "report",
        AS_OF - HOUR,
        deployment=False,
        state="FAILED",
        id="report-by-hand",
        state_message="No disk <b>„voll“</b>",
    )

    # Every day until 30 days and 11 hours ago; one of these tables only once.
    for due in every(DAY, AS_OF - 60 * DAY - 11 * HOUR, AS_OF - 30 * DAY):
        yield run("legacy", due)
    # Ten runs in half a minute, once a week.
    for week in (17, 10, 3):
        for number in range(10):
            yield run("burst", AS_OF - week * DAY + timedelta(seconds=3 * number), deployment=False,
                       took=timedelta(seconds=1))  # fmt: skip
    yield run("observed", AS_OF - timedelta(seconds=70), deployment=False, id="observed-run")


def _ingest() -> Iterator[Row]:
    """Every hour, with an incident that recovered in two hours, and one that has not."""
    recovered = datetime(2026, 11, 5, 3)
    for due in every(HOUR, AS_OF - 45 * DAY, AS_OF - HOUR):
        if due >= DOWN_SINCE or due in (recovered, recovered + HOUR):
            yield run("ingest", due, state="FAILED", state_message=f"Shop {due:%d%H} at 0x7f3a{due:%H} answered 503")
        elif due == datetime(2026, 11, 6, 4):
            yield run("ingest", due, late=timedelta(minutes=10))
        elif due == datetime(2026, 11, 6, 5):
            yield run("ingest", due, state="CANCELLED", start_time=None, total_run_time=0.0)
        elif due != datetime(2026, 11, 6, 6):
            yield run("ingest", due)
    yield planned("ingest", AS_OF - HOUR / 2, id="ingest-late", state_name="Late")
    yield planned("ingest", AS_OF - timedelta(seconds=1.3), id="ingest-due")
    yield planned("ingest", AS_OF + HOUR, id="ingest-next")
    yield run("ingest", AS_OF - timedelta(seconds=20), took=None, state="RUNNING", id="ingest-running")


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


def _materializations() -> Iterator[Row]:
    once = {"dwh/legacy/once": AS_OF - 40 * DAY, "dwh/legacy/recent": AS_OF - 5 * DAY, "mart/public/observed": SEEN}
    for path, occurred in once.items():
        yield materialization(f"postgres://prod/{path}", "succeeded", occurred, "observed", "observed-run")
    yield materialization("postgres://prod/mart/public/broken", "failed", AS_OF - HOUR, "observed", "observed-run")
