"""The page about pipeline health: its numbers are those of the SQL, and a real Chromium shows it without complaint."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Literal

import duckdb
import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from devtools.browser import DESK, PHONE, cells, chromium, open_page
from devtools.warehouse import AS_OF, UI, write_warehouse
from examples.pipeline_health.tables import open_health

ROOT = Path(__file__).resolve().parent.parent

# Each table of the page, and the query that must say the same: its columns in the order of the page.
SHOWN = {
    "unresolved-table": "SELECT flow, deployment, name, state_name, end_time, failures, succeeded_at, state_message "
    "FROM health_unresolved",
    "now-table": "SELECT status, flow, deployment, name, state_name, since, seconds FROM health_now",
    "days-table": "SELECT ended_on, flow, runs, succeeded, failed, crashed, cancelled, success_rate FROM health_days",
    "success-flow": "SELECT flow, runs, success_rate, trend, failed, flow_retries, task_retries FROM health_success "
    "WHERE level = 'flow'",
    "success-deployment": "SELECT flow, deployment, runs, success_rate, trend, failed, flow_retries, task_retries "
    "FROM health_success WHERE level = 'deployment'",
    "duration-flow": "SELECT flow, runs, p50, p95, p99 FROM health_percentiles "
    "WHERE measure = 'duration' AND level = 'flow'",
    "lateness-deployment": "SELECT flow, deployment, runs, p50, p95, p99 FROM health_percentiles "
    "WHERE measure = 'lateness' AND level = 'deployment'",
    "queue-flow": "SELECT flow, runs, p50, p95, p99 FROM health_percentiles WHERE measure = 'queue' AND level = 'flow'",
    "owners-table": "SELECT owner, flows, runs, failed, success_rate FROM health_owners",
    "freshness-table": "SELECT destination, status, written_at, age_seconds, usual_seconds, flow FROM health_freshness",
}


def write_report(database: Path, page: Path) -> Path:
    command = [sys.executable, "-m", "examples.pipeline_health.report", str(database), str(page)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("warehouse") / "prefect.duckdb"
    write_warehouse(file)
    return file


@pytest.fixture(scope="module")
def report(warehouse: Path) -> Path:
    return write_report(warehouse, warehouse.with_name("report.html"))


@pytest.fixture(scope="module")
def page(browser: Browser, report: Path) -> Page:
    """The page on a wide screen, for the tests that only look."""
    return open_page(browser, report, DESK)


def as_text(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, date) else str(value)


@pytest.mark.parametrize("table", SHOWN)
def test_the_numbers_on_the_page_are_those_of_the_sql(page: Page, warehouse: Path, table: str) -> None:
    with open_health(warehouse) as health:
        expected = [[as_text(value) for value in row] for row in health.execute(SHOWN[table]).fetchall()]
    assert expected
    assert sorted(cells(page, table)) == sorted(expected)


def test_the_views_agree_with_a_plain_count_of_the_rows(page: Page, warehouse: Path) -> None:
    with duckdb.connect(str(warehouse), read_only=True) as plain:
        runs = plain.execute(
            "SELECT state_type, epoch(end_time - start_time) FROM flow_runs WHERE end_time >= ? - INTERVAL 30 DAY",
            [AS_OF],
        ).fetchall()
        took = sorted(
            float(seconds)
            for (seconds,) in plain.execute(
                "SELECT total_run_time FROM flow_runs JOIN flows ON flows.id = flow_id "
                "WHERE flows.name = 'load-orders' AND state_type = 'COMPLETED' AND end_time >= ? - INTERVAL 30 DAY",
                [AS_OF],
            ).fetchall()
        )
    states = [state for state, _ in runs]
    failed = states.count("FAILED") + states.count("CRASHED")

    def tile(name: str) -> str:
        return page.get_attribute(f"[data-tile={name}]", "data-value") or ""

    assert tile("runs") == str(len(runs))
    assert tile("failed") == str(failed)
    assert float(tile("success-rate")) == pytest.approx(
        states.count("COMPLETED") / (states.count("COMPLETED") + failed)
    )
    percentiles = next(row for row in cells(page, "duration-flow") if row[0] == "load-orders")
    nearest_rank = [took[-(-percent * len(took) // 100) - 1] for percent in (50, 95, 99)]
    assert [float(value) for value in percentiles[2:]] == nearest_rank


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_the_page_fits_and_can_be_read(
    browser: Browser, report: Path, viewport: ViewportSize, scheme: Literal["light", "dark"]
) -> None:
    page = open_page(browser, report, viewport, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    paper, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert contrast(paper, ink) >= 7
    # What Plotly draws is of the same scheme.
    text = page.evaluate("getComputedStyle(document.querySelector('#days-chart .xtick text')).fill")
    assert contrast(paper, text) >= 7


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, `rgb(r, g, b)`, as WCAG counts it."""

    def luminance(colour: str) -> float:
        channels = [int(value) / 255 for value in colour.removeprefix("rgb(").removesuffix(")").split(",")]
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


