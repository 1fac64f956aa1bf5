"""The benchmark's contenders read all they should: a race is void if one of them stops early."""

from pathlib import Path

import pytest

from benchmarks import sync
from benchmarks.latency import slow_server
from benchmarks.plan import CHANGED, FIRST, NOTHING, PART, Cell, Results, Setting, measure_on, turns
from benchmarks.report import report
from benchmarks.sync import CONTENDERS, DLT, LOOPS, OURS, SCAN
from devtools.servers.prefect import PrefectServer

COUNT = 3_000


@pytest.fixture(scope="module")
def results(server: PrefectServer, installation: Path) -> Results:
    setting = Setting("SQLite", "task_runs", COUNT, {0.0: 1})
    with pytest.MonkeyPatch.context() as patch:
        # The tests' own environment of the connector: what a race costs is not of interest here.
        patch.setattr(sync, "connector", lambda: installation / "bin" / "source-prefect")
        return measure_on(server, server.database, setting, print)


@pytest.mark.parametrize("contender", CONTENDERS)
def test_every_contender_reads_the_whole_table_and_then_what_changed(results: Results, contender: str) -> None:
    [first], [nothing], [changed] = (results.syncs[Cell(work, 0.0, contender)] for work in (FIRST, NOTHING, CHANGED))
    assert first.rows == COUNT
    # Those at the cursor may be sent again, and unfinished ones.
    assert nothing.rows < 50
    assert COUNT // 100 <= changed.rows < COUNT // 100 + 50
    assert (nothing.requests < first.requests) == (contender in (OURS, LOOPS))


def test_the_contenders_take_turns_to_and_fro() -> None:
    there = [Cell(FIRST, 0.0, contender) for contender in CONTENDERS]
    assert [*turns(Setting("SQLite", "flow_runs", 10_000, {0.0: 3}), FIRST)] == [*there, *there[::-1], *there]
    # Of a million, the scan and dlt read parts, once.
    whole = [cell for cell in there if cell.contender in (OURS, LOOPS)]
    assert [*turns(Setting("PostgreSQL", "flow_runs", 1_000_000, {0.0: 2}), FIRST)] == [*there, *whole[::-1]]


@pytest.mark.parametrize("contender", [SCAN, DLT])
def test_parts_of_a_table_tell_of_the_whole(server: PrefectServer, results: Results, contender: str) -> None:
    rows = len(server.rows("task_runs"))
    with slow_server(server.url, 0.0) as slow:
        in_parts = sync.run(contender, slow, "task_runs", "", [((rows - PART) // 2, (rows + PART) // 2)], rows)
    assert in_parts.rows == PART
    [whole] = results.syncs[Cell(CHANGED, 0.0, contender)]
    assert in_parts.requests == pytest.approx(whole.requests, abs=2)


def test_the_report_has_every_sync_and_every_goal(results: Results) -> None:
    page = report([results])
    assert "### SQLite, 3,000 task_runs" in page
    assert all(f"| {work} | 0 ms | {name} | 1 |" in page for work in (FIRST, NOTHING, CHANGED) for name in CONTENDERS)
    assert "| peak memory, MB | at most 150 |" in page


def test_latency_is_added_to_each_request_and_not_to_its_price(server: PrefectServer) -> None:
    # Longer than a busy machine takes for an answer.
    latency = 1.0
    with slow_server(server.url, latency) as slow:
        measured = sync.run(SCAN, slow, "variables", "", [], 0)
    assert measured.seconds > latency
    assert [taken.path for taken in measured.taken] == ["/api/variables/filter"]
    assert measured.taken[0].seconds < latency
