"""A neglected workspace with its models, in DuckDB and in PostgreSQL, each built in another time zone than UTC."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from devtools.browser import chromium
from devtools.neglected import neglected
from devtools.postgres import postgres
from devtools.tables import write_duckdb, write_postgres
from examples.pipeline_health.build import build_duckdb, build_postgres
from integration_tests.health.warehouse import DuckDB, PostgreSQL, Warehouse


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(scope="session")
def warehouses(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Warehouse]:
    """Both, built with the tests of the package."""
    file = tmp_path_factory.mktemp("neglected") / "prefect.duckdb"
    write_duckdb(file, neglected())
    write_postgres(postgres_url, "prefect", neglected())
    with pytest.MonkeyPatch.context() as environment, ThreadPoolExecutor() as both:
        # DuckDB takes the machine's time zone, libpq the one of this variable.
        environment.setenv("TZ", "America/Los_Angeles")
        environment.setenv("PGTZ", "Asia/Tokyo")
        builds = [
            both.submit(build_duckdb, file, command="build"),
            both.submit(build_postgres, postgres_url, "prefect", command="build"),
        ]
        for build in builds:
            build.result()
    return {"duckdb": DuckDB(file), "postgres": PostgreSQL(postgres_url, "prefect")}


@pytest.fixture(scope="session", params=["duckdb", "postgres"])
def warehouse(warehouses: dict[str, Warehouse], request: pytest.FixtureRequest) -> Warehouse:
    return warehouses[request.param]


@pytest.fixture(scope="session")
def neglected_file(warehouses: dict[str, Warehouse]) -> Path:
    found = warehouses["duckdb"]
    assert isinstance(found, DuckDB)
    return found.file


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched
