"""The package in another project: schemas of its own, two connections, one with fewer streams."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from devtools.data.made_up_rows import AS_OF, DAY, HOUR, deployment, flow, run
from devtools.data.tables import Row, Tables, write_duckdb, write_postgres
from devtools.servers.postgres import postgres
from integration_tests.health.warehouse import DuckDB, PostgreSQL, Warehouse, by_key
from prefect_health.build import PACKAGE, find_dbt

PROJECT = {
    "name": "shop",
    "version": "1.0.0",
    "profile": "shop",
    "models": {
        "prefect_source": {
            "staging": {"+schema": "stage"},
            "intermediate": {"+schema": "hidden"},
            "marts": {"+schema": "health"},
        }
    },
    "vars": {"prefect_source": {"prefect_schemas": ["airbyte_sales", "airbyte_finance"], "forgotten_after_days": 10}},
}
# Many projects do without the target's schema in front.
SCHEMA_NAME = """
{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ custom_schema_name or target.schema }}
{%- endmacro %}
"""
# A model of theirs.
FAILURES = """
select workspace_name, source_relation, flow_name, sum(failed) as failed
from {{ ref('prefect_source', 'prefect__reliability') }}
where level = 'flow'
group by 1, 2, 3
"""


def _connections() -> Mapping[str, Tables]:
    """Two servers with a flow of the same name; the second lacks what is made of other streams."""
    found: dict[str, dict[str, list[Row]]] = {}
    for schema, state in (("airbyte_sales", "COMPLETED"), ("airbyte_finance", "FAILED")):
        name = schema.removeprefix("airbyte_")
        tags = json.dumps(["owner:Ana", f"om-source:src.public.{name}", " OM-Destination: dwh.public.orders"])
        task = {"task_key": "load-0a1b", "flow_run_id": name, "state_type": state, "start_time": AS_OF - HOUR}
        rows: dict[str, list[Row]] = {
            "flows": [flow("load", id=f"flow-{name}", tags=tags)],
            "deployments": [deployment(f"flow-{name}", tags='["destination:pg.dwh.public.items"]')],
            "flow_runs": [run(f"flow-{name}", AS_OF - HOUR, id=name, state=state)],
            "task_runs": [
                {"id": f"{name}-1", **task},
                {"id": f"{name}-2", **task, "task_key": "store-0a1b",
                 "task_inputs": json.dumps({"data": [{"input_type": "task_run", "id": f"{name}-1"}], "n": []}),
                 "tags": json.dumps(["om-source:src.public.items", f"om-destination:dwh.{name}.summary"])},
            ],
        }  # fmt: skip
        found[schema] = {
            stream: [{**row, "_airbyte_extracted_at": AS_OF} for row in of_stream] for stream, of_stream in rows.items()
        }
    # Both connections read this row; that of the second is older.
    shared = run("flow-sales", AS_OF - DAY, id="shared")
    found["airbyte_sales"]["flow_runs"].append({**shared, "state_message": "newer", "_airbyte_extracted_at": AS_OF})
    older = {**shared, "state_message": "older", "_airbyte_extracted_at": AS_OF - HOUR}
    found["airbyte_finance"]["flow_runs"].append(older)
    # The first has streams that tell what tags and inputs tell: nothing, in this case.
    found["airbyte_sales"] |= {"lineage": [], "task_dependencies": []}
    return found


def _dbt(project: Path, *arguments: str) -> None:
    done = subprocess.run(
        [find_dbt(), "--quiet", "--no-use-colors", "--warn-error", *arguments, "--profiles-dir", project],
        env={**os.environ, "DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore"},
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def warehouse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    project = tmp_path_factory.mktemp(request.param)
    for folder in ("macros", "models"):
        (project / folder).mkdir()
    (project / "dbt_project.yml").write_text(yaml.safe_dump(PROJECT))
    (project / "packages.yml").write_text(yaml.safe_dump({"packages": [{"local": str(PACKAGE)}]}))
    (project / "macros" / "generate_schema_name.sql").write_text(SCHEMA_NAME)
    (project / "models" / "failures.sql").write_text(FAILURES)
    with postgres() as url:
        address = urlsplit(url)
        outputs: dict[str, dict[str, Any]] = {
            "duckdb": {"type": "duckdb", "path": str(project / "shop.duckdb"), "schema": "analytics"},
            "postgres": {"type": "postgres", "host": address.hostname, "port": address.port, "user": address.username,
                         "password": "", "dbname": address.path[1:], "schema": "analytics"},
        }  # fmt: skip
        profile = {"shop": {"target": request.param, "outputs": {request.param: outputs[request.param]}}}
        (project / "profiles.yml").write_text(yaml.safe_dump(profile))
        for schema, tables in _connections().items():
            if request.param == "duckdb":
                write_duckdb(project / "shop.duckdb", tables, schema)
            else:
                write_postgres(url, schema, tables)
        _dbt(project, "deps")
        _dbt(project, "build")
        yield DuckDB(project / "shop.duckdb", "health") if request.param == "duckdb" else PostgreSQL(url, "health")


def test_the_models_are_in_the_schemas_that_the_project_names(warehouse: Warehouse) -> None:
    schemas = (
        "SELECT table_schema, count(*) FROM information_schema.tables WHERE table_name LIKE '%prefect!_!_%' ESCAPE '!' "
        "GROUP BY 1"
    )
    found = by_key(warehouse, schemas)
    layers = {"intermediate": "hidden", "marts": "health"}
    # On PostgreSQL these are ephemeral.
    layers |= {"staging": "stage"} if isinstance(warehouse, DuckDB) else {}
    assert found == {schema: len(list((PACKAGE / "models" / layer).glob("*.sql"))) for layer, schema in layers.items()}


def test_two_connections_become_one(warehouse: Warehouse) -> None:
    runs = "SELECT run_id, source_relation, workspace_id, workspace_name, outcome, state_message FROM prefect__runs"
    assert by_key(warehouse, runs) == {
        "sales": ("airbyte_sales", "airbyte_sales", "airbyte_sales", "succeeded", None),
        "finance": ("airbyte_finance", "airbyte_finance", "airbyte_finance", "failed", None),
        # Once, as it was read last.
        "shared": ("airbyte_sales", "airbyte_sales", "airbyte_sales", "succeeded", "newer"),
    }
    owners = "SELECT workspace_name, owner, runs, open_incidents FROM prefect__owners"
    assert by_key(warehouse, owners) == {"airbyte_sales": ("Ana", 2, 0), "airbyte_finance": ("Ana", 1, 1)}


def test_a_model_of_the_project_reads_the_marts(warehouse: Warehouse) -> None:
    failed = by_key(warehouse, "SELECT workspace_name, flow_name, failed FROM analytics.failures")
    assert failed == {"airbyte_sales": ("load", 0), "airbyte_finance": ("load", 1)}


def test_what_was_not_synced_is_made_of_tags_and_inputs(warehouse: Warehouse) -> None:
    edges = warehouse.ask("SELECT workspace_name, source_table, destination_table, known FROM prefect__lineage")
    of_tasks = [
        (f"airbyte_{name}", "src.public.items", f"dwh.{name}.summary", "declared") for name in ("finance", "sales")
    ]
    assert sorted(edges) == sorted(
        [
            ("airbyte_finance", "src.public.finance", "dwh.public.orders", "declared"),
            # A service in front, which only one name has.
            ("airbyte_finance", "src.public.finance", "dwh.public.items", "declared"),
            *of_tasks,
        ]
    )
    tasks = "SELECT workspace_name, upstream_tasks FROM prefect__task_hotspots WHERE task_name = 'store'"
    assert by_key(warehouse, tasks) == {"airbyte_finance": "load", "airbyte_sales": None}
