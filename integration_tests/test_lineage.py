import json
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from devtools.connector import read_here
from devtools.data.bulk import insert_deployments
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Request, proxy

Row = dict[str, Any]

DOCUMENTATION = Path(__file__).parent.parent / "docs" / "streams" / "lineage.md"


@pytest.fixture(autouse=True)
def _no_flows(server: PrefectServer) -> None:
    """Every test begins without flows; their deployments go with them."""
    for flow in server.rows("flows"):
        server.delete(f"flows/{flow['id']}")
    assert server.rows("deployments") == []


def create_flow(server: PrefectServer, name: str, *tags: str) -> str:
    flow_id: str = server.post("flows/", {"name": name, "tags": tags})["id"]
    return flow_id


def deploy(server: PrefectServer, flow_id: str, name: str, *tags: str) -> str:
    deployment_id: str = server.post("deployments/", {"flow_id": flow_id, "name": name, "tags": tags})["id"]
    return deployment_id


def lineage(config: Mapping[str, Any]) -> list[Row]:
    """The rows of a sync. The CDK leaves out what is null, so they are compared as such."""
    rows = read_here(config, ["lineage"]).ok().records["lineage"]
    ids = [row["id"] for row in rows]
    assert len(ids) == len(set(ids))
    return rows


def in_order(rows: list[Row]) -> list[Row]:
    """The rows without their ids, in an order that does not depend on when they were read."""
    return sorted(({**row, "id": "-"} for row in rows), key=json.dumps)


def pairs(rows: list[Row]) -> set[tuple[str | None, ...]]:
    """Who reads and writes what, in short."""
    columns = ("flow_name", "deployment_name", "source", "destination")
    return {tuple(row.get(column) for column in columns) for row in rows}


def test_each_deployment_has_its_own_edges(server: PrefectServer, config: dict[str, Any]) -> None:
    load = create_flow(server, "load")
    eu = deploy(server, load, "eu", "om-source:crm_eu.public.customers", "om-destination:lake.raw.customers_eu")
    us = deploy(server, load, "us", "source:crm_us.public.customers", "om-destination:prod.lake.raw.customers_us")
    # A flow's own tags count for each of its deployments, and stand alone where there is none.
    mart = create_flow(server, "mart", "team:finance", " Destination :Warehouse.Mart.Sales")
    nightly = deploy(server, mart, "nightly", "OM-Source: Warehouse.Sales.Orders ", "source:Warehouse.Sales.Orders")
    deploy(server, create_flow(server, "clean"), "weekly", "om-source:", "data-source:a.b.c")
    report = create_flow(server, "report", "om-source:warehouse.mart.sales")
    server.patch(f"flows/{mart}", {"tags": ["destination:Warehouse.Mart.Sales"]})

    ui = server.url.removesuffix("/api")
    expected = [
        {
            "id": "-",
            "source": "crm_eu.public.customers",
            "source_database": "crm_eu",
            "source_schema": "public",
            "source_table": "customers",
            "destination": "lake.raw.customers_eu",
            "destination_database": "lake",
            "destination_schema": "raw",
            "destination_table": "customers_eu",
            "flow_id": load,
            "flow_name": "load",
            "deployment_id": eu,
            "deployment_name": "eu",
            "tag_format": "om",
            "updated": server.get(f"deployments/{eu}")["updated"],
            "ui_url": f"{ui}/deployments/deployment/{eu}",
        },
        {
            "id": "-",
            "source": "crm_us.public.customers",
            "source_database": "crm_us",
            "source_schema": "public",
            "source_table": "customers",
            "destination": "prod.lake.raw.customers_us",
            "destination_service": "prod",
            "destination_database": "lake",
            "destination_schema": "raw",
            "destination_table": "customers_us",
            "flow_id": load,
            "flow_name": "load",
            "deployment_id": us,
            "deployment_name": "us",
            "tag_format": "mixed",
            "updated": server.get(f"deployments/{us}")["updated"],
            "ui_url": f"{ui}/deployments/deployment/{us}",
        },
        {
            "id": "-",
            "source": "Warehouse.Sales.Orders",
            "source_database": "Warehouse",
            "source_schema": "Sales",
            "source_table": "Orders",
            "destination": "Warehouse.Mart.Sales",
            "destination_database": "Warehouse",
            "destination_schema": "Mart",
            "destination_table": "Sales",
            "flow_id": mart,
            "flow_name": "mart",
            "deployment_id": nightly,
            "deployment_name": "nightly",
            "tag_format": "mixed",
            # The flow was changed after it was deployed.
            "updated": server.get(f"flows/{mart}")["updated"],
            "ui_url": f"{ui}/deployments/deployment/{nightly}",
        },
        {
            "id": "-",
            "source": "warehouse.mart.sales",
            "source_database": "warehouse",
            "source_schema": "mart",
            "source_table": "sales",
            "flow_id": report,
            "flow_name": "report",
            "tag_format": "om",
            "updated": server.get(f"flows/{report}")["updated"],
            "ui_url": f"{ui}/flows/flow/{report}",
        },
    ]
    before = lineage(config)
    assert in_order(before) == in_order(expected)

    # A tag that is removed takes its edges with it; the other rows stay what they are.
    server.patch(f"deployments/{us}", {"tags": []})
    assert lineage(config) == [row for row in before if row.get("deployment_id") != us]


