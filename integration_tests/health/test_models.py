"""What the models say of a neglected workspace: no false alarm or comfort, on either database."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from devtools.data.made_up_rows import AS_OF
from devtools.data.neglected_workspace import DOWN_SINCE, neglected
from devtools.data.tables import write_postgres
from devtools.servers.postgres import postgres
from integration_tests.health.described import MARTS, MODELS, described
from integration_tests.health.warehouse import DuckDB, PostgreSQL, Warehouse, by_key
from prefect_health.build import build_postgres, marts_schema
from prefect_health.marts import open_marts
from prefect_health.page import render

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "pipeline_health.md"
QUESTIONS = dict(re.findall(r"### \d+\. (.+?)\n\n```sql\n(.*?)```", GUIDE.read_text(), re.DOTALL))
ZONES = ["America/Los_Angeles", "Asia/Tokyo"]


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(scope="module")
def warehouses(neglected_file: Path, postgres_url: str) -> dict[str, Warehouse]:
    """Both, built with the tests of the package."""
    write_postgres(postgres_url, "prefect", neglected())
    with pytest.MonkeyPatch.context() as environment:
        # libpq takes the time zone of this variable.
        environment.setenv("PGTZ", "Asia/Tokyo")
        build_postgres(postgres_url, "prefect", command="build")
    return {
        "duckdb": DuckDB(neglected_file, marts_schema("main")),
        "postgres": PostgreSQL(postgres_url, marts_schema("prefect")),
    }


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def warehouse(warehouses: dict[str, Warehouse], request: pytest.FixtureRequest) -> Warehouse:
    return warehouses[request.param]


@pytest.mark.parametrize("model", MARTS)
def test_both_databases_say_the_same_in_any_time_zone(warehouses: dict[str, Warehouse], model: str) -> None:
    # A JSON text is written differently, and the schemas have other names.
    columns = ", ".join(name for name in MARTS[model] if name not in ("tags", "source_relation"))
    answers = [
        sorted(warehouse.ask(f"SELECT {columns} FROM {model}", zone=zone), key=str)
        for warehouse, zone in zip(warehouses.values(), ZONES, strict=True)
    ]
    assert answers[0]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("folder", ["marts", "intermediate"])
def test_every_column_is_described_and_nothing_else(neglected_file: Path, folder: str) -> None:
    with duckdb.connect(str(neglected_file), read_only=True) as connection:
        built = {
            name: [column for (column,) in connection.execute(
                "SELECT column_name FROM duckdb_columns() WHERE table_name = ?", [name]).fetchall()]
            for name in (path.stem for path in (MODELS / folder).glob("*.sql"))
        }  # fmt: skip
    assert {name: sorted(columns) for name, columns in built.items()} == {
        name: sorted(columns) for name, columns in described(folder).items()
    }


def test_runs_that_prefect_has_dropped_are_not_late(warehouse: Warehouse) -> None:
    status = by_key(warehouse, "SELECT run_id, status, ghost_reason FROM prefect__runs WHERE ended_at IS NULL")
    assert status == {
        "export-paused": ("ghost", "deployment paused"),
        "report-edited": ("ghost", "schedule edited"),
        "report-unseen": ("ghost", "not seen since it was due"),
        # 1.3 seconds are no lateness.
        "ingest-due": ("due", None),
        "ingest-late": ("late", None),
        "ingest-running": ("running", None),
        "mart-stuck": ("running", None),
    }
    lateness = by_key(warehouse, "SELECT run_id, lateness_seconds FROM prefect__runs WHERE status = 'late'")
    assert lateness == {"ingest-late": 1800}


def test_a_run_is_stuck_when_it_takes_much_longer_than_usual(warehouse: Warehouse) -> None:
    stuck = "SELECT run_id, duration_seconds, usual_p95_seconds FROM prefect__runs WHERE is_stuck"
    assert by_key(warehouse, stuck) == {"mart-stuck": (2 * 86400 - 2, 60)}


def test_freshness_knows_old_and_observed_writes_and_bursts(warehouse: Warehouse) -> None:
    tables = by_key(
        warehouse,
        "SELECT table_name, status, usual_days, last_write_known, blocked_by FROM prefect__tables WHERE writers > 0",
    )
    assert tables == {
        # Written every day until 30 days and 11 hours ago; written once, 40 days and 5 days ago.
        "dwh.legacy.archive": ("dead", 1, "declared", None),
        "dwh.legacy.once": ("dead", None, "observed", None),
        "dwh.legacy.recent": ("unknown", None, "observed", None),
        # Ten writes in half a minute, once a week.
        "dwh.legacy.bursts": ("fresh", 7, "declared", None),
        # Materialized four seconds before the sync, in a run without a deployment.
        "mart.public.observed": ("fresh", None, "observed", None),
        "mart.public.broken": ("unknown", None, None, None),
        "raw.public.events": ("stale", 1, "declared", None),
        "mart.public.daily": ("stale", 1, "declared", "raw.public.events"),
        "dwh.circle.a": ("unknown", None, None, None),
        "dwh.circle.b": ("unknown", None, None, None),
    }


def test_a_failed_materialization_makes_no_edge(warehouse: Warehouse) -> None:
    edges = "SELECT destination_table, source_table FROM prefect__lineage WHERE known = 'observed'"
    assert by_key(warehouse, edges) == {"mart.public.observed": "raw.public.events"}


def test_everything_downstream_is_found_and_circles_end(warehouse: Warehouse) -> None:
    closure = warehouse.ask(
        "SELECT upstream_table, downstream_table, distance FROM prefect__lineage_closure "
        "WHERE upstream_table IN ('shop.public.events', 'dwh.circle.a')"
    )
    assert sorted(closure) == [
        ("dwh.circle.a", "dwh.circle.b", 1),
        ("shop.public.events", "mart.public.daily", 2),
        ("shop.public.events", "mart.public.observed", 2),
        ("shop.public.events", "raw.public.events", 1),
    ]


def test_incidents_know_what_was_before_and_what_they_hit(warehouse: Warehouse) -> None:
    incidents = warehouse.ask(
        "SELECT flow_name, deployment_name, is_open, runs_lost, recovery_seconds, last_success_at, error_class, "
        "table_names "
        "FROM prefect__incidents ORDER BY began_at"
    )
    error = "Shop <n> at <id> answered <n>"
    hit = "mart.public.daily, mart.public.observed, raw.public.events"
    assert incidents == [
        ("ingest", "prod", False, 2, 7200, datetime(2026, 11, 5, 2, 1, 2), error, hit),
        ("ingest", "prod", True, 239, None, datetime(2026, 11, 10, 11, 1, 2), error, hit),
        # By hand, it failed for the first time; its deployment had succeeded that morning.
        ("report", None, True, 1, None, datetime(2026, 11, 20, 7, 1, 2), "No disk <b>„voll“</b>", None),
    ]


def test_an_incident_knows_what_was_changed_before_it_began(warehouse: Warehouse) -> None:
    changes = warehouse.ask(
        "SELECT last_changed_at, last_change, last_changed_by FROM prefect__incidents ORDER BY began_at"
    )
    hour_before = DOWN_SINCE - timedelta(hours=1)
    assert changes == [
        (None, None, None),
        (hour_before, "updated: entrypoint, parameters", "Ana"),
        (None, None, None),
    ]


def test_slots_are_met_late_missed_or_skipped(warehouse: Warehouse) -> None:
    slots = warehouse.ask("SELECT deployment_id, slot_at, status FROM prefect__schedule_slots")
    assert Counter((deployment, status) for deployment, _, status in slots) == {
        ("ingest-deployment", "met"): 728,
        ("ingest-deployment", "late"): 1,
        ("ingest-deployment", "skipped"): 1,
        ("ingest-deployment", "missed"): 2,
        ("mart-deployment", "met"): 21,
        ("mart-deployment", "missed"): 10,
        ("report-deployment", "met"): 1,
    }
    of_ingest = {at: status for deployment, at, status in slots if deployment == "ingest-deployment"}
    day = datetime(2026, 11, 6)
    assert [of_ingest[day + timedelta(hours=hour)] for hour in (4, 5, 6, 7)] == ["late", "skipped", "missed", "met"]
    # The schedule was edited a day ago, and what it was before is not known.
    assert min(at for deployment, at, _ in slots if deployment == "report-deployment") > AS_OF - timedelta(days=1)


def test_a_schedule_that_sql_cannot_follow_says_why(warehouse: Warehouse) -> None:
    unknown = (
        "SELECT deployment_id, not_expanded_because FROM prefect__schedules WHERE not_expanded_because IS NOT NULL"
    )
    assert by_key(warehouse, unknown) == {"legacy-deployment": "a cron expression with L, # or the like"}


def test_reliability_comes_with_its_number_of_runs(warehouse: Warehouse) -> None:
    day = warehouse.ask(
        "SELECT runs, succeeded, failed, cancelled, success_rate, success_rate_n, duration_p95_seconds, lateness_n "
        "FROM prefect__reliability WHERE subject_id = 'ingest' AND day = DATE '2026-11-06'"
    )
    assert day == [(23, 22, 0, 1, 1, 22, 60, 22)]


def test_task_hot_spots_count_retries(warehouse: Warehouse) -> None:
    spots = warehouse.ask(
        "SELECT task_name, upstream_tasks, downstream_tasks, sum(runs), sum(failed), sum(retries), "
        "sum(succeeded_after_retry), sum(total_seconds) FROM prefect__task_hotspots GROUP BY 1, 2, 3 ORDER BY 1"
    )
    assert spots == [
        ("fetch", None, "parse", 19, 0, 38, 19, 570),
        ("parse", "fetch", None, 19, 19, 0, 0, 570),
    ]


def test_owners_come_from_tags(warehouse: Warehouse) -> None:
    owners = by_key(warehouse, "SELECT owner, runs, failed, open_incidents FROM prefect__owners")
    assert owners == {"Ana": (730, 241, 1), "Ben": (21, 0, 0), "(no owner)": (34, 1, 1)}
    tags = warehouse.ask("SELECT tag FROM prefect__tags WHERE object_id = 'ingest-deployment' ORDER BY tag")
    assert tags == [("critical",), ("owner:Ana",)]


def test_tags_can_be_grouped(warehouse: Warehouse) -> None:
    groups = warehouse.ask("SELECT CAST(tags AS VARCHAR), count(*) FROM prefect__runs GROUP BY tags")
    assert groups == [('["nightly"]', warehouse.ask("SELECT count(*) FROM prefect__runs")[0][0])]


def test_there_are_twelve_questions_in_the_guide() -> None:
    assert len(QUESTIONS) == 12


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_has_one_answer_everywhere(warehouses: dict[str, Warehouse], question: str) -> None:
    answers = [
        sorted(warehouse.ask(QUESTIONS[question], zone=zone), key=str)
        for warehouse in warehouses.values()
        for zone in ZONES
    ]
    assert answers[0]
    assert all(answer == answers[0] for answer in answers)


def test_the_page_from_postgresql_is_that_from_duckdb(
    warehouses: dict[str, Warehouse], neglected_file: Path, postgres_url: str
) -> None:
    assert warehouses.keys() == {"duckdb", "postgres"}
    pages = []
    for database, schema in ((str(neglected_file), "main"), (postgres_url, "prefect")):
        with open_marts(database, marts_schema(schema)) as marts:
            pages.append(render(marts, "a database", now=AS_OF.replace(tzinfo=UTC)).splitlines())
    assert pages[0] == pages[1]
