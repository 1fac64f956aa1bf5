"""The server's clock, whatever the connector's says."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from source_prefect.http.transport import ServerClock
from source_prefect.times import BEGINNING, END

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The only clock of the connector that is asked: `time` has nothing else."""
    time = SimpleNamespace(passed=1_000.0)
    monkeypatch.setattr("source_prefect.http.transport.time", SimpleNamespace(monotonic=lambda: time.passed))
    return time


@pytest.mark.usefixtures("time")
def test_without_an_answer_that_has_a_date_it_shows_nothing() -> None:
    clock = ServerClock()
    clock.read(None)
    assert clock.now is None


def test_it_goes_on_from_the_date_of_an_answer(time: SimpleNamespace) -> None:
    clock = ServerClock()
    time.passed += 5
    clock.read(NOON)
    assert clock.now == NOON
    time.passed += 60
    clock.read(None)
    assert clock.now == NOON + 60 * SECOND


def test_of_several_answers_the_one_whose_clock_is_behind_counts(time: SimpleNamespace) -> None:
    clock = ServerClock()
    clock.read(NOON)
    time.passed += 60
    clock.read(NOON + 50 * SECOND)
    assert clock.now == NOON + 50 * SECOND
    clock.read(NOON + 90 * SECOND)
    assert clock.now == NOON + 50 * SECOND


@pytest.mark.parametrize(("date", "later"), [(END, END), (BEGINNING, BEGINNING + 60 * SECOND)])
def test_it_stays_within_the_times_that_there_are(time: SimpleNamespace, date: datetime, later: datetime) -> None:
    clock = ServerClock()
    clock.read(date.replace(microsecond=0))
    time.passed += 60
    assert clock.now == later