def test_a_screen_reader_finds_its_way(page: Page) -> None:
    levels = page.eval_on_selector_all("h1, h2, h3", "headings => headings.map(heading => heading.tagName)")
    assert levels == ["H1", *["H2"] * (len(levels) - 1)]
    assert len(levels) == 12
    charts = page.eval_on_selector_all(
        ".chart", "charts => charts.map(chart => [chart.getAttribute('role'), chart.getAttribute('aria-label')])"
    )
    assert len(charts) == 5
    assert all(role == "img" and len(alt) > 40 for role, alt in charts)
    assert page.eval_on_selector_all("table", "tables => tables.every(table => table.caption)")
    assert page.get_by_role("heading", name="Freshness of tables").count() == 1
    # A state is told by a word and a sign, not by its colour.
    assert page.inner_text("#freshness-table tbody tr:first-child .status") == "⚠ stale"
    assert page.evaluate("document.querySelector('#days-chart').data.map(bars => bars.marker.pattern.shape)") == [
        "", "/", "x", ".",
    ]  # fmt: skip


def test_tables_are_sorted_by_a_click(browser: Browser, report: Path) -> None:
    page = open_page(browser, report, DESK)
    runs = page.get_by_role("region", name="By flow, the worst first").get_by_role("button", name="Runs")
    before = cells(page, "success-flow")
    runs.click()
    ascending = cells(page, "success-flow")
    assert [int(row[1]) for row in ascending] == sorted(int(row[1]) for row in before)
    runs.press("Enter")
    assert [row[1] for row in cells(page, "success-flow")] == [row[1] for row in ascending][::-1]
    heading = page.locator("#success-flow th").nth(1)
    assert heading.get_attribute("aria-sort") == "descending"


def test_every_figure_leads_to_prefect(page: Page) -> None:
    unlinked = page.eval_on_selector_all(
        "td.count, td.rate, td.trend, td.seconds",
        "cells => cells.filter(cell => !cell.querySelector('a') && ![ '', '0' ].includes(cell.dataset.value))"
        ".map(cell => cell.closest('table').id + ': ' + cell.textContent)",
    )
    assert unlinked == []
    links = page.eval_on_selector_all("td a", "links => links.map(link => link.href)")
    assert links
    assert all(link.startswith(f"{UI}/") for link in links)
    # So does a point of a chart. Plotly hears a click on its own layer above the points.
    bar = page.locator("#days-chart .bars .point").first
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    assert box
    with page.expect_popup() as opened:
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    opened.value.close()


def test_the_picture_of_lineage_tells_declared_from_observed(page: Page) -> None:
    known = {(source, to): why for source, to, why, _, _ in cells(page, "lineage-table")}
    mart = "warehouse.mart.customers"
    assert known == {
        ("shop.public.orders", "warehouse.staging.orders"): "declared",
        ("shop.public.customers", "warehouse.staging.orders"): "declared",
        ("warehouse.staging.orders", mart): "declared and observed",
        ("crm.api.contacts", "warehouse.staging.contacts"): "declared",
        ("warehouse.staging.contacts", mart): "declared",
        ("s3://shop-exports/customers.parquet", mart): "observed",
        (mart, ""): "declared",
        ("", "warehouse.forecast.demand"): "declared",
    }
    legend = page.eval_on_selector_all("#lineage-chart .legendtext", "texts => texts.map(text => text.textContent)")
    assert legend == ["declared and observed (1)", "declared by tags only (4)", "observed in runs only (1)"]
    dashes = page.evaluate(
        "document.querySelector('#lineage-chart').data"
        ".filter(edges => edges.mode === 'lines').map(edges => edges.line.dash)"
    )
    assert dashes == ["solid", "dash", "dot"]


def test_names_are_text_and_never_markup(page: Page) -> None:
    assert "<script>alert(1)</script>" in [row[0] for row in cells(page, "success-flow")]
    assert page.locator("td b").count() == 0
    assert page.inner_text("#unresolved-table td.message") == "CRM answered 503 <b>„Wartung“</b>"


@pytest.mark.parametrize("columns", [None, "id VARCHAR, _airbyte_extracted_at TIMESTAMP"], ids=["missing", "empty"])
def test_tables_may_be_missing_or_empty(browser: Browser, tmp_path: Path, columns: str | None) -> None:
    file = tmp_path / "prefect.duckdb"
    with duckdb.connect(str(file)) as connection:
        if columns:
            connection.execute(f"CREATE TABLE flow_runs ({columns})")
    page = open_page(browser, write_report(file, tmp_path / "report.html"), PHONE)
    assert page.inner_text("header p") == "There are no flow runs in these tables yet."
    assert page.locator("table").count() == 0
    assert page.locator(".empty").count() == 13
