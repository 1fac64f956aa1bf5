"""What a sync saves for the next one. No CDK in here: a state is a JSON object."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from source_prefect.times import BEGINNING, format_time, parse_time

# Written into each state. A state without it is from version 0.1.0.
VERSION = 2

# The parts of a stream's state, by workspace of Prefect Cloud.
_PARTS = "workspaces"

# How long a transaction may last: one that is open during a scan commits later, with an earlier `updated`.
IN_FLIGHT = timedelta(minutes=5)

# A smaller difference between two clocks is ignored: the `Date` of an answer is in whole seconds.
_SAME_CLOCK = timedelta(minutes=1)

# Limits that no server's clock exceeds, and within which no arithmetic on times overflows.
_EARLIEST_CURSOR = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9999, 12, 31, tzinfo=UTC)
_LONGEST_OFFSET = 1_000_000_000  # seconds

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:?\d{2})")


class StateError(Exception):
    """One sentence: what is wrong with a saved state, and what to do."""


@dataclass(frozen=True)
class StreamState:
    """How far a stream has been read.

    `cursor`: all changes up to this time of the server's clock have been delivered; None before the first checkpoint.
    `read_to`: only where a first sync of runs was interrupted: the runs due up to this time have been delivered.
    `start_date`: the setting of the syncs that reached the cursor.
    `clock_offset`: by how much the server's clock was ahead of the connector's.
    `digests`: of the rows that are compared by their content (`sync.digests`); `newest`: their latest `updated`.
    `objects`: what tables held (`sync.seen`).
    """

    cursor: datetime | None = None
    read_to: datetime | None = None
    start_date: datetime | None = None
    clock_offset: timedelta | None = None
    digests: str = ""
    newest: datetime | None = None
    objects: Mapping[str, Any] = field(default_factory=dict)

    @property
    def changed_since(self) -> datetime | None:
        """Rows that changed at or after this time are sent; None in a first sync, which sends all."""
        return self.cursor - IN_FLIGHT if self.cursor else None

    def trusted_cursor(self, server: datetime, connector: datetime) -> datetime | None:
        """The cursor on the server's present clock; None where it cannot be trusted.

        `server` and `connector` are readings of the two clocks at the same time. A server's clock that was set back
        repeats times that the cursor has passed.
        """
        cursor = self.cursor
        if cursor and self.clock_offset is not None:
            set_back = self.clock_offset - (server - connector)
            if set_back > _SAME_CLOCK:
                cursor -= set_back
        return None if cursor is None or cursor > server + IN_FLIGHT else cursor

    def dump(self, cursor_field: str) -> dict[str, Any]:
        """The state as JSON."""
        state: dict[str, Any] = {"version": VERSION}
        if self.cursor:
            state[cursor_field] = format_time(self.cursor)
        if self.read_to:
            state["first_sync"] = {"read_to": format_time(self.read_to)}
        if self.start_date:
            state["start_date"] = format_time(self.start_date)
        if self.clock_offset is not None:
            state["clock_offset"] = round(self.clock_offset.total_seconds())
        if self.digests:
            state["digests"] = self.digests
        if self.newest:
            state["newest"] = format_time(self.newest)
        if self.objects:
            state["objects"] = self.objects
        return state


def load_state(stream: str, cursor_field: str, saved: Mapping[str, Any], start_date: datetime | None) -> StreamState:
    """The state that was saved by this or by an earlier version. Raises StateError."""
    if not saved:
        return StreamState()
    version = _version(stream, saved)

    def wrong(name: str, value: Any, right: str) -> StateError:
        return _wrong(stream, name, value, right)

    def time(name: str, value: Any, earliest: datetime = BEGINNING) -> datetime | None:
        if value is None:
            return None
        parsed = parse_time(value) if _TIME.fullmatch(str(value)) else None
        if parsed is None or not earliest <= parsed < _END:
            raise wrong(name, value, "a time such as 2026-01-01T00:00:00.000000Z")
        return parsed

    cursor = time(cursor_field, saved.get(cursor_field), _EARLIEST_CURSOR)
    if cursor is None and version == 1:
        raise StateError(
            f"The state of the stream {stream} has no `{cursor_field}`: it is not from this connector, or it is "
            "damaged. Reset the stream to read it from the beginning."
        )
    first_sync = saved.get("first_sync")
    if version == 1:
        # The cursor of a first sync that failed at once was the setting.
        if cursor and start_date and cursor <= start_date:
            return StreamState()
        # Version 0.1.0 marked an interrupted first sync by the microsecond of its cursor.
        read_to = cursor if cursor and cursor.microsecond == 999_999 else None
        return StreamState(cursor, read_to, start_date)
    if first_sync is not None and not isinstance(first_sync, Mapping):
        raise wrong("first_sync", first_sync, "an object")
    offset, digests, objects = (saved.get(name) for name in ("clock_offset", "digests", "objects"))
    if offset is not None and (type(offset) is not int or abs(offset) > _LONGEST_OFFSET):
        raise wrong("clock_offset", offset, "a number of seconds between two clocks")
    return StreamState(
        cursor,
        time("first_sync.read_to", first_sync.get("read_to")) if first_sync else None,
        time("start_date", saved.get("start_date")),
        timedelta(seconds=offset) if offset is not None else None,
        digests if isinstance(digests, str) else "",
        time("newest", saved.get("newest")),
        objects if isinstance(objects, Mapping) else {},
    )


def names_workspaces(whole: Mapping[str, Any]) -> bool:
    """Whether a stream's state has one part for each workspace. That of a server has none."""
    return _PARTS in whole


def part_of_state(stream: str, whole: Mapping[str, Any], workspace_id: str) -> Mapping[str, Any]:
    """The part of a stream's state that belongs to a workspace; empty where it has none. Raises StateError."""
    _version(stream, whole)
    parts = whole[_PARTS]
    if not isinstance(parts, Mapping):
        raise _wrong(stream, _PARTS, parts, "an object")
    part = parts.get(workspace_id, {})
    if not isinstance(part, Mapping):
        raise _wrong(stream, f"{_PARTS}.{workspace_id}", part, "an object")
    return part


def with_part(whole: Mapping[str, Any], workspace_id: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """A stream's state with another part of a workspace. A state without parts is replaced."""
    return {"version": VERSION, _PARTS: {**whole.get(_PARTS, {}), workspace_id: part}}


def _version(stream: str, saved: Mapping[str, Any]) -> int:
    version = saved.get("version", 1)
    if type(version) is not int or not 1 <= version <= VERSION:
        raise StateError(
            f"The state of the stream {stream} has the version {version!r}; this version of the connector reads up to "
            f"{VERSION}. Update the connector, or reset the stream."
        )
    return version


def _wrong(stream: str, name: str, value: Any, right: str) -> StateError:
    return StateError(
        f"The state of the stream {stream} has {value!r} as `{name}`, which is not {right}. Reset the stream to "
        "read it from the beginning."
    )
