"""The plans of a run sync, on a scripted table that changes between any two requests.

Time goes by in hours, one for each request and each change, so that no slack of minutes hides a
gap.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from source_prefect import manifest
from source_prefect.paging import Page, PaginationError, RequestRefusedError, Row, Rows
from source_prefect.progress import ranges
from source_prefect.progress.ranges import Range, Remaining
from source_prefect.progress.state import IN_FLIGHT, StreamState
from source_prefect.reading import plan
from source_prefect.reading.plan import Filters, Runs, sync_runs
from source_prefect.times import BEGINNING, END, ONE_MICROSECOND, format_time, parse_time

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LOOKBACK = 24 * HOUR

# The columns and states of runs, as the manifest declares them.
_RETRIEVER = manifest.load()["definitions"]["run_retriever"]
DECLARED = {name: _RETRIEVER[name] for name in ("due_time", "end_time", "unfinished_states", "terminal_states")}

# Those that the API knows and a plan may use.
SORTS = {"EXPECTED_START_TIME_DESC", "EXPECTED_START_TIME_ASC", "END_TIME_DESC", "ID_DESC"}

Change = tuple[str, int]


@pytest.fixture(autouse=True, scope="module")
def _several_ranges() -> Iterator[None]:
    """Of few runs too, and of one worker, which alone asks in an order that can be repeated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "SHORTEST", 1)
        patch.setattr(
            plan, "cut_by_rows", lambda find, start, end, size, _count: ranges.cut_by_rows(find, start, end, size, 4)
        )
        yield


class Server:
    """A table of runs, and the clock that writes its times."""

    def __init__(
        self, page_size: int, *, nulls_first: bool, has_end_filter: bool = True, ignores_end_filter: bool = False
    ) -> None:
        self.rows: dict[str, Row] = {}
        self.now = NOON
        self.page_size = page_size
        self.nulls_first = nulls_first
        self.has_end_filter = has_end_filter
        self.ignores_end_filter = ignores_end_filter
        self.lock = threading.Lock()
        self.changes: Iterator[Change] = iter(())
        self.ever_gone: set[str] = set()
        self.requests = 0
        self.asked: list[dict[str, Any]] = []
        self._made = 0

    def runs(self, workers: int = 1) -> Runs:
        return Runs(
            name="runs",
            table="runs",
            fetch=self.fetch,
            page_size=lambda: self.page_size,
            workers=workers,
            progress=lambda *_: None,
            **DECLARED,
        )

    # What the API does

    def fetch(self, *, sort: str, runs: Filters = MappingProxyType({}), offset: int = 0, limit: int = 0) -> Page:
        with self.lock:
            return self._fetch(sort, runs, offset, limit)

    def _fetch(self, sort: str, filters: Filters, offset: int, limit: int) -> Page:
        self.requests += 1
        assert sort in SORTS
        self.asked.append({"sort": sort, "filters": filters, "offset": offset, "limit": limit or self.page_size})
        assert self.requests < 3_000, "the plan does not end"
        limit = limit or self.page_size
        if self.ignores_end_filter:
            filters = {name: wanted for name, wanted in filters.items() if name != "end_time"}
        if "end_time" in filters and not self.has_end_filter:
            raise RequestRefusedError("end_time: extra_forbidden")
        chosen = [dict(row) for row in self._sorted(sort) if self._matches(row, filters)]
        rows = chosen[offset : offset + limit]
        page = Page(rows, full=len(rows) >= limit)
        self.change(*next(self.changes, ("nothing", 0)))
        return page

    def _sorted(self, sort: str) -> Rows:
        column, _, order = sort.rpartition("_")
        rows = sorted(self.rows.values(), key=lambda row: row["id"])
        if column == "ID":
            return rows[::-1]
        name = column.lower()
        timed = sorted((row for row in rows if row[name]), key=lambda row: row[name], reverse=order == "DESC")
        untimed = [row for row in rows if not row[name]]
        # PostgreSQL sorts what has no time as the latest, SQLite as the earliest.
        return untimed + timed if self.nulls_first == (order == "DESC") else timed + untimed

    @staticmethod
    def _matches(row: Row, filters: Filters) -> bool:
        for name, wanted in filters.items():
            if name == "state":
                if row["state_type"] not in wanted["type"]["any_"]:
                    return False
                continue
            value = parse_time(row[name])
            if "is_null_" in wanted and (value is None) != wanted["is_null_"]:
                return False
            after, before = parse_time(wanted.get("after_")), parse_time(wanted.get("before_"))
            if (after or before) and value is None:
                return False
            if value and ((after and value < after) or (before and value > before)):
                return False
        return True

    # What its users do

    def change(self, what: str, number: int) -> None:
        self.now += HOUR
        if what == "insert":
            self.insert(number)
        elif self.rows and what != "nothing":
            row = sorted(self.rows.values(), key=lambda each: str(each["id"]))[number % len(self.rows)]
            getattr(self, f"_{what}")(row)

    def insert(self, number: int) -> None:
        """A run due in the past, the future, at a time that others have too, or at none."""
        self._made += 1
        due = (
            None if number % 11 == 0 else format_time(NOON + (number % 7 - 3) * 5 * HOUR - number % 3 * 100_000 * HOUR)
        )
        row = {"id": f"{number % 100:02}-{self._made}", "expected_start_time": due}
        self.rows[str(row["id"])] = {**row, "end_time": None, "version": 0}
        state = "_end" if number % 2 else "_edit"
        self.rows[str(row["id"])]["state_type"] = "SCHEDULED"
        getattr(self, state)(self.rows[str(row["id"])])

    def _touch(self, row: Row) -> None:
        row["updated"] = format_time(self.now)
        row["version"] += 1

    def _edit(self, row: Row) -> None:
        # What is edited later than the lookback window after its end is found by the next full
        # refresh only.
        ended = parse_time(row["end_time"])
        if ended is None or ended > self.now - LOOKBACK + HOUR:
            self._touch(row)

    def _end(self, row: Row) -> None:
        """Let a run end. One that has ended keeps its end: people mark failed runs completed."""
        if row["end_time"] is None:
            row["end_time"] = format_time(self.now)
            row["state_type"] = DECLARED["terminal_states"][row["version"] % 4]
        self._edit(row)

    def _revive(self, row: Row) -> None:
        row["end_time"] = None
        row["state_type"] = DECLARED["unfinished_states"][row["version"] % 5]
        self._touch(row)

    def _delete(self, row: Row) -> None:
        self.ever_gone.add(row["id"])
        del self.rows[row["id"]]


