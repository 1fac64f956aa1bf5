import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from source_prefect.progress.ranges import Range
from source_prefect.progress.state import (
    IN_FLIGHT,
    VERSION,
    StateError,
    StreamState,
    load_state,
    part_of_state,
    with_part,
)
from source_prefect.times import BEGINNING, END, ONE_MICROSECOND

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TEXT = "2026-11-20T12:00:00.000000Z"

moments = st.datetimes(timezones=st.just(UTC))
times = st.none() | moments
columns = st.sampled_from(["updated", "occurred", "timestamp"])
states = st.builds(
    StreamState,
    cursor=times,
    remaining=st.lists(st.builds(Range, moments, moments)).map(tuple),
    settings=st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text())),
    clock_offset=st.none() | st.timedeltas(min_value=BEGINNING - END, max_value=END - BEGINNING),
    digests=st.text(),
    newest=times,
    objects=st.dictionaries(st.text(), st.text() | st.dictionaries(st.text(), st.lists(st.text()))),
)


@given(states, columns)
@example(StreamState(), "updated")
@example(StreamState(END, (Range(END, END),), clock_offset=END - BEGINNING, newest=END), "updated")
@example(StreamState(BEGINNING, (Range(BEGINNING, END),), clock_offset=BEGINNING - END, newest=BEGINNING), "updated")
def test_whatever_is_written_is_read_as_it_was_written(state: StreamState, column: str) -> None:
    """But for the part of a second between the two clocks."""
    if state.clock_offset is not None:
        state = replace(state, clock_offset=timedelta(seconds=round(state.clock_offset.total_seconds())))
    saved = json.loads(json.dumps(state.dump(column)))
    assert load_state("flow_runs", column, saved) == state


def test_a_state_names_its_version_and_its_cursor_field() -> None:
    assert StreamState(NOON).dump("occurred") == {"version": VERSION, "occurred": TEXT}


def test_no_state_is_a_first_sync() -> None:
    assert load_state("flow_runs", "updated", {}) == StreamState()


@pytest.mark.parametrize(
    ("field", "saved", "said"),
    [
        ("occurred", {"occurred": "garbage"}, "'garbage' as `occurred`, which is not a time"),
        ("timestamp", {"timestamp": []}, r"\[\] as `timestamp`, which is not a time"),
        ("updated", {"updated": "2026-11-20"}, "'2026-11-20' as `updated`"),
        ("updated", {"updated": 7}, "7 as `updated`"),
        ("updated", {"version": VERSION + 1}, f"{VERSION + 1}; this version of the connector reads {VERSION}"),
        ("updated", {"version": "one"}, "the version 'one'"),
        ("updated", {"version": True}, "the version True"),
        ("updated", {"version": None}, "the version None"),
        ("updated", {"updated": "2026-13-01T00:00:00Z"}, "'2026-13-01T00:00:00Z' as `updated`"),
        ("updated", {"clock_offset": 10**30}, "0 as `clock_offset`, which is not a number"),
        ("updated", {"clock_offset": True}, "True as `clock_offset`"),
        ("updated", {"clock_offset": "an hour"}, "'an hour' as `clock_offset`"),
        ("updated", {"version": VERSION - 1}, f"{VERSION - 1}; this version of the connector reads {VERSION}"),
        ("updated", {"remaining": "all"}, "'all' as `remaining`, which is not a list of pairs of times"),
        ("updated", {"remaining": [[TEXT]]}, "as `remaining`"),
        ("updated", {"remaining": [[TEXT, "soon"]]}, "as `remaining`"),
        ("updated", {"remaining": [{TEXT: TEXT}]}, "as `remaining`"),
        ("updated", {"settings": ["INFO"]}, r"\['INFO'\] as `settings`, which is not an object"),
        ("updated", {"digests": 7}, "7 as `digests`, which is not text"),
        ("updated", {"newest": "soon"}, "'soon' as `newest`, which is not a time"),
        ("updated", {"objects": "all"}, "'all' as `objects`, which is not an object"),
    ],
)
def test_a_state_that_cannot_be_read_is_named(field: str, saved: dict[str, Any], said: str) -> None:
    with pytest.raises(StateError, match=f"^The state of the stream logs .*{said}"):
        load_state("logs", field, {"version": VERSION, "updated": TEXT, **saved})


