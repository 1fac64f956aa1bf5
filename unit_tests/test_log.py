"""A long sync says now and then how far it is; a short one says nothing."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from source_prefect.progress.log import EVERY_ROWS, EVERY_SECONDS, Progress

PAGE = [{"start_time": "2026-11-20T12:00:00Z"}, {"start_time": "2026-11-20T11:00:00Z"}]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr("source_prefect.progress.log.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "airbyte")
    return caplog


def rows(number: int) -> list[dict[str, Any]]:
    return [{"start_time": "2026-11-20T12:00:00Z"}] * number


@pytest.mark.usefixtures("clock")
def test_so_many_rows_are_a_line_each_time(logged: pytest.LogCaptureFixture) -> None:
    progress = Progress("flow_runs")
    for _ in range(2):
        progress.add(rows(EVERY_ROWS - 1), "start_time")
        progress.add(rows(1), "start_time")
    assert logged.messages == [
        f"flow_runs: {count} rows read so far, back to start_time 2026-11-20T12:00:00Z"
        for count in (EVERY_ROWS, 2 * EVERY_ROWS)
    ]


def test_so_much_time_is_a_line_each_time(clock: SimpleNamespace, logged: pytest.LogCaptureFixture) -> None:
    progress = Progress("events", "up to")
    for _ in range(2):
        clock.now += EVERY_SECONDS - 1
        progress.add(PAGE, "start_time")
        clock.now += 1
        progress.add(PAGE, "start_time")
    assert logged.messages == [
        f"events: {count} rows read so far, up to start_time 2026-11-20T11:00:00Z" for count in (4, 8)
    ]


def test_rows_and_time_are_counted_from_the_last_line(clock: SimpleNamespace, logged: pytest.LogCaptureFixture) -> None:
    progress = Progress("logs")
    clock.now += EVERY_SECONDS - 1
    progress.add(rows(EVERY_ROWS), "start_time")
    clock.now += EVERY_SECONDS - 1
    progress.add(rows(EVERY_ROWS - 1), "start_time")
    assert len(logged.messages) == 1


def test_an_empty_page_names_no_place(clock: SimpleNamespace, logged: pytest.LogCaptureFixture) -> None:
    progress = Progress("flows")
    clock.now += EVERY_SECONDS
    progress.add([], "created")
    assert logged.messages == ["flows: 0 rows read so far"]
