"""Rows of any time arrive: centuries apart, without a due time, read by threads in any order."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import read_here as read
from devtools.data.bulk import Run, history, insert_logs
from devtools.data.seeding import (
    RUNS,
    execute,
    insert_runs,
    now,
)
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Proxy, Request

DAY = timedelta(days=1)


@pytest.fixture
def config(empty: PrefectServer) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": empty.url}, "page_size": 20}


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(row["id"] for row in rows)


@pytest.mark.parametrize("recent", [0, 40])
@pytest.mark.parametrize("stream", RUNS)
def test_runs_due_at_any_time_arrive(empty: PrefectServer, config: dict[str, Any], stream: str, recent: int) -> None:
    old = list(history(130, until=datetime(2019, 12, 31, tzinfo=UTC), every=20 * DAY))
    far = [Run(datetime(year, 1, 1, tzinfo=UTC), None, now(), "SCHEDULED") for year in (1970, 2040, 9999)]
    insert_runs(empty, stream, [*old, *far, *history(recent, until=now(), every=DAY)])
    first = read(config, [stream], sync_mode="full_refresh").ok()
    assert ids(first.records[stream]) == ids(empty.rows(stream, sort="ID_DESC"))


def test_log_lines_of_any_time_arrive(empty: PrefectServer, config: dict[str, Any]) -> None:
    times = [datetime(2012, 1, 1, tzinfo=UTC) + n * 30 * DAY for n in range(60)]
    inserted = insert_logs(empty.database, times)
    assert sorted(read(config, ["logs"]).ok().ids("logs")) == sorted(inserted)


@pytest.mark.parametrize("delayed", [0, 1, 2, 3])
def test_windows_of_logs_do_not_depend_on_the_order_of_threads(
    empty: PrefectServer, empty_gate: Proxy, delayed: int
) -> None:
    inserted = insert_logs(empty.database, [now() - n * timedelta(hours=3) for n in range(200)])
    bounded: list[Request] = []

    def slow_down_one(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if request.path == "logs/filter" and "before_" in request.body["logs"]["timestamp"]:
            bounded.append(request)
            answer.delay = 0.3 if len(bounded) == delayed + 1 else 0.0
        return answer

    empty_gate.behaviour = slow_down_one
    sync = read({"connection": {"type": "server", "api_url": empty_gate.url}, "page_size": 20}, ["logs"]).ok()
    assert sorted(sync.ids("logs")) == sorted(inserted)


@pytest.mark.parametrize("start_date", [None, "2020-01-01"])
def test_task_runs_without_a_due_time_arrive(
    empty: PrefectServer, config: dict[str, Any], start_date: str | None
) -> None:
    """The server stores such task runs when it ingests an event without the time."""
    inserted = insert_runs(empty, "task_runs", list(history(50, until=now(), every=timedelta(hours=1))))
    setting = {"start_date": start_date} if start_date else {}
    undated, unfinished = inserted[:25], inserted[25:50]
    for run in undated:
        execute(empty, "UPDATE task_run SET expected_start_time = NULL WHERE id = ?", run)
    first = read({**config, **setting}, ["task_runs"], sync_mode="full_refresh").ok()
    assert sorted(first.ids("task_runs")) == sorted(inserted)
    # Later, when they have not ended, they are among the unfinished.
    for run in [*undated, *unfinished]:
        execute(empty, "UPDATE task_run SET end_time = NULL, updated = ? WHERE id = ?", f"{now():%F %T.%f}", run)
    later = read({**config, **setting}, ["task_runs"], first.state).ok()
    assert sorted(set(later.ids("task_runs"))) == sorted(inserted)
