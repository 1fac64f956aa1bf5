"""Ten syncs and builds between them: the marts are those of one build, on both databases."""

from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest

from devtools.data.tables import Tables, write_duckdb, write_postgres
from devtools.data.ten_syncs import SYNCS, syncs
from devtools.servers.postgres import postgres
from integration_tests.health.described import MARTS
from integration_tests.health.warehouse import Answer, DuckDB, PostgreSQL, Warehouse
from integration_tests.torture.effort import FACTOR, seeds
from prefect_health.build import build_duckdb, build_postgres, marts_schema


@pytest.mark.parametrize("seed", seeds(1))
def test_builds_between_syncs_say_what_one_says(seed: int, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    (tmp_path / "one").mkdir()
    many, one = tmp_path / "many" / "prefect.duckdb", tmp_path / "one" / "prefect.duckdb"
    # A build takes long: after the first and the last sync, but in `make torture` after each.
    every = SYNCS - 1 if FACTOR == 1 else 1
    with postgres() as url:
        tables: Tables = {}
        for number, tables in enumerate(syncs(seed)):
            _replace(many, tables)
            _replace_postgres(url, "many", tables)
            if number % every == 0:
                build_duckdb(many)
                build_postgres(url, "many")
        write_duckdb(one, tables)
        # The tests of the package pass.
        build_duckdb(one, command="build")
        warehouses: dict[str, Warehouse] = {
            "DuckDB, one build": DuckDB(one, marts_schema("main")),
            "DuckDB, many builds": DuckDB(many, marts_schema("main")),
            "PostgreSQL, many builds": PostgreSQL(url, marts_schema("many")),
        }
        marts = {name: {mart: _rows(house, mart) for mart in MARTS} for name, house in warehouses.items()}
    assert (SYNCS - 1) % every == 0, "there is no build after the last sync"
    first, *others = marts
    assert [mart for mart, rows in marts[first].items() if not rows] == []
    for other in others:
        assert {mart: _difference(rows, marts[first][mart]) for mart, rows in marts[other].items()} == {
            mart: ([], []) for mart in MARTS
        }, other


def _rows(warehouse: Warehouse, mart: str) -> Answer:
    # A JSON text is written differently, and so is the name of the schema.
    columns = [name for name in MARTS[mart] if name not in ("tags", "source_relation")]
    return sorted(warehouse.ask(f"SELECT {', '.join(columns)} FROM {mart}"), key=str)


def _difference(one: Answer, other: Answer) -> tuple[Any, Any]:
    return [row for row in one if row not in other][:3], [row for row in other if row not in one][:3]


def _replace(file: Path, tables: Tables) -> None:
    """As a destination does: it replaces a table, whatever reads it."""
    if file.exists():
        with duckdb.connect(str(file)) as connection:
            for stream in tables:
                connection.execute(f"DROP TABLE IF EXISTS {stream}")
    write_duckdb(file, tables)


def _replace_postgres(url: str, schema: str, tables: Tables) -> None:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        for stream in tables:
            cursor.execute(f"DROP TABLE IF EXISTS {schema}.{stream}")
    write_postgres(url, schema, tables)
