"""Each catalog takes the events; and its stub refuses what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from devtools.data.openlineage_tables import write_rows
from devtools.servers.data_catalogs import KEY, Atlan, Catalog, DataHub, Dataplex, Marquez, OpenMetadata, served
from integration_tests.openlineage_rows import (
    DONE,
    FAILED,
    MAKE,
    MAPPING,
    RETRYING,
    RUNNING,
    emitted,
    flow_run,
    made,
    told,
    update,
)
from prefect_openlineage.__main__ import main


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_API_KEY", KEY)


def send_to(catalog: Catalog, name: str, tables: Path, *options: str) -> None:
    with served(catalog) as running:
        assert main([str(tables), "--mapping", str(MAPPING), "--to", name, "--url", running.url, *options]) == 0


@pytest.mark.parametrize(("name", "catalog"), [("marquez", Marquez()), ("datahub", DataHub()), ("atlan", Atlan())])
def test_every_event_is_taken(tables: Path, tmp_path: Path, name: str, catalog: Catalog) -> None:
    send_to(catalog, name, tables)
    expected = emitted(tables, tmp_path / "events.jsonl")
    assert [about(event) for event in catalog.taken] == [about(event) for event in expected]
    # Marquez puts the events of a run together; the others get what does not change with each of
    # them.
    is_same = [taken == event for taken, event in zip(catalog.taken, expected, strict=True)]
    starts = [event["eventType"] == "START" for event in expected]
    assert (
        all(is_same) if name == "marquez" else all(same for same, start in zip(is_same, starts, strict=True) if start)
    )


def about(event: dict[str, Any]) -> tuple[str, ...]:
    """When what happened to which run of which job."""
    return event["eventTime"], event["eventType"], event["run"]["runId"], event["job"]["name"]


def test_atlan_sees_the_namespace_of_its_connection(tables: Path, tmp_path: Path) -> None:
    catalog = Atlan(connection="prefect-production")
    send_to(catalog, "atlan", tables)
    assert (len(catalog.taken), len(catalog.ignored)) == (0, 16)
    mapping = tmp_path / "atlan.yml"
    mapping.write_text("jobs: {namespace: prefect-production}")
    send_to(catalog, "atlan", tables, "--mapping", str(mapping), "--everything")
    assert (len(catalog.taken), len(catalog.ignored)) == (16, 16)


def test_openmetadata_gets_each_edge_once_and_tells_which_it_dropped(
    tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = [flow_run(f"00000000-0000-4000-8000-0000000001{n:02}", "COMPLETED") for n in range(9)]
    write_rows(tables, {"flow_runs": others})
    warehouse = ("dwh.warehouse.staging.orders", "dwh.warehouse.mart.customers", "shopdb.shop.public.orders")
    services = {"postgres://warehouse.example.com:5432": "dwh", "postgres://shop.example.com:5432": "shopdb"}
    catalog = OpenMetadata(tables=warehouse, services=services)
    send_to(catalog, "openmetadata", tables)
    assert catalog.edges == {(warehouse[2], warehouse[0]), (warehouse[2], warehouse[1])}
    assert told(catalog.taken) == [
        (DONE, "COMPLETE", "load-orders/nightly"),
        # The others, which have made no asset, draw the same edges as the first of them.
        (others[0]["id"], "COMPLETE", "load-orders/nightly"),
        (MAKE, "COMPLETE", "load-orders/nightly.build_customers"),
    ]
    said = capsys.readouterr().err
    assert "2 of 6 edges were drawn: it does not know all the tables of load-orders/nightly (1 times)" in said
    assert "0 of 1 edges were drawn: it does not know all the tables of load-orders/nightly.build_customers" in said


def test_dataplex_is_spared_what_is_beyond_its_limits(tables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = json.dumps([f"s3://in/{n}" for n in range(40)])
    many_links = [made(f"m{n}", RETRYING, None, asset=f"s3://out/{n}", upstream_assets=inputs) for n in range(40)]
    inputs = json.dumps([f"s3://in/{n}{'ü' * 1_000}" for n in range(999)])
    many_bytes = made("b", FAILED, None, upstream_assets=inputs)
    long_name = made("l", RUNNING, None, asset=f"s3://out/{'x' * 4_000}")
    write_rows(tables, {"asset_materializations": [*many_links, many_bytes, long_name]})
    update(tables, "DELETE FROM lineage")
    catalog = Dataplex()
    send_to(catalog, "dataplex", tables, "--endpoint", catalog.path)
    assert {run for run, _, _ in told(catalog.taken)} & {RETRYING, RUNNING, FAILED} == set()
    assert len(catalog.taken) == 12
    said = capsys.readouterr().err
    assert "Not sent, for load-orders/nightly has 1600 links in an event, of 1000 at most (1 times)" in said
    assert "a name of more than 4000 characters" in said
    assert "Not sent, for load-orders/nightly has an event of more than 5,000,000 bytes (2 times)" in said


@pytest.mark.parametrize(
    ("catalog", "spoil"),
    [
        (Marquez(), {"eventTime": "2026-11-20T02:01:10"}),
        (Marquez(), {"run": {}}),
        (DataHub(), {"run": {"runId": "flow-run-1"}}),
        (DataHub(), {"job": {"namespace": "x", "name": "y", "facets": {"ownership": {"owners": "Ana"}}}}),
        (DataHub(), {"dataset": {}, "run": None}),
        (OpenMetadata(), {"tenant": "acme"}),
        (Dataplex(), {"inputs": [{"namespace": "x", "name": "x" * 4_000}]}),
        (Dataplex(), {"outputs": [{"namespace": "x", "name": str(n)} for n in range(501)]}),
    ],
)  # fmt: skip
def test_the_stubs_refuse_what_the_catalogs_refuse(
    tables: Path, tmp_path: Path, catalog: Catalog, spoil: dict[str, Any]
) -> None:
    event = emitted(tables, tmp_path / "events.jsonl")[1]
    event["inputs"] = event["inputs"][:2]
    assert catalog.take(event).status < 300
    assert catalog.take(event | spoil).status >= 400


def test_a_wrong_key_stops_it(
    tables: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "another")
    catalog = Atlan()
    with served(catalog) as running:
        options = [str(tables), "--to", "atlan", "--url", running.url]
        assert main([*options, "--skip-refused"]) == 1
        assert "401" in capsys.readouterr().err
        # A header of one's own does as well.
        monkeypatch.delenv("OPENLINEAGE_API_KEY")
        assert main([*options, "--header", f"Authorization: Bearer {KEY}"]) == 0
    assert len(catalog.taken) == 16
