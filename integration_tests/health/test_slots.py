"""A hundred schedules in autumn and spring: their slots are the dates that Prefect computes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple

import pytest

from devtools.data.schedules import known, unknown
from devtools.data.tables import Tables, write_duckdb, write_postgres
from devtools.servers.postgres import postgres
from integration_tests.health.warehouse import DuckDB, PostgreSQL, Warehouse, by_key
from prefect_health.build import build_duckdb, build_postgres, marts_schema

# In the days before, the clocks were changed in Berlin and New York; before the second on Lord
# Howe as well.
SEASONS = {"autumn": datetime(2026, 11, 3, 12), "spring": datetime(2026, 4, 7, 12)}
PERIOD = timedelta(days=30)


class Season(NamedTuple):
    as_of: datetime
    warehouse: Warehouse


def _since(as_of: datetime) -> datetime:
    return as_of.replace(hour=0) - PERIOD


def _within(as_of: datetime) -> datetime:
    """When schedules began that begin within the period."""
    return _since(as_of) + timedelta(days=3, hours=5, minutes=10)


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(
    scope="module", params=[(season, kind) for season in SEASONS for kind in ("duckdb", "postgres")], ids=" ".join
)
def season(request: pytest.FixtureRequest, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Season:
    name, kind = request.param
    as_of = SEASONS[name]
    if kind == "duckdb":
        file = tmp_path_factory.mktemp(name) / "prefect.duckdb"
        write_duckdb(file, _tables(as_of))
        build_duckdb(file, options=["--select", "+prefect__schedule_slots"])
        return Season(as_of, DuckDB(file, marts_schema("main")))
    write_postgres(postgres_url, name, _tables(as_of))
    build_postgres(postgres_url, name, options=["--select", "+prefect__schedule_slots"])
    return Season(as_of, PostgreSQL(postgres_url, marts_schema(name)))


def _tables(as_of: datetime) -> Tables:
    since = _since(as_of)
    rows = {name: schedule.row for name, schedule in known(_within(as_of), as_of + PERIOD)}
    rows |= {name: schedule.row for name, schedule, _ in unknown()}
    first = {"id": "first", "expected_start_time": since - PERIOD, "state_type": "SCHEDULED"}
    return {
        "flow_runs": [{**first, "_airbyte_extracted_at": as_of}],
        "deployment_schedules": [
            {"id": name, "deployment_id": name, "is_active": True, "updated": since, **row}
            for name, row in rows.items()
        ],
    }


@cache
def _dates(as_of: datetime) -> dict[str, set[datetime]]:
    """The dates of each schedule by Prefect, which takes seconds."""
    first, last = _utc(_since(as_of)), _utc(as_of - timedelta(minutes=1))
    return {name: set(schedule.dates(first, last)) for name, schedule in known(_within(as_of), as_of + PERIOD)}


def test_the_slots_of_a_hundred_schedules_are_the_dates_of_prefect(season: Season) -> None:
    slots: dict[str, set[datetime]] = {}
    for schedule_id, at in season.warehouse.ask("SELECT schedule_id, slot_at FROM prefect__schedule_slots"):
        slots.setdefault(schedule_id, set()).add(at)
    dates = _dates(season.as_of)
    assert len(dates) > 100
    assert sum(map(bool, dates.values())) > 95
    wrong = {
        name: {
            "missing": sorted(dates[name] - slots.get(name, set()))[:3],
            "false": sorted(slots.get(name, set()) - dates[name])[:3],
        }
        for name in dates
        if slots.get(name, set()) != dates[name]
    }
    assert wrong == {}


def test_a_schedule_without_slots_says_why(season: Season) -> None:
    said = "SELECT schedule_id, not_expanded_because FROM prefect__schedules WHERE not_expanded_because IS NOT NULL"
    assert by_key(season.warehouse, said) == {name: why for name, _, why in unknown()}


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC)