class Destination:
    """What a destination has, and the state that it keeps."""

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        self.state = StreamState()
        self.got: Counter[str] = Counter()

    def repeated(self, server: Server) -> list[str]:
        """Runs that the last sync sent twice."""
        return [run for run, count in self.got.items() if count > 1 and run in server.rows]

    def sync(self, server: Server, changes: list[Change], *, killed_after: int | None = None) -> None:
        """One sync, with one of these changes for each request; `killed_after` so many steps."""
        server.changes, began = iter(changes), server.now
        # What a sync that is killed has sent since its last state is lost.
        pending: dict[str, int] = {}
        self.got = Counter()
        try:
            for number, step in enumerate(sync_runs(server.runs(), self.state, LOOKBACK, None)):
                if killed_after is not None and number >= killed_after:
                    return
                if isinstance(step, Remaining):
                    self.versions |= pending
                    self.state = StreamState(began, step.ranges)
                else:
                    pending |= {row["id"]: row["version"] for row in step}
                    self.got.update(row["id"] for row in step)
        except PaginationError:
            # A table that was empty when it was asked does not show that a filter is ignored: the
            # sync fails, loudly.
            assert server.ignores_end_filter
            return
        self.versions |= pending
        self.state = StreamState(began)

    def lacks(self, server: Server) -> dict[str, Any]:
        return {row["id"]: row for row in server.rows.values() if self.versions.get(row["id"], -1) != row["version"]}


changes = st.lists(
    st.tuples(st.sampled_from(["nothing", "insert", "edit", "end", "revive", "delete"]), st.integers(0, 99)),
    max_size=25,
)
servers = st.builds(
    Server,
    st.integers(2, 6),
    nulls_first=st.booleans(),
    has_end_filter=st.booleans(),
    ignores_end_filter=st.booleans(),
)
inserts = st.lists(st.integers(0, 99), max_size=40)


@settings(max_examples=150)
@given(servers, inserts, changes)
def test_a_first_sync_brings_every_run_that_exists_throughout_it_once(
    server: Server, numbers: list[int], meanwhile: list[Change]
) -> None:
    for number in numbers:
        server.insert(number)
    before = set(server.rows)
    destination = Destination()
    destination.sync(server, meanwhile)
    assert before - server.ever_gone <= destination.got.keys(), "a run was missed"
    assert max(destination.got.values(), default=1) == 1, "a run came twice"


