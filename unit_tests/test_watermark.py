"""The cursor is a time of the server's clock that lies, for certain, before the scan began."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from source_prefect.progress.watermark import Watermark
from source_prefect.times import BEGINNING, END, format_time, shift

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The connector's two clocks, of which one is a day ahead of the server's."""
    clock = SimpleNamespace(steady=1_000.0, wall=(NOON + timedelta(days=1)).timestamp())
    fake = SimpleNamespace(monotonic=lambda: clock.steady, time=lambda: clock.wall)
    monkeypatch.setattr("source_prefect.progress.watermark.time", fake)
    return clock


def _row(time: datetime | None) -> dict[str, Any]:
    return {"id": "a", "updated": format_time(time) if time else None}


def _begun() -> Watermark:
    watermark = Watermark("updated")
    watermark.begin()
    return watermark


def _pass(clock: SimpleNamespace, seconds: float) -> None:
    clock.steady += seconds
    clock.wall += seconds


@pytest.mark.usefixtures("clock")
def test_without_a_row_there_is_no_time() -> None:
    watermark = _begun()
    watermark.observe([], NOON)
    watermark.observe([_row(None), {"updated": "soon"}, {}], NOON)
    assert watermark.value is None


@pytest.mark.usefixtures("clock")
def test_it_is_the_latest_time_seen_at_the_start() -> None:
    watermark = _begun()
    watermark.observe([_row(NOON), _row(NOON - timedelta(hours=1))], None)
    assert watermark.value == NOON


def test_what_is_seen_later_counts_less_the_time_that_has_passed(clock: SimpleNamespace) -> None:
    """A row that changed while the scan ran must not carry the cursor past others that did."""
    watermark = _begun()
    watermark.observe([_row(NOON)], None)
    _pass(clock, 60)
    watermark.observe([_row(NOON + timedelta(seconds=59))], None)
    assert watermark.value == NOON
    watermark.observe([_row(NOON + timedelta(seconds=61))], None)
    assert watermark.value == NOON + timedelta(seconds=1)


def test_it_does_not_go_back(clock: SimpleNamespace) -> None:
    watermark = _begun()
    watermark.observe([_row(NOON)], None)
    _pass(clock, 600)
    watermark.observe([_row(NOON - timedelta(days=9))], None)
    assert watermark.value == NOON


@pytest.mark.usefixtures("clock")
def test_a_row_dated_in_the_future_cannot_pass_the_date_of_an_answer() -> None:
    watermark = _begun()
    watermark.observe([], NOON)
    watermark.observe([_row(NOON + timedelta(days=365))], NOON + timedelta(hours=5))
    assert watermark.value == NOON


def test_of_two_replicas_the_one_whose_clock_is_behind_sets_the_limit(clock: SimpleNamespace) -> None:
    watermark = _begun()
    watermark.observe([], NOON)
    _pass(clock, 60)
    watermark.observe([_row(NOON + timedelta(seconds=60))], NOON - timedelta(minutes=10) + timedelta(seconds=60))
    assert watermark.value == watermark.scan_start == NOON - timedelta(minutes=10)


def test_without_a_date_a_row_dated_in_the_future_cannot_pass_the_connectors_clock(clock: SimpleNamespace) -> None:
    watermark = _begun()
    _pass(clock, 60)
    watermark.observe([_row(NOON + timedelta(days=365))], None)
    assert watermark.value == NOON + timedelta(days=1)


def test_a_machine_that_slept_is_taken_at_its_longer_word(clock: SimpleNamespace) -> None:
    watermark = _begun()
    clock.steady += 10
    clock.wall += 3_600
    watermark.observe([_row(NOON)], None)
    assert watermark.value == NOON - timedelta(hours=1)


def test_a_clock_that_is_set_back_does_not_shorten_the_scan(clock: SimpleNamespace) -> None:
    watermark = _begun()
    clock.steady += 3_600
    clock.wall -= 3_600
    watermark.observe([_row(NOON)], None)
    assert watermark.value == NOON - timedelta(hours=1)


def test_the_scan_begins_with_its_first_request(clock: SimpleNamespace) -> None:
    """A stream may wait long for its turn; that time is not the scan's."""
    watermark = Watermark("updated")
    _pass(clock, 600)
    watermark.begin()
    _pass(clock, 60)
    watermark.begin()
    watermark.observe([_row(NOON)], None)
    assert watermark.value == NOON - timedelta(seconds=60)


@pytest.mark.usefixtures("clock")
def test_the_column_that_the_servers_clock_writes_counts() -> None:
    watermark = Watermark("received")
    watermark.begin()
    row = {"occurred": format_time(NOON), "received": format_time(NOON - timedelta(hours=1))}
    watermark.observe([row], None)
    assert watermark.value == NOON - timedelta(hours=1)


@pytest.mark.parametrize("moment", [BEGINNING, END])
def test_rows_and_answers_dated_at_the_ends_of_time_are_read(clock: SimpleNamespace, moment: datetime) -> None:
    watermark = _begun()
    _pass(clock, 60)
    watermark.observe([_row(moment)], moment)
    assert watermark.value == shift(moment, -timedelta(seconds=60))


def test_rows_before_the_first_request_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(RuntimeError, match="before the scan began"):
        Watermark("updated").observe([], NOON)
