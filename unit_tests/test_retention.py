import logging
from datetime import UTC, datetime, timedelta

import pytest

from source_prefect.sync.retention import KeptEvents, warn_of_gap


def test_a_cursor_older_than_a_week_is_worth_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    since = datetime.now(UTC) - timedelta(days=9)
    with caplog.at_level(logging.WARNING, logger="airbyte"):
        warn_of_gap("events", since, None)
    [record] = caplog.records
    assert record.message.startswith(f"events: read so far up to {since:%Y-%m-%d %H:%M} UTC, 9 days ago.")


@pytest.mark.parametrize(("days", "warned"), [(7, True), (8, True), (14, False)])
def test_a_plan_that_is_known_has_a_number(days: int, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    warn_of_gap("events", datetime.now(UTC) - timedelta(days=9), days)
    assert [f"for {days} days: what was deleted" in record.message for record in caplog.records] == [True] * warned


@pytest.mark.parametrize("age", [None, timedelta(days=6, hours=23)])
def test_a_first_sync_and_a_fresh_cursor_are_not(age: timedelta | None, caplog: pytest.LogCaptureFixture) -> None:
    warn_of_gap("events", datetime.now(UTC) - age if age else None, None)
    assert caplog.records == []


@pytest.mark.parametrize("kept", [1, 5, 7, 14, 30, 179, 180])
def test_what_is_kept_is_found_to_the_day_and_once(kept: int) -> None:
    events, asked = KeptEvents(180), list[int]()

    def is_kept(days: int) -> bool:
        asked.append(days)
        return days <= kept

    events.find(is_kept)
    events.find(is_kept)
    assert events.days == kept
    assert len(asked) <= 8
    now = datetime.now(UTC)
    assert timedelta(0) < events.since(now) - (now - timedelta(days=kept)) <= timedelta(minutes=1)


def test_where_all_is_refused_nothing_counts_as_no_longer_kept() -> None:
    """The reason of the refusals is another one, and the stream must say so."""
    events = KeptEvents(30)
    events.find(lambda _: False)
    assert events.days == 30
