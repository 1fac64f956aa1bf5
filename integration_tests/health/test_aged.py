"""What the models say as time passes: gone flows, reused names, workspaces of the same name."""

from collections.abc import Iterator
from typing import Any

import pytest

from devtools.data.made_up_rows import HOUR
from devtools.data.tables import write_postgres
from devtools.data.year_old_workspaces import CRM_SINCE, NOW, aged
from devtools.servers.postgres import postgres
from integration_tests.health.warehouse import DuckDB, PostgreSQL, Warehouse, by_key
from prefect_health.build import build_postgres, marts_schema


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def warehouse(request: pytest.FixtureRequest) -> Iterator[Warehouse]:
    if request.param == "duckdb":
        yield DuckDB(request.getfixturevalue("aged_file"), marts_schema("main"))
        return
    with postgres() as url, pytest.MonkeyPatch.context() as environment:
        write_postgres(url, "prefect", aged())
        # libpq takes the time zone of this variable.
        environment.setenv("PGTZ", "Asia/Tokyo")
        build_postgres(url, "prefect", command="build")
        yield PostgreSQL(url, marts_schema("prefect"))


def incidents(warehouse: Warehouse, column: str, flows: str) -> dict[str, Any]:
    return by_key(warehouse, f"SELECT flow_name, {column} FROM prefect__incidents WHERE flow_name IN ({flows})")


GONE = (
    "'remade', 'remade-in-vain', 'registered-again', 'deleted', 'deleted-with-its-flow', 'paused', 'paused-but-run', "
    "'unscheduled', 'scheduled', 'vanished', 'unread', 'one-off', 'quarterly'"
)


def test_an_incident_is_open_only_while_something_can_end_it(warehouse: Warehouse) -> None:
    assert {name for name, is_open in incidents(warehouse, "is_open", GONE).items() if is_open} == {
        "remade-in-vain", "paused-but-run", "scheduled", "unread", "quarterly",
    }  # fmt: skip


def test_an_incident_says_why_it_is_closed(warehouse: Warehouse) -> None:
    assert incidents(warehouse, "closed_because", GONE) == {
        "remade": "succeeded",
        "remade-in-vain": None,
        "registered-again": "succeeded",
        "deleted": "deleted",
        "deleted-with-its-flow": "deleted",
        "paused": "paused",
        "paused-but-run": None,
        "unscheduled": "unscheduled",
        "scheduled": None,
        "vanished": "deleted",
        "unread": None,
        "one-off": "forgotten",
        "quarterly": None,
    }


def test_what_is_made_again_under_its_name_goes_on_with_its_failures(warehouse: Warehouse) -> None:
    assert incidents(warehouse, "runs_lost, subject_id", "'remade-in-vain', 'registered-again'") == {
        "remade-in-vain": (2, "remade-in-vain-second"),
        "registered-again": (1, "registered-second"),
    }


def test_a_failure_hits_what_its_runs_write_on_whatever_level_the_tags_hang(warehouse: Warehouse) -> None:
    flows = "'tagged-flow', 'by-hand', 'regions', 'asset-by-hand'"
    assert incidents(warehouse, "table_names", flows) == {
        "tagged-flow": "dwh.levels.tagged_flow",
        "by-hand": "dwh.levels.by_hand",
        # A run by hand may have been for either region.
        "regions": None,
        "asset-by-hand": "dwh.levels.asset",
    }
    failing = "SELECT table_name, is_failing FROM prefect__tables WHERE table_name LIKE 'dwh.levels.%' AND writers > 0"
    assert by_key(warehouse, failing) == {
        "dwh.levels.tagged_flow": True,
        "dwh.levels.by_hand": True,
        "dwh.levels.eu": False,
        "dwh.levels.us": False,
        "dwh.levels.asset": True,
    }


def test_what_counts_for_impact_counts_for_freshness(warehouse: Warehouse) -> None:
    written = by_key(
        warehouse,
        "SELECT table_name, last_written_at FROM prefect__tables WHERE table_name LIKE 'dwh.levels.%' AND writers > 0",
    )
    assert {name for name, at in written.items() if at is not None} == {
        "dwh.levels.tagged_flow", "dwh.levels.by_hand", "dwh.levels.asset",
    }  # fmt: skip


def test_an_incident_says_what_failed_and_when_the_next_run_is_due(warehouse: Warehouse) -> None:
    said = "failed_task, failed_task_url, log_line, next_run_at"
    assert incidents(warehouse, said, "'loader', 'paused', 'deleted'") == {
        "loader": ("load", "http://tasks/load-2", "Encountered an exception: TimeoutError()", NOW + HOUR),
        "paused": (None, None, None, None),
        "deleted": (None, None, None, None),
    }


def test_two_workspaces_with_the_same_names_are_two(warehouse: Warehouse) -> None:
    of_twins = "SELECT workspace_name, {} FROM {} WHERE {} GROUP BY 1"
    asked = {
        "runs": ("count(*), sum(succeeded)", "prefect__reliability", "level = 'flow' AND flow_name = 'twin'"),
        "incidents": ("count(*), sum(runs_lost)", "prefect__incidents", "flow_name = 'twin'"),
        "owners": ("sum(open_incidents), sum(succeeded)", "prefect__owners", "owner = 'Ana'"),
        "tables": (
            "min(status), count(*) FILTER (WHERE is_failing)",
            "prefect__tables",
            "table_name = 'dwh.twin.orders'",
        ),
        "edges": ("count(*), min(known)", "prefect__lineage", "destination_table = 'dwh.twin.orders'"),
        "closure": ("count(*), min(distance)", "prefect__lineage_closure", "downstream_table = 'dwh.twin.orders'"),
    }
    days, hours = 61, 5 * 24
    assert {name: by_key(warehouse, of_twins.format(*parts)) for name, parts in asked.items()} == {
        "runs": {"Shop": (days, 60 * 24), "CRM": (6, 0)},
        "incidents": {"CRM": (1, hours)},
        "owners": {"Shop": (0, 30 * 24 + 12), "CRM": (1, 0)},
        "tables": {"Shop": ("fresh", 0), "CRM": ("failing", 1)},
        "edges": {"Shop": (1, "declared"), "CRM": (1, "declared")},
        "closure": {"Shop": (1, 1), "CRM": (1, 1)},
    }


