"""The queries of docs/streams run on real runs, in DuckDB and PostgreSQL, in any time zone."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devtools.connector import Sync
from devtools.connector import read_here as read
from devtools.data.tables import columns, write_duckdb, write_postgres
from devtools.servers.postgres import postgres
from devtools.servers.prefect import PrefectServer
from integration_tests.health.warehouse import DuckDB, PostgreSQL, Warehouse

PAGES = Path(__file__).parent.parent / "docs" / "streams"
STREAMS = sorted(page.stem for page in PAGES.glob("*.md"))
ZONES = ["America/Los_Angeles", "Asia/Tokyo"]

# test_lineage.py runs the queries of this page on the rows of its examples.
WITH_ROWS_OF_ITS_OWN = "lineage"


@pytest.fixture(scope="module")
def sync(filled_server: PrefectServer, config: dict[str, Any]) -> Sync:
    """Everything about a shop's pipelines that have run a moment ago."""
    fill(filled_server)
    return read(config, STREAMS).ok()


@pytest.fixture(scope="module")
def warehouses(sync: Sync, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Warehouse]]:
    """The rows as PyAirbyte writes them: times in UTC, without a zone."""
    file = tmp_path_factory.mktemp("pages") / "prefect.duckdb"
    tables = {stream: sync.records[stream] for stream in STREAMS}
    write_duckdb(file, tables)
    with postgres() as url:
        write_postgres(url, "prefect", tables)
        yield [DuckDB(file), PostgreSQL(url, "prefect")]


def fill(server: PrefectServer) -> None:
    server.patch("work_pools/shop", {"concurrency_limit": 4})
    server.post("work_pools/shop/workers/heartbeat", {"name": "worker 1"})
    # A pool where nobody works.
    server.post("work_pools/", {"name": "idle", "type": "process"})
    flow = server.post("flows/", {"name": "load-orders"})["id"]
    server.post("deployments/", {"name": "idle", "flow_id": flow, "work_pool_name": "idle"})
    secret = server.get("block_types/slug/secret")["id"]
    schema = server.post("block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [secret]}}})[0]["id"]
    server.post(
        "block_documents/", {"name": "crm", "data": {"value": "x"}, "block_type_id": secret, "block_schema_id": schema}
    )
    server.post("variables/", {"name": "old_schema", "value": "staging"})
    server.delete("variables/name/old_schema")
    for name, limit in (("warehouse", 5), ("crm", 1)):
        server.post("v2/concurrency_limits/", {"name": name, "limit": limit})
    trigger = {"type": "event", "posture": "Reactive", "expect": ["prefect.flow-run.Failed"], "threshold": 1}
    body = {"name": "tell-the-team", "trigger": {**trigger, "within": 0}, "actions": [{"type": "do-nothing"}]}
    server.post("automations/", body)
    deployment = server.get("deployments/name/load-orders/nightly")
    # One run of a deployment that is to begin, and one that has.
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for states in (
        [{"type": "SCHEDULED", "state_details": {"scheduled_time": soon}}],
        [{"type": "PENDING"}, {"type": "RUNNING"}, {"type": "COMPLETED"}],
    ):
        run = server.post(f"deployments/{deployment['id']}/create_flow_run", {"state": states[0]})
        for state in states[1:]:
            server.post(f"flow_runs/{run['id']}/set_state", {"state": state})
    server.wait_for_events()


def queries(stream: str) -> list[str]:
    return re.findall(r"```sql\n(.*?)```", (PAGES / f"{stream}.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("stream", STREAMS)
def test_the_queries_of_a_page_say_the_same_everywhere(stream: str, warehouses: list[Warehouse]) -> None:
    assert queries(stream)
    for query in queries(stream):
        answers = [sorted(house.ask(query, zone=zone), key=str) for house in warehouses for zone in ZONES]
        assert all(answer == answers[0] for answer in answers), query
        assert answers[0] or stream == WITH_ROWS_OF_ITS_OWN, query


@pytest.mark.parametrize("stream", STREAMS)
def test_a_page_says_time_zone_key_and_joins_that_are_there(stream: str) -> None:
    section = (PAGES / f"{stream}.md").read_text().split("\n## Time zone, key and joins\n", 1)[1].split("\n## ", 1)[0]
    said = re.findall(r"^\| (time zone|key|joins) \| (.+) \|$", section, re.MULTILINE)
    assert [name for name, _ in said][:2] == ["time zone", "key"]
    assert said[1][1] == "`id`"
    for column, table, other in re.findall(r"`(\w+)` = \[(\w+)\]\(\w+\.md\)`\.(\w+)`", section):
        assert column in columns(stream)
        assert other in columns(table)
