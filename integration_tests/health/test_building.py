"""Building: slots as Prefect itself reckons them, two workspaces, a second build that takes only what has changed."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule

from devtools.tables import Row, write_duckdb
from examples.pipeline_health.build import build_duckdb
from examples.pipeline_health.marts import Marts
from examples.pipeline_health.present import errors
from integration_tests.health.warehouse import DuckDB

# Some days after the clocks went back in Berlin, and the days before.
AS_OF = datetime(2026, 10, 28, 12)
PERIOD = timedelta(days=9)

CRONS = [
    ("*/20 1-5,22 * * 1-5", "Europe/Berlin"),
    ("30 2 * * *", "Europe/Berlin"),
    ("0 * * * *", "Europe/Berlin"),
    ("15 0 13 * fri", "America/New_York"),
    ("5/25 6 * jan-oct sun,3", "UTC"),
    ("0 12 */2 * *", "Asia/Kolkata"),
    ("@weekly", "Australia/Lord_Howe"),
    ("0 7 * * 7", "UTC"),
]
RRULES = [
    "DTSTART:20200101T053000\nRRULE:FREQ=DAILY",
    "DTSTART:20200101T000000\nRRULE:FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=4,16",
    "DTSTART:20200115T103000\nRRULE:FREQ=MONTHLY",
    "FREQ=HOURLY;BYMINUTE=10,40",
    "FREQ=WEEKLY;BYDAY=SU;BYHOUR=4",
]
INTERVALS = [5400.0, 86400.0, 7.5 * 86400]
ANCHOR = datetime(2026, 3, 1, 9, 17, 3)


def _schedules() -> dict[str, tuple[Row, CronSchedule | IntervalSchedule | RRuleSchedule]]:
    found: dict[str, tuple[Row, Any]] = {}
    for cron, zone in CRONS:
        row = {"schedule_cron": cron, "schedule_timezone": zone, "schedule_day_or": True}
        found[f"{cron} {zone}"] = row, CronSchedule(cron=cron, timezone=zone)
    for rule in RRULES:
        schedule = RRuleSchedule(rrule=rule, timezone="Europe/Berlin")
        found[rule] = {"schedule_rrule": schedule.rrule, "schedule_timezone": "Europe/Berlin"}, schedule
    for seconds in INTERVALS:
        row = {"schedule_interval": seconds, "schedule_anchor_date": ANCHOR, "schedule_timezone": "UTC"}
        found[str(seconds)] = row, IntervalSchedule.model_validate({"interval": seconds, "anchor_date": f"{ANCHOR}Z"})
    return found


SCHEDULES = _schedules()


def _tables() -> dict[str, list[Row]]:
    schedules = [
        {"id": name, "deployment_id": name, "is_active": True, "updated": AS_OF - PERIOD, **row}
        for name, (row, _) in SCHEDULES.items()
    ]
    runs = [_run(number, AS_OF - 2 * PERIOD + timedelta(hours=number)) for number in range(200)]
    failure = {"state_type": "FAILED", "state_message": "No disk", "workspace_id": "crm"}
    # A flow of the same name, in another workspace.
    runs += [
        _run(1_000, AS_OF - PERIOD, **failure | {"workspace_id": "shop"}),
        *(_run(number, AS_OF - PERIOD, flow_id="twin", **failure) for number in (1_001, 1_002)),
    ]
    return {
        "workspaces": [{"id": "shop", "name": "Shop"}, {"id": "crm", "name": "CRM"}],
        "flows": [
            {"id": id_, "name": "flow", "tags": "[]", "workspace_id": workspace, "_airbyte_extracted_at": AS_OF}
            for id_, workspace in (("flow", "shop"), ("twin", "crm"))
        ],
        "deployment_schedules": schedules,
        "flow_runs": runs,
    }


def _run(number: int, due: datetime, **columns: Any) -> Row:
    return {
        "id": f"run-{number}", "name": f"run-{number}", "flow_id": "flow", "created": due, "expected_start_time": due,
        "start_time": due, "end_time": due + timedelta(minutes=1), "state_type": "COMPLETED", "state_name": "Completed",
        "total_run_time": 60.0, "run_count": 1, "_airbyte_extracted_at": due + timedelta(minutes=5), **columns,
    }  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> DuckDB:
    file = tmp_path_factory.mktemp("built") / "prefect.duckdb"
    write_duckdb(file, _tables())
    build_duckdb(file)
    return DuckDB(file)


@pytest.mark.parametrize("name", SCHEDULES)
def test_slots_are_those_that_prefect_reckons(built: DuckDB, name: str) -> None:
    slots = built.ask("SELECT schedule_id, slot_at FROM prefect__schedule_slots ORDER BY slot_at")
    _, schedule = SCHEDULES[name]
    assert [at for schedule_id, at in slots if schedule_id == name] == _reckoned(schedule)


def _reckoned(schedule: Any) -> list[datetime]:
    start, end = (time.replace(tzinfo=UTC) for time in (AS_OF - PERIOD, AS_OF - timedelta(minutes=1)))
    dates = {date.astimezone(UTC) for date in schedule._get_dates_generator(start=start, end=end)}
    return [datetime(*date.timetuple()[:6]) for date in sorted(dates)]


def test_flows_of_the_same_name_in_two_workspaces_are_two(built: DuckDB) -> None:
    failed = built.ask("SELECT workspace_name, count(*) FROM prefect__runs WHERE outcome = 'failed' GROUP BY 1")
    assert dict(failed) == {"Shop": 1, "CRM": 2}
    with Marts(built.file) as marts:
        assert [(row["flow"], row["runs"]) for row in errors(marts).rows] == [("flow", 2), ("flow", 1)]


def test_a_second_build_takes_what_has_changed(built: DuckDB, tmp_path: Path) -> None:
    file = tmp_path / "prefect.duckdb"
    shutil.copy(built.file, file)
    later = AS_OF + timedelta(hours=1)
    with duckdb.connect(str(file)) as connection:
        # What is built again loses this name.
        connection.execute("UPDATE prefect__runs SET run_name = 'as built before' WHERE run_id IN ('run-0', 'run-199')")
        # As an earlier version of the package built it.
        connection.execute("ALTER TABLE prefect__runs DROP COLUMN workspace_name")
        connection.execute(
            "UPDATE flow_runs SET state_type = 'FAILED', state_message = 'No disk 7', _airbyte_extracted_at = ? "
            "WHERE id = 'run-199'", [later],
        )  # fmt: skip
    news = [
        _run(200, AS_OF, _airbyte_extracted_at=later),
        _run(201, AS_OF, end_time=None, state_type="RUNNING", _airbyte_extracted_at=later),
    ]
    write_duckdb(file, {"flow_runs": news})
    build_duckdb(file)

    runs = DuckDB(file).ask(
        "SELECT run_id, run_name, status, outcome, error_class, duration_seconds FROM prefect__runs"
    )
    assert DuckDB(file).ask("SELECT DISTINCT workspace_name FROM prefect__runs") == [(None,)]
    assert len(runs) == 205
    assert {run[0]: run[1:] for run in runs if run[0] in ("run-0", "run-199", "run-200", "run-201")} == {
        "run-0": ("as built before", "ended", "succeeded", None, 60),
        "run-199": ("run-199", "ended", "failed", "No disk <n>", 60),
        "run-200": ("run-200", "ended", "succeeded", None, 60),
        "run-201": ("run-201", "running", None, None, 3600),
    }
    (period,) = DuckDB(file).ask("SELECT as_of FROM int_prefect__period")
    assert period == (later,)
