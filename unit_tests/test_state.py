from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from source_prefect.sync.state import StateError, StreamState, load_state, names_workspaces, part_of_state, with_part

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TEXT = "2026-11-20T12:00:00.000000Z"


@pytest.mark.parametrize(
    "state",
    [
        StreamState(),
        StreamState(NOON),
        StreamState(NOON, read_to=START, start_date=START, clock_offset=-HOUR, digests="abcdef", newest=NOON),
    ],
)
def test_a_state_is_read_as_it_was_written(state: StreamState) -> None:
    assert load_state("flow_runs", "updated", state.dump("updated"), None) == state


def test_a_state_names_its_version_and_its_cursor_field() -> None:
    assert StreamState(NOON).dump("occurred") == {"version": 2, "occurred": TEXT}


def test_no_state_is_a_first_sync() -> None:
    assert load_state("flow_runs", "updated", {}, START) == StreamState()


def test_a_state_of_the_first_version_is_read() -> None:
    state = load_state("deployments", "updated", {"updated": TEXT, "schedules": {"half-an-id": 2}}, START)
    assert state == StreamState(NOON, start_date=START)


def test_a_cursor_of_the_first_version_that_is_a_start_date_says_nothing_about_rows() -> None:
    assert load_state("flow_runs", "updated", {"updated": TEXT}, NOON) == StreamState()


def test_a_first_sync_of_the_first_version_goes_on_from_the_end_of_its_window() -> None:
    end = NOON - timedelta(microseconds=1)
    assert load_state("flow_runs", "updated", {"updated": "2026-11-20T11:59:59.999999Z"}, None) == StreamState(end, end)


@pytest.mark.parametrize(
    ("field", "saved", "said"),
    [
        ("occurred", {"occurred": "garbage"}, "'garbage' as `occurred`, which is not a time"),
        ("timestamp", {"timestamp": []}, r"\[\] as `timestamp`, which is not a time"),
        ("updated", {"updated": "2026-11-20"}, "'2026-11-20' as `updated`"),
        ("updated", {"updated": 7}, "7 as `updated`"),
        ("updated", {"updated": TEXT, "version": 3}, "the version 3; this version of the connector reads up to 2"),
        ("updated", {"updated": TEXT, "version": "two"}, "the version 'two'"),
        ("updated", {"updated": TEXT, "version": True}, "the version True"),
        ("updated", {"updated": "0001-01-01T00:00:00Z"}, "'0001-01-01T00:00:00Z' as `updated`"),
        ("updated", {"updated": "9999-12-31T23:59:59-12:00"}, "'9999-12-31T23:59:59-12:00' as `updated`"),
        (
            "updated",
            {"updated": TEXT, "version": 2, "first_sync": {"read_to": "0001-01-01T00:00:00+14:00"}},
            "read_to`",
        ),
        (
            "updated",
            {"updated": TEXT, "version": 2, "clock_offset": 10**30},
            "0 as `clock_offset`, which is not a number",
        ),
        ("updated", {"updated": TEXT, "version": 2, "clock_offset": True}, "True as `clock_offset`"),
        ("updated", {"updated": TEXT, "version": 2, "clock_offset": "an hour"}, "'an hour' as `clock_offset`"),
        ("updated", {"updated": TEXT, "version": 2, "first_sync": "yes"}, "'yes' as `first_sync`"),
        ("updated", {"updated": TEXT, "version": 2, "first_sync": {"read_to": "soon"}}, "`first_sync.read_to`"),
        ("updated", {"updated": TEXT, "version": 2, "start_date": "soon"}, "'soon' as `start_date`"),
        ("updated", {"state_type": "date-range", "slices": "broken"}, "has no `updated`"),
    ],
)
def test_a_state_that_cannot_be_read_is_named(field: str, saved: dict[str, Any], said: str) -> None:
    with pytest.raises(StateError, match=f"^The state of the stream logs .*{said}"):
        load_state("logs", field, saved, None)


@pytest.mark.parametrize(
    ("then", "now", "trusted"),
    [
        # The server's clock less the connector's, at the last sync and at this one.
        (timedelta(0), timedelta(0), NOON),
        (timedelta(seconds=30), timedelta(0), NOON),
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
    assert StreamState(NOON).trusted_cursor(NOON - timedelta(minutes=2), NOON) == NOON


# The states of several workspaces


def test_each_workspace_has_a_part_of_its_own() -> None:
    first = with_part({}, "a", {"updated": TEXT})
    both = with_part(first, "b", {"updated": "later"})
    assert both == {"version": 2, "workspaces": {"a": {"updated": TEXT}, "b": {"updated": "later"}}}
    assert first == {"version": 2, "workspaces": {"a": {"updated": TEXT}}}
    assert part_of_state("flows", both, "a") == {"updated": TEXT}
    assert part_of_state("flows", both, "new") == {}


def test_a_state_without_parts_is_replaced_by_one_with_parts() -> None:
    flat = StreamState(NOON).dump("updated")
    assert (names_workspaces(flat), names_workspaces({})) == (False, False)
    assert with_part(flat, "a", {}) == {"version": 2, "workspaces": {"a": {}}}


@pytest.mark.parametrize(
    ("whole", "sentence"),
    [
        ({"version": 2, "workspaces": 5}, "has 5 as `workspaces`, which is not an object"),
        ({"version": 2, "workspaces": {"a": [1]}}, r"has \[1\] as `workspaces.a`, which is not an object"),
        ({"version": 3, "workspaces": {}}, "has the version 3"),
    ],
)
def test_a_damaged_state_of_several_workspaces_is_a_sentence(whole: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StateError, match=f"The state of the stream flows {sentence}"):
        part_of_state("flows", whole, "a")
