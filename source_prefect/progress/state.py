"""What a sync saves for the next one. A state is a JSON object."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from source_prefect.progress.ranges import Range
from source_prefect.times import BEGINNING, END, format_time, parse_time, shift

# Written into each state.
VERSION = 3
# The parts of a stream's state, by workspace of Prefect Cloud.
_PARTS = "workspaces"

# How long a transaction may last: one that is open during a scan commits later, with an earlier
# `updated`.
IN_FLIGHT = timedelta(minutes=5)
# A smaller difference between two clocks is ignored: the `Date` of an answer is in whole seconds.
_SAME_CLOCK = timedelta(minutes=1)

# What values must be. The difference of two clocks is in seconds; `Date` and Python have times of
# the years 1 to 9999.
_OBJECT, _TEXT, _OFFSET = "an object", "text", "a number of seconds between two clocks"
_RANGES = "a list of pairs of times"
_TIME = "a time such as 2026-01-01T00:00:00.000000Z"
_TIMES = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:?\d{2})")
_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    _OBJECT: lambda value: isinstance(value, Mapping),
    _TEXT: lambda value: isinstance(value, str),
    _OFFSET: lambda value: type(value) is int and abs(value) <= round((END - BEGINNING).total_seconds()),
    _TIME: lambda value: bool(_TIMES.fullmatch(str(value)) and parse_time(value)),
    _RANGES: lambda value: isinstance(value, list) and all(map(_is_pair, value)),
}


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_CHECKS[_TIME], value))


class StateError(Exception):
    """One sentence: what is wrong with a saved state, and what to do."""


@dataclass(frozen=True)
class StreamState:
    """How far a stream has been read.

    `cursor`: all changes up to this time of the server's clock have been delivered; None before
    the first checkpoint. `remaining`: but for the rows of these ranges, of which none has been:
    there a long sync was interrupted. `settings`: those of the syncs that reached the cursor,
    where they decide which rows are sent. `clock_offset`: by how much the server's clock was ahead
    of the connector's. `digests`: of the rows that are compared by their content (`digests`);
    `newest`: their latest `updated`. `objects`: what tables held (`seen`).
    """

    cursor: datetime | None = None
    remaining: tuple[Range, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    clock_offset: timedelta | None = None
    digests: str = ""
    newest: datetime | None = None
    objects: Mapping[str, Any] = field(default_factory=dict)

    @property
    def changed_since(self) -> datetime | None:
        """Rows that changed since this time are sent; None in a first sync, which sends all."""
        return shift(self.cursor, -IN_FLIGHT) if self.cursor else None

    def trusted_cursor(self, server: datetime, connector: datetime) -> datetime | None:
        """The cursor on the server's present clock; None where it cannot be trusted.

        `server` and `connector` are readings of the two clocks at the same time. A server's clock
        that was set back repeats times that the cursor has passed.
        """
        cursor = self.cursor
        if cursor and self.clock_offset is not None:
            set_back = self.clock_offset - (server - connector)
            if set_back > _SAME_CLOCK:
                cursor = shift(cursor, -set_back)
        return None if cursor is None or cursor > shift(server, IN_FLIGHT) else cursor

    def dump(self, cursor_field: str) -> dict[str, Any]:
        """The state as JSON."""
        offset = self.clock_offset
        state = {
            "version": VERSION,
            cursor_field: self.cursor and format_time(self.cursor),
            "remaining": [[format_time(start), format_time(end or END)] for start, end in self.remaining],
            "settings": dict(self.settings),
            "clock_offset": None if offset is None else round(offset.total_seconds()),
            "digests": self.digests,
            "newest": self.newest and format_time(self.newest),
            "objects": self.objects,
        }
        return {name: value for name, value in state.items() if value not in (None, "", {}, [])}


def load_state(stream: str, cursor_field: str, saved: Mapping[str, Any]) -> StreamState:
    """The state that `dump` wrote. Raises StateError for any other."""
    if not saved:
        return StreamState()
    _check_version(stream, saved)
    if saved.keys().isdisjoint({"version", cursor_field}):
        raise StateError(
            f"The state of the stream {stream} has no `{cursor_field}`: it is not from this connector, or it is "
            "damaged. Reset the stream to read it from the beginning."
        )

    def known(name: str, right: str) -> Any:
        value = saved.get(name)
        return None if value is None else _checked(stream, name, value, right)

    offset = known("clock_offset", _OFFSET)
    return StreamState(
        cursor=parse_time(known(cursor_field, _TIME)),
        remaining=tuple(
            Range(start, end)
            for each in known("remaining", _RANGES) or ()
            for start, end in [map(parse_time, each)]
            if start
        ),
        settings=known("settings", _OBJECT) or {},
        clock_offset=None if offset is None else timedelta(seconds=offset),
        digests=known("digests", _TEXT) or "",
        newest=parse_time(known("newest", _TIME)),
        objects=known("objects", _OBJECT) or {},
    )


def names_workspaces(whole: Mapping[str, Any]) -> bool:
    """Whether a stream's state has one part for each workspace. That of a server has none."""
    return _PARTS in whole


def part_of_state(stream: str, whole: Mapping[str, Any], workspace_id: str) -> Mapping[str, Any]:
    """The part of a stream's state that belongs to a workspace; all of it for a server, which has
    no workspace.

    Empty where the state is of the other kind. Raises StateError.
    """
    if names_workspaces(whole) != bool(workspace_id):
        return {}
    if not workspace_id:
        return whole
    _check_version(stream, whole)
    parts = _checked(stream, _PARTS, whole[_PARTS], _OBJECT)
    part: Mapping[str, Any] = _checked(stream, f"{_PARTS}.{workspace_id}", parts.get(workspace_id, {}), _OBJECT)
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


def _checked(stream: str, name: str, value: Any, right: str) -> Any:
    if not _CHECKS[right](value):
        raise StateError(
            f"The state of the stream {stream} has {value!r} as `{name}`, which is not {right}. Reset the stream to "
            "read it from the beginning."
        )
    return value
