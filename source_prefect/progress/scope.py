"""The settings that decide what is sent: if they let more pass, a cursor covers too little."""

from collections.abc import Callable, Mapping
from typing import Any

from source_prefect.times import BEGINNING, END, parse_time

START_DATE, LOG_LEVEL, EVENT_PREFIXES, LEAVE_OUT = "start_date", "log_level", "event_prefixes", "leave_out"


def widened(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The settings that let more rows pass than before. A missing one passes all."""
    return [name for name, covers in _COVERS.items() if name in before and not covers(before[name], now.get(name))]


def _is_as_early(before: Any, now: Any) -> bool:
    return (parse_time(before) or END) <= (parse_time(now) or BEGINNING)


def _is_as_low(before: Any, now: Any) -> bool:
    return isinstance(before, int) and before <= (now or 0)


def _has_prefixes_of(before: Any, now: Any) -> bool:
    known = tuple(text for text in before if isinstance(text, str)) if isinstance(before, list) else ()
    return all(prefix.startswith(known) for prefix in now or [""])


def _leaves_out_no_more(before: Any, now: Any) -> bool:
    return isinstance(before, list) and all(each in (now or ()) for each in before)


# Whether the setting of before lets all pass that the present one does.
_COVERS: Mapping[str, Callable[[Any, Any], bool]] = {
    START_DATE: _is_as_early,
    LOG_LEVEL: _is_as_low,
    EVENT_PREFIXES: _has_prefixes_of,
    LEAVE_OUT: _leaves_out_no_more,
}
