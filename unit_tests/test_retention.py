import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from source_prefect.progress.retention import MARGIN, KeptEvents, warn_of_gap

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def test_a_cursor_older_than_a_week_is_worth_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="airbyte"):
        warn_of_gap("events", NOON - 9 * DAY, NOON, None)
    [record] = caplog.records
    assert record.message.startswith("events: read so far up to 2026-11-11 12:00 UTC, 9 days ago.")


@pytest.mark.parametrize(("days", "warned"), [(7, True), (8, True), (14, False)])
def test_a_plan_that_is_known_has_a_number(days: int, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    warn_of_gap("events", NOON - 9 * DAY, NOON, days)
    assert [f"for {days} days: what was deleted" in record.message for record in caplog.records] == [True] * warned


def test_a_fresh_cursor_is_not(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_gap("events", NOON - timedelta(days=6, hours=23), NOON, None)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("plan_days", "of_server", "said"),
    [
        (7, None, "9 days ago. This plan of Prefect Cloud keeps runs and events for 7 days: what was deleted"),
        (None, timedelta(hours=12), "9 days ago. This server keeps events for 12 hours: what was deleted"),
        (None, 1.5 * DAY, "9 days ago. This server keeps events for 36 hours: what was deleted"),
        (None, 2 * DAY, "9 days ago. This server keeps events for 2 days: what was deleted"),
        (None, None, "9 days ago. A Prefect Server keeps events for 7 days by default, Prefect Cloud runs for 7 to"),
    ],
)
def test_the_warning_says_how_long_what_is_kept(
    plan_days: int | None, of_server: timedelta | None, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_gap("events", NOON - 9 * DAY, NOON, plan_days, lambda: of_server)
    assert said in caplog.text


def test_what_is_as_old_as_what_is_kept_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_gap("events", NOON - 7 * DAY, NOON, None)
    warn_of_gap("events", NOON - 3 * DAY, NOON, 3)
    assert caplog.records == []


def test_a_server_is_asked_for_its_retention_only_where_an_hour_or_more_has_passed() -> None:
    asked = []
    for minutes in (1, 59, 60, 120):
        warn_of_gap("events", NOON - timedelta(minutes=minutes), NOON, None, lambda at=minutes: asked.append(at))  # type: ignore[misc]
    assert asked == [60, 120]


# How far back Prefect Cloud accepts requests for events


class Cloud:
    """Accepts requests for events of up to `kept` days ago. It refuses some for another reason:
    see `refuses_also`.

    `refuses_also` gets the number of the request, counted from 0.
    """

    def __init__(self, kept: int, refuses_also: Callable[[int], bool] = lambda _: False) -> None:
        self.kept = kept
        self.refuses_also = refuses_also
        self.asked = 0

    def is_accepted(self, days: int) -> bool:
        self.asked += 1
        return days <= self.kept and not self.refuses_also(self.asked - 1)


@pytest.mark.parametrize("kept", [1, 5, 7, 14, 30, 179, 180])
def test_what_is_kept_is_found_to_the_day_and_once(kept: int) -> None:
    events, cloud = KeptEvents(180), Cloud(kept)
    assert events.find(cloud.is_accepted)
    asked = cloud.asked
    # A search in halves, in which each refusal is repeated.
    assert asked <= 2 * 8 + 2
    assert events.find(cloud.is_accepted)
    assert (events.days, cloud.asked) == (kept, asked)
    assert timedelta(0) < events.since(NOON) - (NOON - kept * DAY) <= MARGIN


def test_where_all_is_refused_nothing_counts_as_no_longer_kept() -> None:
    """The refusals have another reason, and the stream must say so."""
    events = KeptEvents(30)
    assert not events.find(Cloud(0).is_accepted)
    assert events.days == 30


@pytest.mark.parametrize("kept", [7, 30, 180])
@pytest.mark.parametrize("first", range(12))
@pytest.mark.parametrize("length", [2, 8])
def test_a_burst_of_refusals_for_another_reason_does_not_count_as_retention(length: int, first: int, kept: int) -> None:
    events = KeptEvents(180)
    events.find(Cloud(kept, lambda number: first <= number < first + length).is_accepted)
    assert events.days in (kept, 180)


def test_no_older_events_are_asked_for_than_the_plan_keeps(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "airbyte")
    events, asked = KeptEvents(180), []
    assert events.find(lambda days: not asked.append(days))  # type: ignore[func-returns-value]
    assert (events.days, max(asked)) == (180, 180)
    assert caplog.messages == []


def test_what_is_no_longer_kept_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "airbyte")
    events = KeptEvents(180)
    for _ in range(2):
        assert events.find(Cloud(30).is_accepted)
    assert caplog.messages == ["Prefect Cloud refuses to look for events of more than 30 days ago: no longer kept."]


@pytest.mark.parametrize("kept", [1, 7, 30, 180])
def test_single_refusals_for_another_reason_change_nothing(kept: int) -> None:
    events = KeptEvents(180)
    assert events.find(Cloud(kept, lambda number: number % 2 == 1).is_accepted)
    assert events.days == kept


def test_what_was_not_found_is_searched_for_again() -> None:
    events = KeptEvents(30)
    assert not events.find(Cloud(0).is_accepted)
    assert events.find(Cloud(7).is_accepted)
    assert events.days == 7


def test_a_retention_of_more_days_than_there_were_begins_with_the_first() -> None:
    assert KeptEvents(1_000_000).since(NOON) == datetime.min.replace(tzinfo=UTC)