def test_what_is_deployed_between_the_reads_is_whole(server: PrefectServer) -> None:
    load = create_flow(server, "load", "om-destination:lake")
    report = create_flow(server, "report", "om-source:mart")
    for name in ("eu", "us", "asia"):
        deploy(server, load, name, f"om-source:crm_{name}")

    def meanwhile(request: Request, forward: Forward) -> Answer:
        if request.path == "deployments/filter" and request.body["offset"] == 0:
            deploy(server, report, "first", "om-destination:bi")
            deploy(server, create_flow(server, "new", "om-source:orders"), "new", "om-destination:stock")
            deploy(server, create_flow(server, "brief", "om-source:orders"), "brief", "om-destination:x")
        if request.path == "flows/filter" and "flows" in request.body:
            brief = next(flow for flow in server.rows("flows") if flow["name"] == "brief")
            server.delete(f"flows/{brief['id']}")
        return forward(request)

    with proxy(server.url, meanwhile) as served:
        rows = lineage({"connection": {"type": "server", "api_url": served.url}, "page_size": 2})

    assert pairs(rows) == {
        ("load", "eu", "crm_eu", "lake"),
        ("load", "us", "crm_us", "lake"),
        ("load", "asia", "crm_asia", "lake"),
        # It was without a deployment when the flows were read.
        ("report", "first", "mart", "bi"),
        # Its flow was not there yet.
        ("new", "new", "orders", "stock"),
        # Its flow was not there yet, then not any more: what the deployment itself declares is
        # kept.
        (None, "brief", None, "x"),
    }


def test_a_strange_row_does_not_stop_the_stream(server: PrefectServer) -> None:
    load = create_flow(server, "load", "om-destination:lake")
    for name in ("a-null", "a-number", "a-text", "a-list-of-things", "nobodys"):
        deploy(server, load, name, f"om-source:{name}")
    strange = {"a-null": None, "a-number": 7, "a-text": "om-source:x", "a-list-of-things": [None, 7, "om-source:x"]}

    def spoil(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if request.path != "deployments/filter":
            return answer
        rows = answer.rows
        for row in rows:
            row["tags"] = strange.get(row["name"], row["tags"])
            row["updated"] = "yesterday"
            if row["name"] == "nobodys":
                del row["flow_id"]
        return Answer.of(rows)

    with proxy(server.url, spoil) as served:
        rows = lineage({"connection": {"type": "server", "api_url": served.url}})

    assert pairs(rows) == {
        ("load", "a-null", None, "lake"),
        ("load", "a-number", None, "lake"),
        ("load", "a-text", None, "lake"),
        ("load", "a-list-of-things", "x", "lake"),
        (None, "nobodys", "nobodys", None),
    }


def test_the_documentation_shows_what_comes_of_its_own_example(
    server: PrefectServer, config: dict[str, Any], tmp_path: Path
) -> None:
    document = DOCUMENTATION.read_text()
    if "default" not in {pool["name"] for pool in server.rows("work_pools")}:
        server.post("work_pools/", {"name": "default", "type": "process"})
    (tmp_path / "pipelines.py").write_text(only(blocks(document, "python")))
    (tmp_path / "prefect.yaml").write_text(only(blocks(document, "yaml")))
    prefect = str(Path(sys.executable).with_name("prefect"))
    for command in ([sys.executable, "pipelines.py"], [prefect, "--no-prompt", "deploy", "--all"]):
        subprocess.run(command, cwd=tmp_path, env=server.env, check=True, capture_output=True)
    report = create_flow(server, "weekly-report")
    server.patch(f"flows/{report}", json.loads(only(re.findall(r"-d '(.*?)'", only(blocks(document, "bash"))))))

    (tmp_path / "lineage.json").write_text(json.dumps(lineage(config)))
    deployments = [{"id": row["id"], "tags": json.dumps(row["tags"])} for row in server.rows("deployments")]
    (tmp_path / "deployments.json").write_text(json.dumps(deployments))
    with duckdb.connect() as database:
        database.execute(f"CREATE TABLE lineage AS SELECT * FROM read_json('{tmp_path}/lineage.json')")
        columns = "{id: 'UUID', tags: 'VARCHAR'}"
        database.execute(
            f"CREATE TABLE deployments AS SELECT * FROM read_json('{tmp_path}/deployments.json', columns = {columns})"
        )
        queries = blocks(document, "sql")
        assert [str(database.sql(query)).strip() for query in queries] == blocks(document, "text")
        assert len(queries) == 4


def test_requests_do_not_grow_with_the_edges(server: PrefectServer) -> None:
    tables = range(450)
    insert_deployments(
        server.database,
        [[f"om-source:raw.shop.t{n}", "source:raw.shop.all", f"om-destination:mart.shop.t{n}"] for n in tables],
        until=datetime.now(UTC),
    )
    with proxy(server.url) as served:
        rows = lineage({"connection": {"type": "server", "api_url": served.url}})

    assert pairs(rows) == {
        (f"flow-{n}", f"deployment-{n}", source, f"mart.shop.t{n}")
        for n in tables
        for source in (f"raw.shop.t{n}", "raw.shop.all")
    }
    assert [request.path for request in served.log] == ["flows/filter"] * 3 + ["deployments/filter"] * 3


def blocks(document: str, language: str) -> list[str]:
    """The code blocks of a language in a page of the documentation."""
    return [block.strip() for block in re.findall(rf"^```{language}\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)]


def only(found: list[str]) -> str:
    assert len(found) == 1, found
    return found[0]
