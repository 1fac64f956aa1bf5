"""A `start_date` that was wrong, or is moved back: the rows before it arrive."""

from datetime import timedelta
from typing import Any

import pytest

from devtools.connector import read_here as read
from devtools.data.bulk import history, insert_events, insert_logs
from devtools.data.seeding import (
    RUNS,
    execute,
    insert_runs,
    now,
)
from devtools.servers.prefect import PrefectServer

DAY = timedelta(days=1)


@pytest.fixture
def config(empty: PrefectServer) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": empty.url}, "page_size": 20}


@pytest.mark.parametrize("stream", [*RUNS, "logs", "events", "artifacts"])
def test_a_start_date_in_the_future_can_be_corrected(empty: PrefectServer, config: dict[str, Any], stream: str) -> None:
    insert_runs(empty, "flow_runs", list(history(30, until=now(), every=timedelta(hours=1))))
    insert_runs(empty, "task_runs", list(history(30, until=now(), every=timedelta(hours=1))))
    insert_logs(empty.database, [now() - timedelta(hours=n) for n in range(30)])
    insert_events(empty.database, [now() - timedelta(hours=n) for n in range(30)])
    empty.post("artifacts/", {"key": "report", "type": "markdown", "data": "# Orders"})
    empty.wait_for_events()
    wrong = read({**config, "start_date": f"{now() + 9 * DAY:%Y-%m-%d}"}, [stream]).ok()
    assert wrong.ids(stream) == []
    right = read({**config, "start_date": f"{now() - 30 * DAY:%Y-%m-%d}"}, [stream], wrong.state).ok()
    expected = read({**config, "start_date": f"{now() - 30 * DAY:%Y-%m-%d}"}, [stream]).ok()
    assert set(right.ids(stream)) == set(expected.ids(stream)) != set()


@pytest.mark.parametrize("stream", [*RUNS, "artifacts"])
def test_a_start_date_that_is_moved_back_brings_the_rows_before_it(
    empty: PrefectServer, config: dict[str, Any], stream: str
) -> None:
    insert_runs(empty, "flow_runs", list(history(50, until=now(), every=DAY)))
    insert_runs(empty, "task_runs", list(history(50, until=now(), every=DAY)))
    empty.post("artifacts/", {"key": "report", "type": "markdown", "data": "# Orders"})
    execute(empty, "UPDATE artifact SET created = '2026-01-01 00:00:00.000000', updated = '2026-01-01 00:00:00.000000'")
    late = read({**config, "start_date": f"{now() - 10 * DAY:%Y-%m-%d}"}, [stream]).ok()
    every = read({**config, "start_date": "2025-01-01"}, [stream], late.state).ok()
    assert {*late.ids(stream), *every.ids(stream)} == set(read(config, [stream]).ok().ids(stream)) != set()
    whole = read(config, [stream], late.state).ok()
    assert set(whole.ids(stream)) == {*late.ids(stream), *every.ids(stream)}
