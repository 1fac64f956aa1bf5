"""Names of datasets in a catalog, and places of code: what prefect_openlineage makes of both."""

import json
import re
from pathlib import Path

import pytest

from prefect_openlineage.datasets import Datasets, Rule
from prefect_openlineage.settings import read_settings
from prefect_openlineage.source_code import source_code

MAPPING = Path(__file__).parents[1] / "prefect_openlineage" / "mapping.yml"


@pytest.mark.parametrize(
    ("name", "namespace", "dataset"),
    [
        ("shop.public.orders", "postgres://shop.example.com:5432", "shop.public.orders"),
        ("postgres.warehouse.mart.customers", "postgres://warehouse.example.com:5432", "warehouse.mart.customers"),
        ("postgres://prod/warehouse/mart/orders", "postgres://warehouse.example.com:5432", "warehouse.mart.orders"),
        ("snowflake://acme/analytics/public/orders", "snowflake://acme-prod", "ANALYTICS.PUBLIC.ORDERS"),
        # Object stores need no rule.
        ("s3://shop-exports/2026/customers.parquet", "s3://shop-exports", "2026/customers.parquet"),
        ("gs://exports", "gs://exports", "/"),
    ],
)  # fmt: skip
def test_the_mapping_that_is_shipped_fits_the_demo(name: str, namespace: str, dataset: str) -> None:
    datasets = read_settings(MAPPING).datasets
    assert datasets.of(name) == (namespace, dataset)
    assert not datasets.unmapped


@pytest.mark.parametrize(
    ("rule", "name", "expected"),
    [
        (Rule("bq://acme/", "bigquery", "acme-prod.{rest}"), "bq://acme/shop/orders", "acme-prod.shop.orders"),
        (Rule("lake://raw", "s3://raw", "{path}"), "lake://raw/2026/orders.v2.parquet", "2026/orders.v2.parquet"),
        (Rule("file://nas/", "file://nas", "/{path}"), "file://nas/orders.csv", "/orders.csv"),
        (Rule("x://host", "x", "{name}"), "x://host/a/b", "host.a.b"),
        (Rule("Sales", "mssql://h:1433", "{name}", "lower"), "Sales.dbo.Orders", "sales.dbo.orders"),
        (Rule("dwh.mart", "duckdb", "{path}"), "dwh.mart.orders", "orders"),
    ],
)
def test_a_rule_makes_the_name(rule: Rule, name: str, expected: str) -> None:
    assert Datasets([rule]).of(name) == (rule.namespace, expected)


def test_the_longest_prefix_counts_and_only_whole_parts_do() -> None:
    datasets = Datasets([Rule("shop", "all"), Rule("shop.eu", "europe"), Rule("shop.e", "nothing")])
    assert datasets.of("shop.eu.orders").namespace == "europe"
    assert datasets.of("shop.us.orders").namespace == "all"
    assert datasets.of("shop").namespace == "all"
    assert not datasets.unmapped
    datasets.of("shopping.eu.orders")
    assert datasets.unmapped == {"shopping.eu.orders": 1}


def test_what_no_rule_maps_is_kept_and_counted() -> None:
    datasets = Datasets(unmapped_namespace="tags")
    assert datasets.of("crm.api.contacts") == ("tags", "crm.api.contacts")
    assert datasets.of("postgres://prod/warehouse/mart/orders") == ("postgres://prod", "warehouse.mart.orders")
    assert datasets.of("crm.api.contacts") == ("tags", "crm.api.contacts")
    assert datasets.unmapped == {"crm.api.contacts": 2, "postgres://prod/warehouse/mart/orders": 1}


@pytest.mark.parametrize(
    ("mapping", "error"),
    [
        ("- shop", "is no mapping of words to values"),
        ("dataset: []", "holds dataset, of which nothing is known"),
        ("jobs: {name: run}", "The name of jobs is run: it may be deployment or flow."),
        ("jobs: {namespace: '{account}'}", "The namespace of jobs holds {account}: it may hold {workspace}."),
        ("datasets: [{prefix: shop}]", "A rule for datasets needs a prefix and a namespace."),
        ("datasets: [{prefix: shop, namespace: x, case: Upper}]", "it may be upper or lower"),
        ("datasets: [{prefix: shop, namespace: x, name: '{table}'}]", "it may hold name, rest or path"),
        ("datasets: [{prefix: shop, to: x}]", "rule 1 of datasets holds to, of which nothing is known"),
    ],
)
def test_a_wrong_mapping_says_what_is_wrong(tmp_path: Path, mapping: str, error: str) -> None:
    file = tmp_path / "mapping.yml"
    file.write_text(mapping)
    with pytest.raises((ValueError, TypeError), match=re.escape(error)):
        read_settings(file)


def test_without_a_mapping_jobs_are_deployments_of_prefect(tmp_path: Path) -> None:
    (tmp_path / "empty.yml").write_text("")
    for settings in (read_settings(None), read_settings(tmp_path / "empty.yml")):
        assert (settings.job_namespace, settings.job_per_deployment) == ("prefect", True)
        assert settings.datasets.of("a.b.c").namespace == "prefect"


@pytest.mark.parametrize(
    ("repository", "more", "url"),
    [
        ("https://github.com/acme/flows.git", {"branch": "main"}, "https://github.com/acme/flows/blob/main/etl/orders.py"),
        ("https://key:secret@gitlab.com/acme/flows/", {}, "https://gitlab.com/acme/flows/-/blob/HEAD/etl/orders.py"),
        ("git@bitbucket.org:acme/flows.git", {"commit_sha": "4f2c"}, "https://bitbucket.org/acme/flows/src/4f2c/etl/orders.py"),
        ("https://git.acme.example:8443/flows.git", {}, "https://git.acme.example:8443/flows"),
    ],
)  # fmt: skip
def test_the_code_of_a_deployment_is_found(repository: str, more: dict[str, str], url: str) -> None:
    steps = [{"prefect.deployments.steps.git_clone": {"repository": repository, **more}}]
    code = source_code("etl/orders.py:load_orders", json.dumps(steps))
    assert code is not None
    assert (code.url, code.path) == (url, "etl/orders.py")
    assert code.repository == url.partition("/-/")[0].partition("/blob/")[0].partition("/src/")[0]


@pytest.mark.parametrize(
    "steps",
    [None, "[]", "no JSON", "{}", '["x"]', '[{"prefect.deployments.steps.set_working_directory": {"directory": "/"}}]',
     '[{"git_clone": {"repository": "{{ prefect.blocks.x }}"}}]', '[{"git_clone": null}]'],
)  # fmt: skip
def test_where_no_repository_is_named_no_code_is_found(steps: str | None) -> None:
    assert source_code("etl/orders.py:load_orders", steps) is None
