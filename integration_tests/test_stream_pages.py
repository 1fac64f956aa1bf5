"""The pages in docs/streams: the queries run on the rows of real runs."""

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

from devtools.connector import Sync, run_here
from devtools.connector import read_here as read
from devtools.server import PrefectServer

PAGES = Path(__file__).parent.parent / "docs" / "streams"
STREAMS = [
    *("work_pools", "work_queues", "global_concurrency_limits", "automations", "deployment_schedules"),
    *("flow_run_state_transitions", "asset_materializations", "asset_lineage", "logs", "events"),
]
# The queries join them.
OTHERS = ["deployments", "lineage"]

TYPES = {"integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "string": "VARCHAR"}


@pytest.fixture(scope="module")
def schemas(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    streams = next(m for m in run_here("discover", config) if m["type"] == "CATALOG")["catalog"]["streams"]
    return {stream["name"]: stream["json_schema"]["properties"] for stream in streams}


@pytest.fixture(scope="module")
def sync(filled_server: PrefectServer, config: dict[str, Any]) -> Sync:
    """Everything about a shop's pipelines that have run a moment ago."""
    fill(filled_server)
    return read(config, [*STREAMS, *OTHERS]).ok()


@pytest.fixture(scope="module")
def warehouse(sync: Sync, schemas: dict[str, dict[str, Any]]) -> duckdb.DuckDBPyConnection:
    return load(sync, schemas)


def fill(server: PrefectServer) -> None:
    server.patch("work_pools/shop", {"concurrency_limit": 4})
    for name, limit in (("warehouse", 5), ("crm", 1)):
        server.post("v2/concurrency_limits/", {"name": name, "limit": limit})
    trigger = {"type": "event", "posture": "Reactive", "expect": ["prefect.flow-run.Failed"], "threshold": 1}
    body = {"name": "tell-the-team", "trigger": {**trigger, "within": 0}, "actions": [{"type": "do-nothing"}]}
    server.post("automations/", body)
    server.wait_for_events()


def load(sync: Sync, schemas: dict[str, dict[str, Any]]) -> duckdb.DuckDBPyConnection:
    """The rows as a destination has them: one table for each stream, one column for each declared one."""
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    for stream in [*STREAMS, *OTHERS]:
        columns = {name: _column_type(column) for name, column in schemas[stream].items()}
        declared = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        database.execute(f"CREATE TABLE {stream} ({declared})")
        rows = [[row.get(name) for name in columns] for row in sync.records[stream]]
        if rows:
            database.executemany(f"INSERT INTO {stream} VALUES ({', '.join('?' * len(columns))})", rows)
    return database


def _column_type(column: dict[str, Any]) -> str:
    if column.get("format") == "date-time":
        return "TIMESTAMPTZ"
    kinds = {column["type"]} if isinstance(column["type"], str) else set(column["type"]) - {"null"}
    return TYPES[kinds.pop()]


@pytest.mark.parametrize("stream", STREAMS)
def test_the_queries_of_a_page_find_something(stream: str, warehouse: duckdb.DuckDBPyConnection) -> None:
    queries = re.findall(r"```sql\n(.*?)```", (PAGES / f"{stream}.md").read_text(), re.DOTALL)
    assert queries
    for query in queries:
        assert warehouse.execute(query).fetchall(), query
