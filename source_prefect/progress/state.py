"""What a sync saves for the next one. A state is a JSON object."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from source_prefect.times import BEGINNING, END, format_time, parse_time, shift

# Written into each state.
VERSION = 2

# The parts of a stream's state, by workspace of Prefect Cloud.
_PARTS = "workspaces"

# How long a transaction may last: one that is open during a scan commits later, with an earlier `updated`.
IN_FLIGHT = timedelta(minutes=5)

# A smaller difference between two clocks is ignored: the `Date` of an answer is in whole seconds.
_SAME_CLOCK = timedelta(minutes=1)

# In seconds; `Date` and Python's times are from the years 1 to 9999.
_LONGEST_OFFSET = round((END - BEGINNING).total_seconds())

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:?\d{2})")


class StateError(Exception):
    """One sentence: what is wrong with a saved state, and what to do."""


@dataclass(frozen=True)
class StreamState:
    """How far a stream has been read.

    `cursor`: all changes up to this time of the server's clock have been delivered; None before the first checkpoint.
    `read_to`: only where a first sync of runs was interrupted: the runs due up to this time have been delivered.
    `settings`: those of the syncs that reached the cursor, where they decide which rows are sent.
    `clock_offset`: by how much the server's clock was ahead of the connector's.
    `digests`: of the rows that are compared by their content (`digests`); `newest`: their latest `updated`.
    `objects`: what tables held (`seen`).
    """

    cursor: datetime | None = None
    read_to: datetime | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    clock_offset: timedelta | None = None
    digests: str = ""
    newest: datetime | None = None
    objects: Mapping[str, Any] = field(default_factory=dict)

    @property
    def changed_since(self) -> datetime | None:
        """Rows that changed at or after this time are sent; None in a first sync, which sends all."""
        return shift(self.cursor, -IN_FLIGHT) if self.cursor else None

    def trusted_cursor(self, server: datetime, connector: datetime) -> datetime | None:
        """The cursor on the server's present clock; None where it cannot be trusted.

        `server` and `connector` are readings of the two clocks at the same time. A server's clock that was set back
        repeats times that the cursor has passed.
        """
        cursor = self.cursor
        if cursor and self.clock_offset is not None:
            set_back = self.clock_offset - (server - connector)
            if set_back > _SAME_CLOCK:
                cursor = shift(cursor, -set_back)
        return None if cursor is None or cursor > shift(server, IN_FLIGHT) else cursor

    def dump(self, cursor_field: str) -> dict[str, Any]:
        """The state as JSON."""
        state: dict[str, Any] = {"version": VERSION}
        if self.cursor:
            state[cursor_field] = format_time(self.cursor)
        if self.read_to:
            state["first_sync"] = {"read_to": format_time(self.read_to)}
        if self.settings:
            state["settings"] = dict(self.settings)
        if self.clock_offset is not None:
            state["clock_offset"] = round(self.clock_offset.total_seconds())
        if self.digests:
            state["digests"] = self.digests
        if self.newest:
            state["newest"] = format_time(self.newest)
        if self.objects:
            state["objects"] = self.objects
        return state


def load_state(stream: str, cursor_field: str, saved: Mapping[str, Any]) -> StreamState:
    """The state that `dump` wrote. Raises StateError for any other."""
    if not saved:
        return StreamState()
    _check_version(stream, saved)

    def valid(name: str, right: str, is_valid: Callable[[Any], bool]) -> Any:
        value = saved.get(name)
        if value is not None and not is_valid(value):
            raise _wrong(stream, name, value, right)
        return value

    def time(name: str, value: Any) -> datetime | None:
        if value is None:
            return None
        parsed = parse_time(value) if _TIME.fullmatch(str(value)) else None
        if parsed is None:
            raise _wrong(stream, name, value, "a time such as 2026-01-01T00:00:00.000000Z")
        return parsed

    offset = valid(
        "clock_offset",
        "a number of seconds between two clocks",
        lambda value: type(value) is int and abs(value) <= _LONGEST_OFFSET,
    )
    first_sync = valid("first_sync", "an object", lambda value: isinstance(value, Mapping)) or {}
    return StreamState(
        cursor=time(cursor_field, saved.get(cursor_field)),
        read_to=time("first_sync.read_to", first_sync.get("read_to")),
        settings=valid("settings", "an object", lambda value: isinstance(value, Mapping)) or {},
        clock_offset=None if offset is None else timedelta(seconds=offset),
        digests=valid("digests", "text", lambda value: isinstance(value, str)) or "",
        newest=time("newest", saved.get("newest")),
        objects=valid("objects", "an object", lambda value: isinstance(value, Mapping)) or {},
    )


def names_workspaces(whole: Mapping[str, Any]) -> bool:
    """Whether a stream's state has one part for each workspace. That of a server has none."""
    return _PARTS in whole


def part_of_state(stream: str, whole: Mapping[str, Any], workspace_id: str) -> Mapping[str, Any]:
    """The part of a stream's state that belongs to a workspace; all of it for a server, which has no workspace.

    Empty where the state is of the other kind. Raises StateError.
    """
    if names_workspaces(whole) != bool(workspace_id):
        return {}
    if not workspace_id:
        return whole
    _check_version(stream, whole)
    parts = whole[_PARTS]
    if not isinstance(parts, Mapping):
        raise _wrong(stream, _PARTS, parts, "an object")
    part = parts.get(workspace_id, {})
    if not isinstance(part, Mapping):
        raise _wrong(stream, f"{_PARTS}.{workspace_id}", part, "an object")
    return part


def with_part(whole: Mapping[str, Any], workspace_id: str, part: Mapping[str, Any]) -> Mapping[str, Any]:
    """A stream's state with another part of a workspace. A state of the other kind is replaced."""
    if not workspace_id:
        return part
    return {"version": VERSION, _PARTS: {**whole.get(_PARTS, {}), workspace_id: part}}


def _check_version(stream: str, saved: Mapping[str, Any]) -> None:
    version = saved.get("version", VERSION)
    if type(version) is not int or version != VERSION:
        raise StateError(
            f"The state of the stream {stream} has the version {version!r}; this version of the connector reads "
            f"{VERSION}. Update the connector, or reset the stream."
        )


def _wrong(stream: str, name: str, value: Any, right: str) -> StateError:
    return StateError(
        f"The state of the stream {stream} has {value!r} as `{name}`, which is not {right}. Reset the stream to "
        "read it from the beginning."
    )
