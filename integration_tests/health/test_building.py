"""Building again: names are today's, late rows enter, and any part can be built by itself."""

import json
import os
import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from devtools.data.made_up_rows import AS_OF, DAY, HOUR, deployment, flow, run
from devtools.data.tables import write_duckdb
from integration_tests.health.warehouse import DuckDB, by_key
from prefect_health.build import PACKAGE, build_duckdb, find_dbt, marts_schema


@pytest.fixture(scope="module")
def built_again(tmp_path_factory: pytest.TempPathFactory) -> DuckDB:
    """Built twice: without deployments, then with them, with other names and with late rows."""
    file = tmp_path_factory.mktemp("again") / "prefect.duckdb"
    early = [run("load", AS_OF - 2 * DAY + number * HOUR, _airbyte_extracted_at=AS_OF) for number in range(10)]
    write_duckdb(file, {"flows": [flow("load", _airbyte_extracted_at=AS_OF)], "flow_runs": early})
    # The tests of the package pass each time.
    build_duckdb(file, command="build")

    later = AS_OF + 3 * HOUR
    # A connection that takes long loads what it has read hours before the youngest row that is
    # there.
    late = [
        run("load", AS_OF - DAY + number * timedelta(minutes=1), id=f"late-{number}", _airbyte_extracted_at=at)
        for number, at in enumerate([AS_OF - 5 * HOUR] * 50 + [later])
    ]
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE flows SET ui_url = 'http://moved.example.com', tags = '[\"owner:Ben\"]'")
    write_duckdb(file, {"deployments": [deployment("load", _airbyte_extracted_at=later)], "flow_runs": late})
    build_duckdb(file, command="build")
    return DuckDB(file, marts_schema("main"))


def test_names_and_pages_are_those_of_today_on_runs_of_any_age(built_again: DuckDB) -> None:
    names = "SELECT DISTINCT flow_url, deployment_name, owner FROM prefect__runs"
    assert built_again.ask(names) == [("http://moved.example.com", "prod", "Ben")]


def test_a_subject_has_one_row_a_day(built_again: DuckDB) -> None:
    days = "SELECT level, day, runs FROM prefect__reliability WHERE level = 'flow' ORDER BY day"
    assert built_again.ask(days) == [("flow", "2026-11-18", 10), ("flow", "2026-11-19", 51)]


def test_what_is_loaded_late_enters(built_again: DuckDB) -> None:
    assert built_again.ask("SELECT count(*) FROM prefect__runs WHERE run_id LIKE 'late-%'") == [(51,)]
    as_of = by_key(built_again, "SELECT workspace_name, as_of FROM prefect__workspaces")
    assert as_of == {None: AS_OF + 3 * HOUR}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The package as dbt reads it, without complaint: a deprecation of dbt's own is an error."""
    folder = tmp_path_factory.mktemp("parsed")
    done = subprocess.run(
        [find_dbt(), "--quiet", "--no-use-colors", "--warn-error", "--show-all-deprecations", "parse",
         "--no-partial-parse", "--project-dir", PACKAGE, "--profiles-dir", PACKAGE, "--target-path", folder,
         "--log-path", folder],
        env={**os.environ, "DO_NOT_TRACK": "1", "PREFECT_SOURCE_DUCKDB": "prefect.duckdb"},
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    parsed: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return parsed


def test_any_part_of_the_package_can_be_built_and_tested_by_itself(manifest: dict[str, Any]) -> None:
    tests = {name: node for name, node in manifest["nodes"].items() if node["resource_type"] == "test"}
    assert len(tests) > 100
    # dbt runs a test with any of its models, also when the other one is not there.
    models = {name: node["depends_on"]["nodes"] for name, node in tests.items()}
    assert {name for name, of in models.items() if len(of) != 1} == set()


def test_an_empty_schema_takes_a_part_of_the_package(tmp_path: Path) -> None:
    file = tmp_path / "prefect.duckdb"
    write_duckdb(file, {})
    build_duckdb(file, command="build", options=["--select", "+prefect__incidents"])
    assert DuckDB(file, marts_schema("main")).ask("SELECT count(*) FROM prefect__incidents") == [(0,)]


def test_metrics_and_the_page_are_declared(manifest: dict[str, Any]) -> None:
    metrics = {metric["name"] for metric in manifest["metrics"].values()}
    assert {"prefect_success_rate", "prefect_duration_p95", "prefect_lateness_p95"} <= metrics
    (page,) = manifest["exposures"].values()
    read = {node.rpartition(".")[2] for node in page["depends_on"]["nodes"]}
    code = "".join(path.read_text() for path in (PACKAGE.parent / "prefect_health").glob("*.py"))
    assert read == set(re.findall(r"prefect__\w+", code))


def test_every_mart_has_its_workspace_and_a_contract(manifest: dict[str, Any]) -> None:
    marts = {
        node["name"]: node for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and "marts" in node["fqn"]
    }  # fmt: skip
    assert all(node["config"]["contract"]["enforced"] for node in marts.values())
    of_workspace = {"workspace_id", "workspace_name", "source_relation"}
    assert {name for name, node in marts.items() if not of_workspace <= node["columns"].keys()} == {"prefect__days"}
