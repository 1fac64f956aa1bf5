"""The page about pipeline health: its numbers are those of the models, and a real Chromium shows it without fault."""

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import duckdb
import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from devtools.browser import DESK, PHONE, cells, chromium, faults, open_page, switch
from devtools.connector import read_here as read
from devtools.past import give_past
from devtools.server import PrefectServer
from devtools.tables import write_duckdb
from devtools.warehouse import UI, young
from prefect_health.__main__ import main
from prefect_health.build import marts_schema
from prefect_health.marts import open_marts
from prefect_health.page import render
from prefect_openlineage.events import Jobs
from prefect_openlineage.tables import open_tables

CATALOG = "https://catalog.example.com/lineage/job/prefect"
ROOT = Path(__file__).resolve().parents[2]

# The midnight before the last 30 days.
SINCE = datetime(2026, 10, 21)

# Tables of the page, and the query that must say the same: its columns in the order of the page.
SHOWN = {
    "unresolved-table": "SELECT flow_name, deployment_name, last_run_name, state_name, last_failed_at, runs_lost, "
    "last_success_at, tables_hit, state_message FROM prefect__incidents WHERE is_open",
    "days-table": "SELECT day, flow_name, runs, succeeded, failed, crashed, cancelled, success_rate "
    "FROM prefect__reliability WHERE level = 'flow' AND day >= DATE '2026-10-21'",
    "duration-flow": "SELECT flow_name, count(*), quantile_disc(duration_seconds, 0.5), "
    "quantile_disc(duration_seconds, 0.95), quantile_disc(duration_seconds, 0.99) "
    "FROM prefect__runs WHERE outcome = 'succeeded' AND PERIOD GROUP BY 1",
    "owners-table": "SELECT owner, flows, runs, failed, open_incidents, success_rate FROM prefect__owners",
    "freshness-table": "SELECT table_name, status, last_written_at, age_seconds, usual_days, slots_passed, "
    "days_written, last_written_by, blocked_by FROM prefect__tables WHERE writers > 0",
    "slots-table": "SELECT flow_name, deployment_name, schedule, time_zone, count(*), "
    "count(*) FILTER (status = 'met'), count(*) FILTER (status = 'late'), count(*) FILTER (status = 'missed'), "
    "count(*) FILTER (status = 'skipped'), max(slot_at) FILTER (status = 'missed') "
    "FROM prefect__schedule_slots GROUP BY 1, 2, 3, 4",
}