@settings(max_examples=200)
@given(
    servers,
    inserts,
    st.lists(st.tuples(changes, changes, st.none() | st.integers(0, 12)), min_size=1, max_size=5),
)
def test_syncs_and_kills_in_any_order_add_up_to_what_the_server_has(
    server: Server, numbers: list[int], syncs: list[tuple[list[Change], list[Change], int | None]]
) -> None:
    for number in numbers:
        server.insert(number)
    destination = Destination()
    for between, meanwhile, killed_after in syncs:
        for change in between:
            server.change(*change)
        destination.sync(server, meanwhile, killed_after=killed_after)
        assert destination.repeated(server) == []
    destination.sync(server, [])
    assert destination.lacks(server) == {}
    assert destination.repeated(server) == []


@pytest.mark.parametrize("nulls_first", [True, False])
@pytest.mark.parametrize("dated", [0, 2, 12])
@pytest.mark.parametrize("undated", [1, 3, 10])
def test_runs_without_a_due_time_come_wherever_the_database_sorts_them(
    undated: int, dated: int, nulls_first: bool
) -> None:
    server = Server(4, nulls_first=nulls_first)
    for number in [11] * undated + ([2, 4, 6, 8, 10, 12] * 2)[:dated]:
        server.insert(number)
    destination = Destination()
    destination.sync(server, [])
    assert destination.got == Counter(server.rows.keys())
    for row in server.rows.values():
        server.now += HOUR
        server._revive(row)
    destination.sync(server, [])
    assert destination.got == Counter(server.rows.keys())


@pytest.mark.parametrize("nulls_first", [True, False])
def test_a_page_of_undated_runs_alone_does_not_show_how_the_database_sorts_them(nulls_first: bool) -> None:
    server = Server(2, nulls_first=nulls_first)
    server.insert(0)
    server.insert(0)
    undated = set(server.rows)
    destination = Destination()
    destination.sync(server, [("insert", 1)])
    assert undated <= destination.got.keys()


def test_a_first_sync_of_one_page_is_one_request() -> None:
    server = Server(200, nulls_first=False)
    for number in range(50):
        server.insert(number)
    Destination().sync(server, [])
    assert server.requests == 1


def test_a_long_first_sync_keeps_no_more_states_than_it_has_pages() -> None:
    server = Server(20, nulls_first=False)
    for number in range(500):
        server.insert(number)
        server.rows[max(server.rows, key=lambda i: int(i.split("-")[1]))]["expected_start_time"] = format_time(
            NOON + number * HOUR
        )
    steps = list(sync_of(server, StreamState()))
    states = len([step for step in steps if isinstance(step, Remaining)])
    assert 10 <= states <= len(steps) - states


def test_a_start_date_leaves_out_the_runs_due_before_it() -> None:
    server = Server(4, nulls_first=False)
    for number in range(1, 30):
        server.insert(number)
    start = NOON - 10 * HOUR
    got = set(ids(sync_of(server, StreamState(), start)))
    due = {row["id"]: parse_time(row["expected_start_time"]) for row in server.rows.values()}
    assert got == {each for each, at in due.items() if at is None or at >= start}


def due(server: Server, *hours: int) -> None:
    """Insert a run that is due so many hours before noon, for each."""
    for number, hour in enumerate(hours):
        server.insert(1)
        server.rows[f"01-{number + 1}"]["expected_start_time"] = format_time(NOON - hour * HOUR)


def sync_of(server: Server, state: StreamState, start_date: datetime | None = None, workers: int = 1) -> Iterator[Any]:
    return sync_runs(server.runs(workers), state, LOOKBACK, start_date)


def ids(steps: Iterator[Any]) -> list[str]:
    return sorted(row["id"] for step in steps if isinstance(step, list) for row in step)


@pytest.mark.parametrize("page_size", [2, 3, 4, 7, 8, 20])
def test_a_run_that_is_due_at_the_start_date_itself_arrives(page_size: int) -> None:
    server = Server(page_size, nulls_first=False)
    due(server, 1, 2, 3, 3, 3, 3, 4)
    server.insert(11)
    start, cursor = NOON - 3 * HOUR, server.now
    assert len(ids(sync_of(server, StreamState(), start))) == 7
    assert len(ids(sync_of(server, StreamState(cursor), start))) == 7


@pytest.mark.parametrize("moment", [BEGINNING, END])
def test_pages_full_of_runs_that_are_due_at_the_first_or_last_moment_of_time_are_read(moment: datetime) -> None:
    server = Server(3, nulls_first=False)
    due(server, *range(20))
    for number in range(1, 11):
        server.rows[f"01-{number}"]["expected_start_time"] = format_time(moment)
    destination = Destination()
    destination.sync(server, [])
    assert destination.got == Counter(server.rows.keys())
    for row in server.rows.values():
        server._revive(row)
    destination.sync(server, [])
    assert destination.got == Counter(server.rows.keys())


