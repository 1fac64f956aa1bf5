import logging
from datetime import datetime, timedelta, timezone

import pytest

from source_prefect.sync.retention import warn_of_gap


def test_a_cursor_older_than_a_week_is_worth_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    since = datetime.now(timezone.utc) - timedelta(days=9)
    with caplog.at_level(logging.WARNING, logger="airbyte"):
        warn_of_gap("events", since)
    [record] = caplog.records
    assert record.message.startswith(f"events: the last sync came to {since:%Y-%m-%d %H:%M} UTC, 9 days ago.")


@pytest.mark.parametrize("age", [None, timedelta(days=6, hours=23)])
def test_a_first_sync_and_a_fresh_cursor_are_not(age: timedelta | None, caplog: pytest.LogCaptureFixture) -> None:
    warn_of_gap("events", datetime.now(timezone.utc) - age if age else None)
    assert caplog.records == []
