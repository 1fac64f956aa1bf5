"""Remembers the objects that a sync has seen, so that the next ones notice which are gone."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from source_prefect.progress.state import StateError
from source_prefect.times import format_time, parse_time

# How long after a deletion its event may still come: a server writes events later than tables.
LATEST_EVENT = timedelta(minutes=15)


class Seen(NamedTuple):
    """An object's name, and the time of the sync that first missed it; None while it is there."""

    name: Any
    missing_since: Any = None


class SeenObjects:
    """The objects of some tables, by type and id. Raises StateError where `saved` is not from
    `dump`.

    An object counts as deleted once two syncs, LATEST_EVENT apart, miss it, because its event may
    come after the first.
    """

    def __init__(self, saved: Mapping[str, Any], api_url: str) -> None:
        self._api_url = api_url
        self._reported: set[str] = set()
        self._seen: dict[str, dict[str, Seen]] = {}
        # The objects of another server were not deleted on this one.
        if saved.get("api_url") != api_url:
            return
        try:
            self._seen = {kind: {key: Seen(*seen) for key, seen in of.items()} for kind, of in saved["seen"].items()}
        except (AttributeError, KeyError, TypeError):
            raise StateError(
                "The state of the stream change_log has `objects` that are damaged. Reset the stream to read it from "
                "the beginning."
            ) from None

    def mark_reported(self, object_type: str, object_id: str) -> None:
        """An event has reported that the object was deleted."""
        self._reported.add(object_id)
        self._seen.get(object_type, {}).pop(object_id, None)

    def compare(self, object_type: str, names: Mapping[str, Any], now: datetime) -> Iterator[tuple[str, Seen]]:
        """Take in a complete table, names by their ids. Yields the objects that were deleted."""
        seen = {key: Seen(name) for key, name in names.items() if key not in self._reported}
        gone = {key: known for key, known in self._seen.get(object_type, {}).items() if key not in names}
        for key, known in gone.items():
            missing_since = parse_time(known.missing_since)
            if missing_since and missing_since <= now - LATEST_EVENT:
                yield key, known
            else:
                seen[key] = known._replace(missing_since=format_time(missing_since or now))
        self._seen[object_type] = seen

    def forget(self, object_type: str) -> None:
        self._seen.pop(object_type, None)

    def dump(self) -> dict[str, Any]:
        """The objects as JSON."""
        seen = {kind: {key: [*known] for key, known in of.items()} for kind, of in self._seen.items()}
        return {"api_url": self._api_url, "seen": seen} if seen else {}
