"""The next sync can read every state that a sync writes, whatever the clocks and rows say."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import time_machine

from devtools.connector import State, Sync, read_here
from devtools.data.bulk import Run, history, insert_events, insert_logs
from devtools.data.seeding import insert_runs, make_flow, make_one_of_everything, make_run
from devtools.servers.faults import impatient
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Behaviour, Forward, Proxy, Request, pass_on
from integration_tests.older_prefects import refuses_end_time

NOW = datetime.now(UTC).replace(microsecond=0)
PAGE_SIZE = 5
# A stream of each kind.
STREAMS = ["flows", "deployments", "work_pools", "flow_runs", "task_runs", "task_dependencies", "logs", "events"]
STREAMS += ["flow_run_state_transitions", "change_log"]


@pytest.fixture
def config(empty_gate: Proxy) -> Iterator[dict[str, Any]]:
    with impatient():
        yield {"connection": {"type": "server", "api_url": empty_gate.url}, "page_size": PAGE_SIZE, "num_workers": 2}


def states_of(sync: Sync) -> Iterator[tuple[str, State]]:
    """Each state that a sync has written, of each stream by itself."""
    for stream, messages in sync.states.items():
        seen = []
        for message in messages:
            if message["stream"] not in seen:
                seen.append(message["stream"])
                yield stream, [message]


def assert_readable(config: dict[str, Any], sync: Sync) -> None:
    """The next sync may start from each of the states."""
    for stream, state in states_of(sync):
        later = read_here(config, [stream], state)
        assert later.exit_code == 0, (state, later.errors)


# Clocks that are far apart


def dated(year: int) -> Behaviour:
    """The server, with a clock that shows a day of another year."""
    date = format_datetime(datetime(year, 1, 1, tzinfo=UTC), usegmt=True)

    def behave(request: Request, forward: Forward) -> Answer:
        answer = forward(request).without("Date")
        answer.headers["Date"] = date
        return answer

    return behave


def on_a_day_of(year: int | None) -> AbstractContextManager[object]:
    """The connector's clock shows a day of another year."""
    return time_machine.travel(datetime(year, 1, 1, tzinfo=UTC), tick=True) if year else nullcontext()


@pytest.mark.parametrize(
    ("server_year", "connector_year"),
    [(1970, None), (1971, None), (1994, None), (2060, None), (9999, None), (None, 1971), (None, 2060), (1970, 2099)],
)
def test_clocks_of_other_centuries_leave_a_state_that_can_be_read(
    empty: PrefectServer, empty_gate: Proxy, config: dict[str, Any], server_year: int | None, connector_year: int | None
) -> None:
    make_one_of_everything(empty)
    insert_logs(empty.database, [NOW - timedelta(hours=hours) for hours in range(3 * PAGE_SIZE)])
    empty_gate.behaviour = dated(server_year) if server_year else pass_on
    with on_a_day_of(connector_year):
        first = read_here(config, STREAMS).ok()
        assert_readable(config, first)
        later = read_here(config, STREAMS, first.state).ok()
    # The clocks are set right.
    empty_gate.behaviour = pass_on
    new = make_flow(empty, "new")
    run = make_run(empty, new)
    last = read_here(config, STREAMS, later.state).ok()
    assert new in last.ids("flows")
    assert run in last.ids("flow_runs")


# Times at the ends of the calendar

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
SECOND, MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)
MANY = 3 * PAGE_SIZE
RECENT = [NOW - n * SECOND for n in range(MANY)]
APART = [n * timedelta(days=400) for n in range(MANY)] + [n * MICROSECOND for n in range(MANY)]
DUE: dict[str, list[datetime]] = {
    "all at the end": [LAST] * MANY,
    "all at the beginning": [FIRST] * MANY,
    "at both ends": [FIRST] * MANY + [LAST] * MANY,
    "at the end, and now": [LAST] * MANY + RECENT,
    "at the beginning, and now": [FIRST] * MANY + RECENT,
    "towards the end": [LAST - before for before in APART],
    "from the beginning on": [FIRST + after for after in APART],
    "in all centuries": [FIRST + n * (LAST - FIRST) / 50 for n in range(51)],
}


def insert_due(server: PrefectServer, stream: str, due: list[datetime]) -> list[str]:
    """Unfinished runs that are due at these times, and one that has ended."""
    runs = [Run(at, None, NOW - n * SECOND, "SCHEDULED") for n, at in enumerate(due)]
    return insert_runs(server, stream, [*runs, *history(1, until=NOW, every=SECOND)])


@pytest.mark.parametrize("stream", ["flow_runs", "task_runs"])
@pytest.mark.parametrize("due", DUE.values(), ids=list(DUE))
def test_runs_that_are_due_at_an_end_of_the_calendar_are_read(
    empty: PrefectServer, config: dict[str, Any], stream: str, due: list[datetime]
) -> None:
    ids = insert_due(empty, stream, due)
    first = read_here(config, [stream]).ok()
    assert set(ids) <= set(first.ids(stream))
    assert len(first.ids(stream)) == len(set(first.ids(stream)))
    assert_readable(config, first)
    later = read_here(config, [stream], first.state).ok()
    # They are new, and so they come again.
    assert set(ids) <= set(later.ids(stream))


@pytest.mark.parametrize("due", ["at both ends", "in all centuries"])
def test_they_are_read_without_the_filter_on_end_time(
    empty: PrefectServer, empty_gate: Proxy, config: dict[str, Any], due: str
) -> None:
    empty_gate.behaviour = refuses_end_time
    ids = insert_due(empty, "task_runs", DUE[due])
    first = read_here(config, ["task_runs"]).ok()
    later = read_here(config, ["task_runs"], first.state).ok()
    assert set(ids) <= set(first.ids("task_runs")) & set(later.ids("task_runs"))


@pytest.mark.parametrize("due", DUE.values(), ids=list(DUE))
def test_a_first_sync_of_them_that_is_cut_short_is_resumed(
    empty: PrefectServer, empty_gate: Proxy, config: dict[str, Any], due: list[datetime]
) -> None:
    ids = set(insert_due(empty, "flow_runs", due))
    remaining = set()
    for cut in range(3, 40, 4):
        asked = iter(range(1000))
        empty_gate.behaviour = lambda request, forward, asked=asked, cut=cut: (  # type: ignore[misc]
            forward(request) if next(asked) < cut else Answer(401)
        )
        failed = read_here(config, ["flow_runs"])
        empty_gate.behaviour = pass_on
        if failed.exit_code == 0:
            break
        for _, state in states_of(failed):
            kept = failed.ids("flow_runs")[: failed.committed["flow_runs"]]
            remaining.add(str(state[0]["stream"]["stream_state"].get("remaining")))
            after = read_here(config, ["flow_runs"], state).ok()
            if state == failed.state:
                assert {*kept, *after.ids("flow_runs")} >= ids
    assert failed.exit_code == 0 or len(remaining) > 1


@pytest.mark.parametrize("stream", ["logs", "events"])
def test_rows_of_feeds_at_the_ends_of_the_calendar_leave_a_state_that_can_be_read(
    empty: PrefectServer, config: dict[str, Any], stream: str
) -> None:
    times = [LAST] * MANY + [LAST - before for before in APART] + RECENT
    insert = insert_logs if stream == "logs" else insert_events
    ids = insert(empty.database, times, received=NOW)
    first = read_here(config, [stream]).ok()
    assert set(ids) <= set(first.ids(stream))
    assert_readable(config, first)
    [new] = insert(empty.database, [datetime.now(UTC)])
    assert new in read_here(config, [stream], first.state).ok().ids(stream)