@pytest.mark.parametrize("page_size", [2, 3, 20])
def test_a_first_sync_is_resumed_with_what_changed_in_what_was_read_and_all_of_the_rest(page_size: int) -> None:
    server = Server(page_size, nulls_first=False)
    due(server, 1, 2, 3, 3, 3, 4, 5)
    for number in (4, 6):
        server.now += 48 * HOUR
        server._revive(server.rows[f"01-{number}"])
    now, remaining = server.now, (Range(NOON - 2 * HOUR, NOON - HOUR), Range(NOON - 5 * HOUR, NOON - 5 * HOUR))
    # Of those that were read, one was revived since the cursor, or two; the others have never been
    # sent.
    assert ids(sync_of(server, StreamState(now - HOUR, remaining))) == ["01-1", "01-2", "01-6", "01-7"]
    assert ids(sync_of(server, StreamState(now - 49 * HOUR, remaining))) == ["01-1", "01-2", "01-4", "01-6", "01-7"]


def test_a_later_sync_does_not_read_what_ended_long_ago() -> None:
    server = Server(20, nulls_first=False)
    for _ in range(2_000):
        server.insert(1)
    cursor = server.now = server.now + 48 * HOUR
    server.insert(1)
    for has_end_filter in (True, False):
        server.has_end_filter, server.requests = has_end_filter, 0
        assert len(ids(sync_of(server, StreamState(cursor)))) == 1
        assert server.requests <= 4


def test_a_checkpoint_stands_for_no_page_that_has_not_come() -> None:
    server = Server(5, nulls_first=False)
    due(server, *range(100))
    fetch = server.fetch

    def slow_for_the_oldest(*, sort: str, runs: Filters = MappingProxyType({}), **more: Any) -> Page:
        bounds = runs.get("expected_start_time", {})
        if "before_" in bounds and bounds["after_"] < format_time(NOON - 90 * HOUR):
            time.sleep(0.05)
        return fetch(sort=sort, runs=runs, **more)

    server.fetch = slow_for_the_oldest  # type: ignore[method-assign]
    delivered: set[str] = set()
    checkpoints = 0
    for step in sync_of(server, StreamState(), workers=4):
        if isinstance(step, Remaining):
            checkpoints += 1
            due_times = {run: parse_time(row["expected_start_time"]) for run, row in server.rows.items()}
            assert {run for run, at in due_times.items() if not any(at in each for each in step.ranges)} <= delivered
        else:
            delivered |= {row["id"] for row in step}
    assert checkpoints
    assert delivered == server.rows.keys()


def test_a_run_counts_as_changed_when_it_ended_by_a_clock_that_is_ahead_or_has_no_time_of_change() -> None:
    server = Server(20, nulls_first=False)
    due(server, 1, 2, 3)
    cursor = server.now = server.now + 48 * HOUR
    server.rows["01-1"]["end_time"] = format_time(cursor)
    server.rows["01-2"] |= {"end_time": format_time(cursor - HOUR), "updated": None}
    assert ids(sync_of(server, StreamState(cursor))) == ["01-1", "01-2"]


def test_a_run_that_changed_as_long_before_the_cursor_as_a_transaction_may_last_is_sent_again() -> None:
    server = Server(20, nulls_first=False)
    due(server, 1, 2)
    cursor = server.now = server.now + 2 * HOUR
    server.rows["01-1"]["updated"] = format_time(cursor - IN_FLIGHT)
    server.rows["01-2"]["updated"] = format_time(cursor - IN_FLIGHT - ONE_MICROSECOND)
    assert ids(sync_of(server, StreamState(cursor))) == ["01-1"]


def ended(server: Server, count: int) -> datetime:
    """Insert runs that ended and changed at the same time, now. Returns the cursor before it."""
    cursor = server.now
    server.now += HOUR
    for _ in range(count):
        server.insert(1)
    return cursor


def test_where_the_api_filters_by_end_no_row_is_counted_to_find_a_page() -> None:
    server = Server(3, nulls_first=False)
    cursor = server.now
    for _ in range(20):
        ended(server, 1)
    assert len(ids(sync_of(server, StreamState(cursor)))) == 20
    assert all(not asked["offset"] for asked in server.asked)
    assert not any("state" in asked["filters"] for asked in server.asked)


def test_a_run_in_a_state_that_only_a_newer_prefect_has_is_sent() -> None:
    server = Server(20, nulls_first=False)
    cursor = server.now
    server.insert(2)
    [row] = server.rows.values()
    row["state_type"] = "HIBERNATING"
    assert len(ids(sync_of(server, StreamState(cursor)))) == 1