def test_slots_go_back_to_the_first_run_of_their_own_workspace(warehouse: Warehouse) -> None:
    slots = (
        "SELECT workspace_name, count(*), sum(CASE WHEN status = 'missed' THEN 1 ELSE 0 END), min(slot_at) "
        "FROM prefect__schedule_slots WHERE flow_name = 'twin' GROUP BY 1"
    )
    assert by_key(warehouse, slots) == {
        # A slot of this very moment is not due yet.
        "Shop": (30 * 24 + 12, 0, NOW.replace(hour=0) - 30 * 24 * HOUR),
        "CRM": (5 * 24, 0, CRM_SINCE),
    }


def test_a_table_that_another_workspace_writes_is_one(warehouse: Warehouse) -> None:
    upstream = (
        "SELECT downstream_table, upstream_table, distance FROM prefect__lineage_closure WHERE workspace_name = 'CRM'"
    )
    assert sorted(warehouse.ask(upstream)) == [
        ("crm.public.regions", "dwh.levels.eu", 1),
        ("crm.public.regions", "dwh.levels.source", 2),
        ("dwh.twin.orders", "src.twin.orders", 1),
    ]


def test_a_path_in_another_bucket_host_or_service_is_another_table(warehouse: Warehouse) -> None:
    tables = warehouse.ask("SELECT table_name FROM prefect__tables WHERE writer_names LIKE '%copier%'")
    assert sorted(name for (name,) in tables) == [
        "abfss://box@acme/a/b/c",
        "dev.dwh.hosts.orders",
        "dev.dwh.services.orders",
        # One host and one service: they are two names of one.
        "dwh.host.customers",
        "dwh.host.items",
        "gs://x/a/b/c",
        "prod.dwh.hosts.orders",
        "prod.dwh.services.orders",
        "s3://bucket/a/b",
        "s3://dev-bucket/a/b/c",
        "s3://prod-bucket/a/b/c",
    ]


def test_the_pace_of_a_table_is_that_of_its_schedule(warehouse: Warehouse) -> None:
    status = "SELECT table_name, status FROM prefect__tables WHERE table_name LIKE 'dwh.weekdays%'"
    assert by_key(warehouse, status) == {
        "dwh.weekdays.sales": "fresh",
        "dwh.weekdays-until-wednesday.sales": "stale",
    }


def test_an_owner_whose_runs_were_long_ago_is_listed(warehouse: Warehouse) -> None:
    owners = "SELECT owner, runs, open_incidents FROM prefect__owners WHERE owner = 'Zoe'"
    assert warehouse.ask(owners) == [("Zoe", 0, 1)]
    open_ = "SELECT sum(open_incidents) FROM prefect__owners", "SELECT count(*) FROM prefect__incidents WHERE is_open"
    assert warehouse.ask(open_[0]) == warehouse.ask(open_[1])


def test_a_failure_without_an_end_is_a_failure(warehouse: Warehouse) -> None:
    day = "SELECT flow_name, runs, failed, success_rate FROM prefect__reliability WHERE flow_name = 'ancient'"
    assert warehouse.ask(day) == [("ancient", 4, 3, 0.25)]
    ended = "SELECT status, ended_at FROM prefect__runs WHERE flow_name = 'ancient' AND outcome = 'failed' ORDER BY 2"
    assert warehouse.ask(ended) == [("ended", NOW - hours * HOUR) for hours in (8, 7, 6)]


def test_what_was_left_running_when_its_run_had_ended_is_not_stuck(warehouse: Warehouse) -> None:
    tasks = "SELECT task_run_id, status, is_stuck, duration_seconds FROM prefect__task_runs WHERE run_id = 'died'"
    hour = 3600
    assert by_key(warehouse, tasks) == {
        "fetch": ("abandoned", False, hour + 2),
        "step-task": ("abandoned", False, hour + 2),
        # It began later: a task that a worker runs.
        "in-the-background": ("running", True, 8 * 24 * hour),
    }
    steps = "SELECT run_id, status, is_stuck, duration_seconds FROM prefect__runs WHERE flow_name = 'step'"
    assert by_key(warehouse, steps) == {"left-step": ("abandoned", False, hour)}


def test_a_subflow_is_not_counted_beside_its_parent(warehouse: Warehouse) -> None:
    counted = "SELECT level, flow_name, runs FROM prefect__reliability WHERE flow_name IN ('parent', 'child', 'called')"
    assert sorted(warehouse.ask(counted)) == [
        ("deployment", "called", 1),
        ("flow", "called", 1),
        ("flow", "parent", 1),
        ("subflow", "child", 1),
    ]
    assert set(incidents(warehouse, "is_open", "'parent', 'child', 'called'")) == {"parent", "called"}
