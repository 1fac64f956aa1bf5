from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from source_prefect.times import BEGINNING, END, format_time, latest, parse_time, shift


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-20T09:12:13.172871Z", datetime(2026, 11, 20, 9, 12, 13, 172871, UTC)),
        ("2026-11-20T09:12:13Z", datetime(2026, 11, 20, 9, 12, 13, 0, UTC)),
        # Prefect 2.20.
        ("2026-11-20T09:12:13.172871+00:00", datetime(2026, 11, 20, 9, 12, 13, 172871, UTC)),
        # state_details.scheduled_time may carry another offset.
        ("2026-11-20T09:12:13+02:00", datetime(2026, 11, 20, 7, 12, 13, 0, UTC)),
        # On SQLite, after a change.
        ("2026-11-20T09:12:13.172Z", datetime(2026, 11, 20, 9, 12, 13, 172000, UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        # Beyond Python's times.
        ("0001-01-01T00:00:00+14:00", BEGINNING),
        ("9999-12-31T23:59:59-12:00", END),
    ],
)
def test_what_every_prefect_writes_is_read(text: str, time: datetime) -> None:
    assert parse_time(text) == time


@pytest.mark.parametrize("value", [None, "", "soon", 1763629933, {}, [], True])
def test_what_is_no_timestamp_is_none(value: Any) -> None:
    assert parse_time(value) is None


def test_times_are_not_compared_as_text() -> None:
    earlier, later = "2026-11-20T09:12:13Z", "2026-11-20T09:12:13.5Z"
    assert earlier > later
    first, second = parse_time(earlier), parse_time(later)
    assert first is not None
    assert second is not None
    assert first < second


@given(st.datetimes(timezones=st.just(UTC)))
@example(BEGINNING)
@example(END)
def test_what_is_written_is_read_again(time: datetime) -> None:
    assert parse_time(format_time(time)) == time


def test_it_is_written_in_utc_with_microseconds() -> None:
    there = datetime(2026, 11, 20, 9, 12, 13, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(there) == "2026-11-20T07:12:13.000000Z"


@given(st.datetimes(timezones=st.just(UTC)), st.timedeltas())
def test_a_time_is_shifted_as_far_as_there_are_times(time: datetime, by: timedelta) -> None:
    assert shift(time, by) == (BEGINNING if BEGINNING - time > by else END if END - time < by else time + by)


def test_the_latest_of_some_timestamps_is_returned_as_it_is_written() -> None:
    assert latest(["2026-11-20T09:12:13Z", None, "soon", "2026-11-20T09:12:13.5Z"]) == "2026-11-20T09:12:13.5Z"
    assert latest([None, "soon"]) is None