@pytest.mark.parametrize("has_end_filter", [True, False])
def test_of_the_runs_that_ended_at_the_oldest_time_that_counts_none_is_missed(has_end_filter: bool) -> None:
    server = Server(3, nulls_first=False, has_end_filter=has_end_filter)
    ended(server, 8)
    cursor = server.now + LOOKBACK + IN_FLIGHT
    server.now = cursor + HOUR
    for row in server.rows.values():
        server._touch(row)
    assert len(ids(sync_of(server, StreamState(cursor)))) == 8


def test_runs_that_ended_at_one_time_are_read_in_pages_of_several_sizes() -> None:
    """PostgreSQL hides rows that tie from some pages; see `pages_unordered`."""
    server = Server(5, nulls_first=False, has_end_filter=False)
    cursor = ended(server, 12)
    assert len(ids(sync_of(server, StreamState(cursor)))) == 12
    terminal = [asked for asked in server.asked if asked["sort"] == "END_TIME_DESC"]
    assert {asked["limit"] for asked in terminal if not asked["offset"]} >= {5, 2}


def test_a_later_sync_does_not_read_unfinished_runs_due_before_the_start_date() -> None:
    server = Server(5, nulls_first=False)
    for number in range(100):
        server.insert(2)
        server.rows[f"02-{number + 1}"]["expected_start_time"] = format_time(NOON - number * HOUR)
    cursor = server.now
    for start, count, requests in ((2, 3, 0), (9, 10, 2)):
        server.asked.clear()
        assert len(ids(sync_of(server, StreamState(cursor - HOUR), NOON - start * HOUR))) == count
        unfinished = [asked for asked in server.asked if asked["sort"] == "EXPECTED_START_TIME_DESC"]
        assert len(unfinished) == 1 + requests


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (Server(3, nulls_first=False), []),
        (Server(3, nulls_first=False, has_end_filter=False), ["does not know"]),
        (Server(3, nulls_first=False, ignores_end_filter=True), ["ignores"]),
    ],
)
def test_a_prefect_that_cannot_filter_by_end_is_named(
    server: Server, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "airbyte")
    cursor = ended(server, 4)
    assert len(ids(sync_of(server, StreamState(cursor)))) == 4
    assert caplog.messages == [
        f"runs: this Prefect {answer} the filter on end_time; the runs are read without it." for answer in said
    ]


def test_a_first_sync_ends_with_the_page_that_reaches_the_start_date() -> None:
    server = Server(7, nulls_first=False)
    due(server, *range(30))
    assert len(ids(sync_of(server, StreamState(), NOON - 5 * HOUR))) == 6
    # The newest page, and the oldest run, which shows whether runs without a due time come first.
    assert [(asked["sort"], asked["limit"]) for asked in server.asked] == [
        ("EXPECTED_START_TIME_DESC", 7),
        ("EXPECTED_START_TIME_ASC", 1),
    ]


def test_a_long_first_sync_is_cut_into_ranges_by_asking_for_single_runs() -> None:
    server = Server(5, nulls_first=False)
    due(server, *range(200))
    steps = list(sync_of(server, StreamState(), workers=4))
    assert len(ids(iter(steps))) == 200
    assert max(len(step.ranges) for step in steps if isinstance(step, Remaining)) == 4
    assert {asked["limit"] for asked in server.asked if asked["sort"] == "EXPECTED_START_TIME_ASC"} == {1}


def test_runs_without_a_due_time_are_read_in_pages_of_several_sizes() -> None:
    """PostgreSQL hides rows that tie from some pages; see `pages_unordered`."""
    server = Server(5, nulls_first=True)
    for _ in range(12):
        server.insert(11)
    assert len(ids(sync_of(server, StreamState()))) == 12
    first_pages = [asked for asked in server.asked if not asked["filters"] and not asked["offset"]]
    assert {asked["limit"] for asked in first_pages} >= {5, 2}


@pytest.mark.parametrize("bound", ["after_", "before_"])
def test_a_server_that_ignores_a_bound_of_time_ends_the_sync(bound: str) -> None:
    server = Server(5, nulls_first=False)
    due(server, *range(20))
    matches = server._matches
    server._matches = lambda row, filters: matches(  # type: ignore[method-assign]
        row, {name: {key: value for key, value in wanted.items() if key != bound} for name, wanted in filters.items()}
    )
    with pytest.raises(PaginationError, match="Asked for rows with"):
        list(
            sync_runs(
                server.runs(), StreamState(server.now, (Range(NOON - 9 * HOUR, NOON - 5 * HOUR),)), LOOKBACK, None
            )
        )