def test_a_state_without_a_version_is_taken_for_one_of_this_version() -> None:
    assert load_state("flow_runs", "updated", {"updated": TEXT}) == StreamState(NOON)


@pytest.mark.parametrize(
    ("then", "now", "trusted"),
    [
        # The server's clock less the connector's, at the last sync and at this one.
        (timedelta(0), timedelta(0), NOON),
        (timedelta(seconds=60), timedelta(0), NOON),
        (timedelta(seconds=61), timedelta(0), NOON - timedelta(seconds=61)),
        (timedelta(0), HOUR, NOON),
        (HOUR, timedelta(0), NOON - HOUR),
        (timedelta(days=2), timedelta(0), NOON - timedelta(days=2)),
        (None, timedelta(0), NOON),
    ],
)
def test_a_cursor_is_taken_back_by_as_much_as_the_servers_clock(
    then: timedelta | None, now: timedelta, trusted: datetime
) -> None:
    connector = NOON + 3 * HOUR
    assert StreamState(NOON, clock_offset=then).trusted_cursor(connector + now, connector) == trusted


def test_a_cursor_that_is_ahead_of_the_servers_clock_is_not_trusted() -> None:
    assert StreamState(NOON).trusted_cursor(NOON - HOUR, NOON - HOUR) is None
    assert StreamState(NOON).trusted_cursor(NOON - IN_FLIGHT - ONE_MICROSECOND, NOON) is None
    assert StreamState(NOON).trusted_cursor(NOON - IN_FLIGHT, NOON) == NOON


def test_what_changed_shortly_before_the_cursor_is_sent_again() -> None:
    """A transaction that was open during the scan may have committed it later."""
    assert StreamState(NOON).changed_since == NOON - IN_FLIGHT
    assert StreamState().changed_since is None


@pytest.mark.parametrize("ends", [(BEGINNING, END), (END, BEGINNING)])
def test_clocks_and_cursors_at_the_ends_of_time_are_compared_too(ends: tuple[datetime, datetime]) -> None:
    server, connector = ends
    for cursor in ends:
        state = StreamState(cursor, clock_offset=END - BEGINNING)
        assert state.trusted_cursor(server, connector) in (None, BEGINNING, cursor)
        assert state.changed_since is not None


# The states of several workspaces


def test_each_workspace_has_a_part_of_its_own() -> None:
    first = with_part({}, "a", {"updated": TEXT})
    both = with_part(first, "b", {"updated": "later"})
    assert both == {"version": VERSION, "workspaces": {"a": {"updated": TEXT}, "b": {"updated": "later"}}}
    assert first == {"version": VERSION, "workspaces": {"a": {"updated": TEXT}}}
    assert part_of_state("flows", both, "a") == {"updated": TEXT}
    assert part_of_state("flows", both, "new") == {}


def test_a_server_has_all_of_a_state() -> None:
    flat = StreamState(NOON).dump("updated")
    assert with_part({}, "", flat) == flat
    assert part_of_state("flows", flat, "") == flat


def test_a_state_of_a_server_says_nothing_about_a_workspace_and_the_other_way_round() -> None:
    flat = StreamState(NOON).dump("updated")
    parts = with_part({}, "a", flat)
    assert part_of_state("flows", flat, "a") == part_of_state("flows", parts, "") == {}
    assert with_part(flat, "a", {}) == {"version": VERSION, "workspaces": {"a": {}}}
    assert with_part(parts, "", flat) == flat


@pytest.mark.parametrize(
    ("whole", "sentence"),
    [
        ({"version": VERSION, "workspaces": 5}, "has 5 as `workspaces`, which is not an object"),
        ({"version": VERSION, "workspaces": {"a": [1]}}, r"has \[1\] as `workspaces.a`, which is not an object"),
        ({"version": VERSION + 1, "workspaces": {}}, f"has the version {VERSION + 1}"),
    ],
)
def test_a_damaged_state_of_several_workspaces_is_a_sentence(whole: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StateError, match=f"The state of the stream flows {sentence}"):
        part_of_state("flows", whole, "a")