def built_page(folder: Path, **tables: Any) -> Path:
    """The page as `make report` writes it, for these tables."""
    file = folder / "prefect.duckdb"
    write_duckdb(file, tables)
    main([str(file), str(folder / "report.html")])
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def report(neglected_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("neglected") / "report.html"
    with open_marts(str(neglected_file), marts_schema("main")) as marts:
        file.write_text(render(marts, neglected_file.name), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def page(browser: Browser, report: Path) -> Page:
    """The page on a wide screen, for the tests that only look."""
    return open_page(browser, report, DESK)


@pytest.fixture(scope="module")
def young_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_page(tmp_path_factory.mktemp("young"), **young())


@pytest.fixture(scope="module")
def empty_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_page(tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="module")
def demo_report(filled_server: PrefectServer, config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of `make demo`: a real server's rows, with a month of past."""
    # In this thread runs Playwright's loop.
    with ThreadPoolExecutor() as aside:
        aside.submit(give_past, filled_server).result()
    streams = [path.stem for path in (ROOT / "docs" / "streams").glob("*.md")]
    records = read(config, streams).ok().records
    now = datetime.now(UTC).replace(tzinfo=None)
    tables = {stream: [{**row, "_airbyte_extracted_at": now} for row in records[stream]] for stream in streams}
    return built_page(tmp_path_factory.mktemp("demo"), **tables)


def as_text(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, date) else str(value)


@pytest.mark.parametrize("table", SHOWN)
def test_the_numbers_on_the_page_are_those_of_the_models(page: Page, neglected_file: Path, table: str) -> None:
    with open_marts(str(neglected_file), marts_schema("main")) as marts:
        expected = [[as_text(value) for value in row.values()] for row in marts.rows(SHOWN[table])]
    assert expected
    assert sorted(cells(page, table)) == sorted(expected)


def test_the_models_agree_with_a_plain_count_of_the_rows(page: Page, neglected_file: Path) -> None:
    with duckdb.connect(str(neglected_file), read_only=True) as plain:
        states = Counter(
            state
            for (state,) in plain.execute("SELECT state_type FROM flow_runs WHERE end_time >= ?", [SINCE]).fetchall()
        )

    def tile(name: str) -> str:
        return page.get_attribute(f"[data-tile={name}]", "data-value") or ""

    assert tile("runs") == str(states.total())
    assert tile("failed") == str(states["FAILED"])
    rate = states["COMPLETED"] / (states["COMPLETED"] + states["FAILED"])
    assert float(tile("success-rate")) == pytest.approx(rate)
    assert {name: tile(name) for name in ("unresolved", "running", "stuck", "late", "missed", "stale")} == {
        "unresolved": "2", "running": "2", "stuck": "1", "late": "1", "missed": "11", "stale": "4",
    }  # fmt: skip


def test_each_row_about_a_flow_leads_to_its_job_where_a_catalog_has_an_address(neglected_file: Path) -> None:
    with open_tables(str(neglected_file)) as tables:
        jobs = Jobs.read(tables)
        runs = tables.rows("SELECT * FROM {flow_runs}")
    with open_marts(str(neglected_file), marts_schema("main")) as marts:
        pages = [render(marts, "", address) for address in (None, f"{CATALOG}/{{name}}", f"{CATALOG}/{{flow}}")]
    without, names, flows = (
        {unquote(name) for name in re.findall(f'href="{CATALOG}/([^"/]+)"', page)} for page in pages
    )
    assert not without
    # Some have not run in these days.
    linked = [run for run in runs if jobs.name(run) in names]
    assert len(linked) > len(runs) / 2
    assert flows >= {jobs.flows[run["flow_id"]]["name"] for run in linked}


@pytest.mark.parametrize("address", ["https://catalog", "https://catalog/{job}", "catalog/{name}", "https://catalog/{"])
def test_what_is_no_address_of_a_job_is_refused(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["prefect.duckdb", "report.html", "--catalog", address])
    assert "is no address with {name} in it" in capsys.readouterr().err


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("data_set", ["demo_report", "young_report", "empty_report", "report"])
def test_each_screen_can_be_read_in_light_and_dark(
    browser: Browser, request: pytest.FixtureRequest, data_set: str, viewport: ViewportSize
) -> None:
    page = open_page(browser, request.getfixturevalue(data_set), viewport)
    paper = "getComputedStyle(document.body).backgroundColor"
    schemes: dict[Literal["light", "dark"], str] = {"light": "rgb(255, 255, 255)", "dark": "rgb(23, 26, 33)"}
    for scheme, colour in schemes.items():
        switch(page, scheme)
        assert page.evaluate(paper) == colour
        assert faults(page) == []


def test_the_figures_of_one_page_agree(page: Page) -> None:
    tile = page.get_attribute("[data-tile=runs]", "data-value")
    by_table = {
        table: sum(int(row[column]) for row in cells(page, table))
        for table, column in {"days-table": 2, "success-flow": 1, "owners-table": 2}.items()
    }
    assert by_table == dict.fromkeys(by_table, int(tile or 0))


def test_a_screen_reader_finds_its_way(page: Page) -> None:
    levels = page.eval_on_selector_all("h1, h2, h3", "headings => headings.map(heading => heading.tagName)")
    assert levels == ["H1", *["H2"] * 15]
    charts = page.eval_on_selector_all(
        ".chart", "charts => charts.map(chart => [chart.getAttribute('role'), chart.getAttribute('aria-label')])"
    )
    assert len(charts) == 5
    assert all(role == "img" and len(alt) > 40 for role, alt in charts)
    assert page.eval_on_selector_all("table", "tables => tables.every(table => table.caption)")
    assert page.get_by_role("heading", name="Freshness of tables").count() == 1
    # A state is told by a word and a sign, not by its colour.
    assert page.inner_text("#freshness-table tbody tr:first-child .status") == "⚠ dead"
    assert page.evaluate("document.querySelector('#days-chart').data.map(bars => bars.marker.pattern.shape)") == [
        "", "/", "x", ".",
    ]  # fmt: skip


def test_tables_are_sorted_by_a_click(browser: Browser, report: Path) -> None:
    page = open_page(browser, report, DESK)
    runs = page.get_by_role("region", name="By flow, the worst first").get_by_role("button").nth(1)
    before = cells(page, "success-flow")
    runs.click()
    ascending = cells(page, "success-flow")
    assert [int(row[1]) for row in ascending] == sorted(int(row[1]) for row in before)
    runs.press("Enter")
    assert [row[1] for row in cells(page, "success-flow")] == [row[1] for row in ascending][::-1]
    heading = page.locator("#success-flow th").nth(1)
    assert heading.get_attribute("aria-sort") == "descending"


def test_each_row_leads_to_prefect_once(page: Page) -> None:
    links = page.eval_on_selector_all(
        "tbody tr", "rows => rows.map(row => [...row.querySelectorAll('a')].map(link => link.href))"
    )
    assert len(links) > 60
    assert max(map(len, links)) == 1
    assert all(link.startswith(f"{UI}/") for row in links for link in row)
    # Nothing lies behind a zero.
    assert "0" not in page.eval_on_selector_all("tbody a", "links => links.map(link => link.textContent)")
    # So does a point of a chart. Plotly hears a click on its own layer above the points.
    bar = page.locator("#days-chart .bars .point").first
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    assert box
    with page.expect_popup() as opened:
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    opened.value.close()


def test_a_row_that_is_late_stuck_or_running_says_so(page: Page) -> None:
    now = [(row[0], row[3]) for row in cells(page, "now-table")]
    assert now == [("stuck", "mart-stuck"), ("late", "ingest-late"), ("running", "ingest-running")]


def test_an_incident_says_what_was_changed_before(page: Page) -> None:
    changes = {row[3]: row[-1] for row in cells(page, "incidents-table")}
    assert changes == {
        "report-by-hand": "",
        "ingest-1120T100000": "2026-11-10 11:00 updated: entrypoint, parameters by Ana",
        "ingest-1105T040000": "",
    }


def test_errors_are_grouped(page: Page) -> None:
    errors = [row[:3] for row in cells(page, "errors-table")]
    assert errors == [
        ["Shop <n> at <id> answered <n>", "ingest", "241"],
        ["No disk <b>„voll“</b>", "report", "1"],
    ]


def test_a_trend_needs_enough_runs_on_both_sides(page: Page) -> None:
    trends = {row[0]: (row[4] != "", int(row[5])) for row in cells(page, "success-flow")}
    assert trends == {
        "ingest": (True, 348),
        "mart": (True, 26),
        # One run against 30; what has no run before.
        "legacy": (False, 30),
        "<script>alert(1)</script>": (False, 0),
        "report": (False, 0),
        "observed": (False, 0),
    }


def test_the_picture_of_lineage_tells_what_is_known_and_what_is_hit(page: Page) -> None:
    known = {(source, to): why for source, to, why, _, _ in cells(page, "lineage-table")}
    assert known == {
        ("shop.public.events", "raw.public.events"): "declared",
        ("raw.public.events", "mart.public.daily"): "declared",
        ("raw.public.events", "mart.public.observed"): "observed",
        ("dwh.circle.a", "dwh.circle.b"): "declared",
        ("dwh.circle.b", "dwh.circle.a"): "declared",
        ("", "dwh.legacy.archive"): "declared",
        ("", "dwh.legacy.bursts"): "declared",
    }
    legend = page.eval_on_selector_all("#lineage-chart .legendtext", "texts => texts.map(text => text.textContent)")
    assert legend == ["declared by tags only (4)", "observed in runs only (1)"]
    boxes = page.evaluate(
        "document.querySelector('#lineage-chart').layout.annotations.map(box => [box.text.split('<br>'), box.bgcolor])"
    )
    states = {" ".join(lines[:2]): (lines[-1] if "⚠" in lines[-1] else "", colour) for lines, colour in boxes}
    assert {name: state for name, (state, _) in states.items() if state} == {
        "<b>events</b> raw.public": "⚠ failing",
        "<b>daily</b> mart.public": "⚠ downstream of a failure",
        "<b>observed</b> mart.public": "⚠ downstream of a failure",
        "<b>archive</b> dwh.legacy": "⚠ dead",
    }
    assert len({colour for _, colour in states.values()}) == 4


def test_a_filter_leaves_the_rows_of_what_was_chosen(browser: Browser, report: Path) -> None:
    page = open_page(browser, report, DESK)

    def seen(table: str) -> list[str]:
        texts: list[str] = page.eval_on_selector_all(
            f"#{table} tbody tr:not([hidden])", "rows => rows.map(row => row.dataset.flow)"
        )
        return texts

    everything = seen("success-flow")
    assert len(everything) == 6
    page.locator("select[name=owner]").select_option("Ana")
    assert (seen("success-flow"), set(seen("days-table"))) == (["ingest"], {"ingest"})
    assert page.evaluate("document.querySelector('#calendar-chart').data[0].y") == ["ingest"]
    page.locator("select[name=flow]").select_option("mart")
    assert seen("success-flow") == []
    page.get_by_role("button", name="Show all", exact=True).click()
    assert seen("success-flow") == everything
    page.locator("select[name=tag]").select_option("critical")
    assert seen("success-flow") == ["ingest"]
    page.locator("select[name=tag]").select_option("")
    page.locator("select[name=pool]").select_option("shop")
    assert sorted(seen("success-flow")) == ["<script>alert(1)</script>", "ingest", "legacy", "mart", "report"]


def tiles(page: Page) -> dict[str, str]:
    found: dict[str, str] = page.eval_on_selector_all(
        "[data-tile]", "links => Object.fromEntries(links.map(link => [link.dataset.tile, link.dataset.value]))"
    )
    return found


def test_the_tiles_follow_the_filters(browser: Browser, report: Path, neglected_file: Path) -> None:
    page = open_page(browser, report, DESK)
    everything = tiles(page)
    page.locator("select[name=owner]").select_option("Ana")
    with open_marts(str(neglected_file), marts_schema("main")) as marts:
        (of_ana,) = marts.rows(
            "SELECT runs, succeeded / (succeeded + failed) AS rate, failed, open_incidents FROM prefect__owners "
            "WHERE owner = 'Ana'"
        )
    assert float(tiles(page)["success-rate"]) == pytest.approx(of_ana["rate"])
    assert {name: int(value) for name, value in tiles(page).items() if name != "success-rate"} == {
        "runs": of_ana["runs"], "failed": of_ana["failed"], "unresolved": of_ana["open_incidents"],
        "running": 1, "stuck": 0, "late": 1, "missed": 1, "stale": 1,
    }  # fmt: skip
    assert page.inner_text(".tile:has([data-tile=success-rate]) .note").endswith("points against 348 before")
    # One was missed weeks ago, and the next was kept: it is no alarm any more.
    assert page.inner_text(".tile:has([data-tile=missed]) .note") == "since the last kept; 2 of 732 in these days"
    # What a tile leads to shows the same.
    shown = page.locator("#freshness-table tbody tr:visible")
    assert shown.evaluate_all("rows => rows.map(row => row.dataset.table)") == ["raw.public.events"]

    # A deployment and a run by hand.
    page.locator("select[name=owner]").select_option("(no owner)")
    page.locator("select[name=flow]").select_option("report")
    assert {name: tiles(page)[name] for name in ("runs", "failed", "unresolved", "missed")} == {
        "runs": "2", "failed": "1", "unresolved": "1", "missed": "0",
    }  # fmt: skip
    page.locator("select[name=owner]").select_option("Ben")
    assert tiles(page)["runs"] == "0"
    assert tiles(page)["success-rate"] == ""
    page.get_by_role("button", name="Show all", exact=True).click()
    assert tiles(page) == everything


def test_a_run_without_a_deployment_is_not_filtered_with_the_deployments(browser: Browser, report: Path) -> None:
    page = open_page(browser, report, DESK)
    page.locator("select[name=pool]").select_option("shop")
    shown = page.locator("#unresolved-table tbody tr:visible")
    assert shown.evaluate_all("rows => rows.map(row => row.dataset.flow)") == ["ingest"]
    assert tiles(page)["unresolved"] == "1"


def test_a_long_table_says_how_many_rows_it_has(browser: Browser, report: Path) -> None:
    page = open_page(browser, report, DESK)
    page.get_by_text("Runs by day and flow, as a table").click()
    rows = page.locator("#days-table tbody tr:visible")
    assert rows.count() == 10
    page.get_by_role("button", name=f"Show all {len(cells(page, 'days-table'))} rows").click()
    assert rows.count() == len(cells(page, "days-table"))


def test_each_flow_has_a_sparkline_of_its_days(page: Page) -> None:
    spark = page.locator("#success-flow tr[data-flow=ingest] svg")
    assert spark.get_attribute("aria-label") == "Success by day: 0 to 100 %"
    bars = spark.evaluate(
        "svg => Object.values(Object.groupBy(svg.children, bar => bar.getAttribute('x')))"
        ".map(bar => bar.map(part => [part.getAttribute('class'), Number(part.getAttribute('height'))]))"
    )
    assert len(bars) == 31
    # All failed; two of 24 did, and half; none did.
    assert bars[-1] == [["low", 18]]
    assert [bar for bar in bars if len(bar) == 2] == [[["low", 2], [None, 16]], [["low", 9], [None, 9]]]
    assert bars.count([[None, 18]]) == 19
    assert page.locator("#success-flow tr[data-flow=report] svg rect").count() == 2


def test_a_phone_sees_cards_with_all_that_a_desk_sees(browser: Browser, report: Path) -> None:
    page = open_page(browser, report, PHONE)
    card = page.locator("#unresolved-table tbody tr").filter(has_text="report-by-hand")
    text = card.inner_text()
    assert "No disk <b>„voll“</b>" in text
    assert "2026-11-20 11:01" in text
    width = page.evaluate("innerWidth")
    for cell in card.locator("td:visible").all():
        box = cell.bounding_box()
        assert box
        assert box["x"] + box["width"] <= width
    # What has no value takes no room.
    assert page.locator('td[data-value=""]:visible').count() == 0
    # What names a value is in the page's text, not only in a heading that a card lacks.
    titles = page.eval_on_selector_all(
        "#unresolved-table tbody tr:first-child td", "cells => cells.map(cell => cell.dataset.title)"
    )
    assert titles[3:6] == ["State", "Failed", "Failures in a row"]


def test_names_are_text_and_never_markup(page: Page) -> None:
    assert "<script>alert(1)</script>" in [row[0] for row in cells(page, "success-flow")]
    assert page.locator("td b").count() == 0
    assert "No disk <b>„voll“</b>" in page.locator("#unresolved-table td.message").all_inner_texts()


def test_a_young_server_has_a_page_without_nulls_or_wide_bars(browser: Browser, young_report: Path) -> None:
    page = open_page(browser, young_report, DESK)
    labels = page.eval_on_selector_all(".chart text", "texts => texts.map(text => text.textContent)")
    assert "5" in labels
    assert [label for label in labels if "null" in label or ":59" in label or "." in label.strip("0123456789 s")] == []
    # An axis of days names days, even if there is only one.
    days = page.eval_on_selector_all("#days-chart .xtick text", "texts => texts.map(text => text.textContent)")
    assert days == ["08 Nov", "11 Nov", "14 Nov", "17 Nov", "20 Nov"]
    # Few runs are counted one by one.
    runs = page.eval_on_selector_all("#days-chart .ytick text", "texts => texts.map(text => text.textContent)")
    assert runs == ["0", "1", "2", "3", "4", "5"]
    bar = page.locator("#days-chart .bars .point").first.bounding_box()
    chart = page.locator("#days-chart").bounding_box()
    assert bar
    assert chart
    assert bar["width"] < chart["width"] / 10
    # Five runs are no trend.
    assert "too few" in page.inner_text(".tile:has([data-tile=success-rate])")
    assert cells(page, "success-flow")[0][4] == ""


def test_tables_may_be_missing(browser: Browser, empty_report: Path) -> None:
    page = open_page(browser, empty_report, PHONE)
    assert page.inner_text("header p").startswith("There are no rows in these tables yet")
    # No good news of pipelines that are not there.
    assert page.locator("table, .tile, .empty, nav").count() == 0
    assert "✓" not in page.inner_text("body")


def test_idle_pipelines_are_no_good_news(browser: Browser, tmp_path: Path) -> None:
    page = open_page(browser, built_page(tmp_path, flows=young()["flows"]), DESK)
    assert page.locator(".tile.good, .tile.bad").count() == 0
    assert "✓" not in page.inner_text("main")


@pytest.fixture(scope="module")
def aged_report(aged_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("aged") / "report.html"
    with open_marts(str(aged_file), marts_schema("main")) as marts:
        file.write_text(render(marts, aged_file.name), encoding="utf-8")
    return file


def test_a_filter_tells_flows_of_the_same_name_in_two_workspaces_apart(browser: Browser, aged_report: Path) -> None:
    page = open_page(browser, aged_report, DESK)
    rows = page.evaluate("document.querySelector('#calendar-chart').data[0].y")
    assert {"Shop / twin", "CRM / twin"} < set(rows)
    assert len(rows) == len(set(rows))
    page.locator("select[name=flow]").select_option("twin")
    figures = {}
    for workspace in ("Shop", "CRM"):
        page.locator("select[name=workspace]").select_option(workspace)
        shown = {
            table: page.eval_on_selector_all(
                f"#{table} tbody tr:not([hidden])", "rows => rows.map(row => row.dataset.workspace)"
            )
            for table in ("success-flow", "unresolved-table", "slots-table", "freshness-table", "owners-table")
        }
        figures[workspace] = {name: tiles(page)[name] for name in ("runs", "failed", "unresolved", "missed", "stale")}
        assert set(chain.from_iterable(shown.values())) == {workspace}
    assert figures == {
        "Shop": {"runs": "732", "failed": "0", "unresolved": "0", "missed": "0", "stale": "0"},
        "CRM": {"runs": "120", "failed": "120", "unresolved": "1", "missed": "0", "stale": "1"},
    }


def test_a_table_whose_writer_fails_is_not_called_fresh(browser: Browser, aged_report: Path) -> None:
    status = {
        row[1]: row[2] for row in cells(open_page(browser, aged_report, DESK), "freshness-table") if row[0] == "CRM"
    }
    assert status == {"dwh.twin.orders": "failing"}


def test_subflows_are_listed_apart_from_what_is_counted(browser: Browser, aged_report: Path) -> None:
    page = open_page(browser, aged_report, DESK)
    assert [row[:3] for row in cells(page, "success-subflow")] == [["Shop", "child", "1"]]
    assert "child" not in {row[1] for row in cells(page, "success-flow")}
    assert "child" not in {row[1] for row in cells(page, "unresolved-table")}


def test_hours_are_averages_of_weeks(page: Page) -> None:
    hours = {(row[0], row[1]): (float(row[2]), int(row[3]), int(row[4])) for row in cells(page, "hours-table")}
    assert all(average == pytest.approx(begun / weeks) for average, begun, weeks in hours.values())
    # From Wednesday, the 21st of October, to Friday noon: 5 of these, 4 of the others.
    assert {day: hours[day, "3"][2] for day in ("Tue", "Wed", "Thu", "Fri", "Sat")} == {
        "Tue": 4, "Wed": 5, "Thu": 5, "Fri": 5, "Sat": 4,
    }  # fmt: skip
    assert hours["Fri", "13"][2] == 4
    # A run an hour.
    assert hours["Sat", "3"][0] == hours["Thu", "3"][0] == 1
