"""A missing object was deleted if it stays missing, without an event, on the same server."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from source_prefect.progress.seen import LATEST_EVENT, Seen, SeenObjects
from source_prefect.progress.state import StateError
from source_prefect.times import ONE_MICROSECOND, format_time

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SERVER = "http://127.0.0.1:4200/api"


def compared(
    saved: dict[str, Any], *names: str, reported: str = "", at: datetime = NOW
) -> tuple[list[str], dict[str, Any]]:
    """What a sync of a table of these objects finds deleted, and what it saves."""
    objects = SeenObjects(saved, SERVER)
    if reported:
        objects.mark_reported("work-pool", reported)
    return [key for key, _ in objects.compare("work-pool", dict.fromkeys(names, "pool"), at)], objects.dump()


def test_an_object_is_deleted_when_a_sync_misses_it_long_enough_after_another() -> None:
    _, state = compared({}, "a", "b")
    for at in (NOW, NOW + LATEST_EVENT - ONE_MICROSECOND):
        deleted, state = compared(state, "a", at=at)
        assert deleted == []
    later = NOW + LATEST_EVENT
    assert list(SeenObjects(state, SERVER).compare("work-pool", {"a": "pool"}, later)) == [
        ("b", Seen("pool", format_time(NOW)))
    ]
    deleted, state = compared(state, "a", at=later)
    assert deleted == ["b"]
    assert compared(state, "a", at=later + LATEST_EVENT)[0] == []


@pytest.mark.parametrize("sync_of_event", [1, 2])
def test_a_deletion_has_one_row_whether_its_event_comes_late_or_before_the_table_shows_it(sync_of_event: int) -> None:
    _, state = compared({}, "a", "b")
    for sync, names in enumerate((["a", "b"], ["a"], ["a"], ["a"]), 1):
        reported = "b" if sync == sync_of_event else ""
        deleted, state = compared(state, *names, reported=reported, at=NOW + sync * LATEST_EVENT)
        assert deleted == []


def test_an_object_that_is_back_was_not_deleted() -> None:
    state: dict[str, Any] = {}
    for sync, names in enumerate((["a"], [], ["a"], [])):
        deleted, state = compared(state, *names, at=NOW + sync * LATEST_EVENT)
        assert deleted == []


def test_the_objects_of_another_server_are_unknown() -> None:
    _, state = compared({}, "a")
    state["api_url"] = "http://elsewhere/api"
    for sync in range(2):
        deleted, state = compared(state, at=NOW + sync * LATEST_EVENT)
        assert deleted == []


@pytest.mark.parametrize("seen", [None, [], {"work-pool": 1}, {"work-pool": {"a": 1}}, {"work-pool": {"a": []}}])
def test_a_damaged_state_is_one_sentence(seen: Any) -> None:
    with pytest.raises(StateError, match="Reset the stream to read it from the beginning"):
        SeenObjects({"api_url": SERVER, "seen": seen}, SERVER)


def test_the_largest_tables_take_less_than_50_kb_of_state() -> None:
    """Of each type at most one object fewer than a page has rows; the names are of 30 letters."""
    objects = SeenObjects({}, SERVER)
    names = {f"{n:036}": f"{n:030}" for n in range(199)}
    for kind in ("deployment", "work-pool", "concurrency-limit"):
        assert list(objects.compare(kind, names, NOW)) == []
    assert len(json.dumps(objects.dump())) < 50_000


def test_a_sync_that_has_seen_nothing_saves_nothing() -> None:
    objects = SeenObjects({}, SERVER)
    assert objects.dump() == {}
    assert list(objects.compare("work-pool", {}, NOW)) == []
    assert objects.dump() == {"api_url": SERVER, "seen": {"work-pool": {}}}


def test_an_object_that_no_sync_saw_may_be_reported_and_is_not_taken_for_one_that_is_there() -> None:
    """It was made and deleted while the table was read, which may hold it still."""
    assert compared({}, "a", "b", reported="b") == compared({}, "a")


def test_a_table_that_is_forgotten_begins_anew_and_the_others_go_on() -> None:
    objects = SeenObjects({}, SERVER)
    for kind in ("work-pool", "deployment"):
        assert list(objects.compare(kind, {"a": "name"}, NOW)) == []
    objects.forget("work-pool")
    objects.forget("variable")
    assert objects.dump()["seen"] == {"deployment": {"a": ["name", None]}}
