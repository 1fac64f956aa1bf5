"""The pipeline health page: its numbers are the models', and a real Chromium shows no fault."""

import json
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

from devtools.browser import DESK, PHONE, cells, chromium, faults, open_page
from devtools.connector import read_here as read
from devtools.data.demo_history import give_past
from devtools.data.made_up_rows import AS_OF, DAY, HOUR, UI, deployment, flow, run, young
from devtools.data.tables import write_duckdb
from devtools.servers.prefect import PrefectServer
from prefect_health.__main__ import main
from prefect_health.alerts import ALERTS, alerts
from prefect_health.build import marts_schema
from prefect_health.marts import open_marts
from prefect_health.page import render
from prefect_openlineage.events import Jobs
from prefect_openlineage.tables import open_tables

CATALOG = "https://catalog.example.com/lineage/job/prefect"
ROOT = Path(__file__).resolve().parents[2]

# The midnight before the last 30 days.
SINCE = datetime(2026, 10, 21)
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)

# Tables of the page, and the query that must say the same: its columns in the order of the page.
SHOWN = {
    "unresolved-table": "SELECT flow_name, deployment_name, last_run_name, state_name, last_failed_at, runs_lost, "
    "last_success_at, tables_hit, state_message FROM prefect__incidents WHERE is_open",
    "days-table": "SELECT day, sum(runs), sum(succeeded), sum(failed), sum(crashed), sum(cancelled), sum(succeeded) / "
    "nullif(sum(success_rate_n), 0), max_by(flow_name, failed + crashed) FILTER (failed + crashed > 0) "
    "FROM prefect__reliability WHERE level = 'flow' AND day >= DATE '2026-10-21' GROUP BY day",
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
        file.write_text(render(marts, neglected_file.name, now=NOW), encoding="utf-8")
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
    assert float(tile("success_rate")) == pytest.approx(rate)
    assert {name: tile(name) for name in ("unresolved", "running", "stuck", "late", "missed", "stale")} == {
        "unresolved": "2", "running": "2", "stuck": "1", "late": "1", "missed": "11", "stale": "4",
    }  # fmt: skip


def test_each_row_about_a_flow_leads_to_its_job_where_a_catalog_has_an_address(neglected_file: Path) -> None:
    with open_tables(str(neglected_file)) as tables:
        jobs = Jobs.read(tables)
        runs = tables.rows("SELECT * FROM {flow_runs}")
    with open_marts(str(neglected_file), marts_schema("main")) as marts:
        pages = [
            render(marts, "", address, now=NOW) for address in (None, f"{CATALOG}/{{name}}", f"{CATALOG}/{{flow}}")
        ]
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
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(paper) == colour
        assert faults(page) == []


def test_the_figures_of_one_page_agree(page: Page) -> None:
    tile = page.get_attribute("[data-tile=runs]", "data-value")
    by_table = {
        table: sum(int(row[column]) for row in cells(page, table))
        for table, column in {"days-table": 1, "success-flow": 1, "owners-table": 2}.items()
    }
    assert by_table == dict.fromkeys(by_table, int(tile or 0))


def test_a_screen_reader_finds_its_way(page: Page) -> None:
    levels = page.eval_on_selector_all("h1, h2, h3", "headings => headings.map(heading => heading.tagName)")
    assert levels == ["H1", *["H2"] * 16]
    charts = page.eval_on_selector_all(
        ".chart", "charts => charts.map(chart => [chart.getAttribute('role'), chart.getAttribute('aria-label')])"
    )
    assert len(charts) == 4
    assert all(role == "img" and len(alt) > 40 for role, alt in charts)
    assert page.eval_on_selector_all("table", "tables => tables.every(table => table.caption)")
    assert page.get_by_role("heading", name="Freshness of tables").count() == 1
    # A state is told by a word and a sign, not by its colour.
    assert page.text_content("#freshness-table tbody tr:first-child .status") == "⚠ dead"
    keys = page.eval_on_selector_all("#days-chart .key", "texts => texts.map(text => text.textContent)")
    assert keys == ["succeeded", "failed", "crashed", "cancelled"]
    # The first stop of the Tab key; the headings of a table are one stop, and arrows lead on.
    stops = page.locator("a[href]:not([tabindex]):visible, button:not([tabindex='-1']):visible, [tabindex='0']:visible")
    assert stops.first.inner_text() == "Skip to what is broken"
    assert stops.count() < 180
    first = page.locator("#success-flow th button").first
    first.focus()
    first.press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") == "Runs"


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
    page.evaluate("all('table').forEach(expand)")
    links = page.eval_on_selector_all(
        "tbody tr", "rows => rows.map(row => [...row.querySelectorAll('a')].map(link => link.href))"
    )
    assert len(links) > 60
    assert max(map(len, links)) == 1
    assert all(link.startswith(f"{UI}/") for row in links for link in row)
    # Nothing lies behind a zero.
    assert "0" not in page.eval_on_selector_all("tbody a", "links => links.map(link => link.textContent)")
    # So does a bar of a chart.
    bars = page.eval_on_selector_all("#days-chart a", "links => links.map(link => link.href.baseVal)")
    assert bars
    assert all(link.startswith(f"{UI}/") for link in bars)


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
    edges = page.eval_on_selector_all("#lineage-chart .edge", "edges => edges.map(edge => edge.classList[1])")
    assert Counter(edges) == {"declared": 4, "observed": 1}
    boxes = page.eval_on_selector_all(
        "#lineage-chart g:has(.box)",
        "boxes => boxes.map(box => [[...box.querySelectorAll('text')].map(text => text.textContent), "
        "getComputedStyle(box.firstElementChild).fill])",
    )
    states = {" ".join(lines[:2]): (lines[-1] if "⚠" in lines[-1] else "", colour) for lines, colour in boxes}
    assert {name: state for name, (state, _) in states.items() if state} == {
        "events raw.public": "⚠ failing",
        "daily mart.public": "⚠ downstream of a failure",
        "observed mart.public": "⚠ downstream of a failure",
        "archive dwh.legacy": "⚠ dead",
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
    assert (seen("success-flow"), set(seen("duration-flow"))) == (["ingest"], {"ingest"})
    assert page.locator("#errors-table tbody tr:visible").count() == 1
    assert page.locator(".troubles li:visible").count() == 1
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
    assert float(tiles(page)["success_rate"]) == pytest.approx(of_ana["rate"])
    assert {name: int(value) for name, value in tiles(page).items() if name != "success_rate"} == {
        "runs": of_ana["runs"], "failed": of_ana["failed"], "unresolved": of_ana["open_incidents"],
        "running": 1, "stuck": 0, "late": 1, "missed": 1, "stale": 1,
    }  # fmt: skip
    assert page.inner_text(".tile:has([data-tile=success_rate]) .note").endswith("points against 348 before")
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
    assert tiles(page)["success_rate"] == ""
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
    page.get_by_text("Runs by day, as a table").click()
    rows = page.locator("#days-table tbody tr:visible")
    assert rows.count() == 10
    page.get_by_role("button", name="Show all 31 rows").first.click()
    assert rows.count() == 31


def test_each_flow_has_a_sparkline_of_its_days(page: Page) -> None:
    spark = page.locator("#success-flow tr[data-flow=ingest] svg")
    assert spark.get_attribute("aria-label") == "Success by day: 0 to 100 %"
    low, rest = spark.locator("path").evaluate_all("paths => paths.map(path => path.getAttribute('d'))")
    failed = [float(height) for height in re.findall(r"h3v([\d.]+)", low)]
    # Ten days on which all failed, one on which two of 24 did, one on which half; none did on the
    # others.
    assert sorted(failed) == [2, 9, *[18] * 9, 18][: len(failed)]
    assert len(re.findall("M", rest)) == 21
    assert page.locator("#success-flow tr[data-flow=report] path").nth(1).get_attribute("d") != ""


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
    titles = page.eval_on_selector_all(
        "#unresolved-table tbody tr:first-child td",
        "cells => cells.map(cell => getComputedStyle(cell, '::before').content)",
    )
    assert titles[3:6] == ['"State"', '"Failed"', '"Failures in a row"']


def test_names_are_text_and_never_markup(page: Page) -> None:
    assert "<script>alert(1)</script>" in [row[0] for row in cells(page, "success-flow")]
    assert page.locator("td b").count() == 0
    messages = page.locator("#unresolved-table td.message").all_text_contents()
    assert "No disk <b>„voll“</b>" in [message.strip() for message in messages]


def test_a_young_server_has_a_page_without_nulls_or_wide_bars(browser: Browser, young_report: Path) -> None:
    page = open_page(browser, young_report, DESK)
    ticks = page.eval_on_selector_all("#days-chart .tick", "texts => texts.map(text => text.textContent)")
    # An axis of days names days, even if there is only one; few runs are counted one by one.
    assert [tick for tick in ticks if " " in tick] == ["08 Nov", "11 Nov", "14 Nov", "17 Nov", "20 Nov"]
    assert [tick for tick in ticks if " " not in tick] == ["0", "1", "2", "3", "4", "5"]
    bar = page.locator("#days-chart a rect").first.bounding_box()
    chart = page.locator("#days-chart").bounding_box()
    assert bar
    assert chart
    assert bar["width"] < chart["width"] / 10
    # Five runs are no trend.
    assert "too few" in page.inner_text(".tile:has([data-tile=success_rate])")
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
        file.write_text(render(marts, aged_file.name, now=NOW), encoding="utf-8")
    return file


def test_a_filter_tells_flows_of_the_same_name_in_two_workspaces_apart(browser: Browser, aged_report: Path) -> None:
    page = open_page(browser, aged_report, DESK)
    rows = [tuple(row[:2]) for row in cells(page, "success-flow")]
    assert {("Shop", "twin"), ("CRM", "twin")} < set(rows)
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
    assert status == {"dwh.twin.orders": "failing", "crm.public.regions": "unknown"}


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


def test_the_first_screen_says_in_a_sentence_what_is_broken(browser: Browser, report: Path) -> None:
    page = open_page(browser, report, PHONE)
    first = page.locator(".troubles li").first
    box = first.bounding_box()
    assert box
    assert box["y"] < PHONE["height"] / 2
    said = " ".join(first.inner_text().split())
    for part in (
        "ingest/prod is broken since 2026-11-10 12:01 UTC",
        "239 runs have failed, the last success was 2026-11-10 11:01 UTC",
        "answered 503",
        "It hits mart.public.daily, mart.public.observed and raw.public.events.",
        "Owner: Ana.",
        "Changed last 2026-11-10 11:00 UTC: updated: entrypoint, parameters by Ana.",
        "A try is running: ingest-running",
        "Next run: 2026-11-20 13:00 UTC",
    ):
        assert part in said


def test_one_cause_is_one_trouble_and_one_row(browser: Browser, large_report: Path) -> None:
    page = open_page(browser, large_report, DESK)
    assert page.locator(".troubles li").count() == 1
    said = page.locator(".troubles li").inner_text()
    assert "40 pipelines are broken by the same error" in said
    assert "flow-000/prod, flow-001/prod" in said
    assert "34 more" in said
    assert [row[:3] for row in cells(page, "errors-table")] == [
        ["The warehouse answered <n>", "flow-000, flow-001, flow-002, flow-003, flow-004, flow-005 and 34 more", "40"]
    ]


@pytest.fixture(scope="module")
def large_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 flows with a run a day; the last one of forty has failed for the same cause."""
    names = [f"flow-{number:03}" for number in range(300)]
    tags = [json.dumps([f"owner:team-{number % 9}", f"om-source:raw.shop.t{number // 3}",
                        f"om-destination:mart.shop.t{number}"]) for number in range(300)]  # fmt: skip
    runs = [run(name, AS_OF - day * DAY - HOUR) for name in names for day in range(1, 30)]
    for number, name in enumerate(names):
        failed: dict[str, Any] = {"state": "FAILED", "state_message": f"The warehouse answered {number}"}
        runs.append(run(name, AS_OF - HOUR, **(failed if number < 40 else {})))
    return built_page(
        tmp_path_factory.mktemp("large"),
        flows=[flow(name, _airbyte_extracted_at=AS_OF) for name in names],
        deployments=[
            deployment(name, tags=tag, _airbyte_extracted_at=AS_OF) for name, tag in zip(names, tags, strict=True)
        ],
        flow_runs=runs,
    )


def test_a_page_of_many_flows_is_small(browser: Browser, large_report: Path) -> None:
    assert large_report.stat().st_size < 3_000_000
    page = open_page(browser, large_report, DESK)
    assert page.evaluate("document.querySelectorAll('*').length") < 20_000
    # Nothing is lost: a filter finds what a table did not show.
    page.locator("select[name=flow]").select_option("flow-299")
    assert page.locator("#success-flow tbody tr:visible").count() == 1
    # Tags that lineage and owners are told by are not offered.
    assert page.locator("select[name=tag]").count() == 0


def test_filters_are_in_the_address(browser: Browser, report: Path) -> None:
    page = open_page(browser, report, DESK)
    page.locator("select[name=owner]").select_option("Ana")
    assert page.url.endswith("?owner=Ana")
    figures = tiles(page)
    page.goto(f"{report.as_uri()}?owner=Ana")
    assert page.locator("select[name=owner]").input_value() == "Ana"
    assert tiles(page) == figures
    page.goto(f"{report.as_uri()}?owner=nobody")
    assert page.locator("select[name=owner]").input_value() == ""


def test_tiles_and_tables_are_there_without_a_script(browser: Browser, report: Path) -> None:
    plain = browser.new_context(java_script_enabled=False, viewport=DESK).new_page()
    plain.goto(report.as_uri())
    page = open_page(browser, report, DESK)

    def shown(where: Page) -> list[str]:
        return where.locator(".tile").all_inner_texts()

    assert shown(plain) == shown(page)
    assert plain.locator("#unresolved-table tbody tr").count() == 2
    assert plain.locator("#filters:visible").count() == 0
    assert "3.0 h" in plain.inner_text("#age") or "3 h 0 min" in plain.inner_text("#age")
    # Summed up again by the page, they are the same.
    page.get_by_role("button", name="Show all", exact=True).click()
    assert shown(plain) == shown(page)


def test_old_data_is_called_old_by_the_clock_of_the_device(browser: Browser, report: Path) -> None:
    context = browser.new_context(timezone_id="America/New_York", offline=True)
    page = context.new_page()
    for now, old in ((datetime(2026, 11, 20, 13, tzinfo=UTC), False), (datetime(2026, 11, 22, 13, tzinfo=UTC), True)):
        page.clock.set_fixed_time(now)
        page.goto(report.as_uri())
        age = page.locator("#age")
        assert ("old" in (age.get_attribute("class") or "").split(), "this is old" in age.inner_text()) == (old, old)
    assert "2026-11-20 12:00 UTC (07:00 GMT-5), 2 d 1 h ago" in page.inner_text("#age")


def test_the_exit_code_says_what_is_the_matter(
    neglected_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "report.html"
    read = [str(neglected_file), str(page), "--marts", marts_schema("main")]
    assert main(read) == 0
    with open_marts(str(neglected_file), marts_schema("main")) as marts:
        found = {bit: marts.rows(query)[0]["found"] for bit, _, query in ALERTS}
        assert alerts(marts, NOW, 24).keys() == {4, 8, 16}
        assert alerts(marts, NOW, 2).keys() == {4, 8, 16, 32}
    # The tiles say the same.
    assert found == {4: 2, 8: 11, 16: 4}
    assert main([*read, "--exit-code"]) == 4 + 8 + 16 + 32
    assert "2 pipelines are broken" in capsys.readouterr().err


def test_the_guide_has_the_query_of_each_alert() -> None:
    guide = " ".join((ROOT / "docs" / "pipeline_health.md").read_text().split())
    assert [bit for bit, _, query in ALERTS if " ".join(query.split()) not in guide] == []
