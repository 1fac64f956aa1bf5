"""The settings that decide which rows a sync sends: where they let more rows pass, a saved cursor covers too few."""

from collections.abc import Mapping
from typing import Any

from source_prefect.times import BEGINNING, END, parse_time

START_DATE, LOG_LEVEL, EVENT_PREFIXES = "start_date", "log_level", "event_prefixes"


def widened(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The settings that let more rows pass than before, as far as rows depend on them. A missing one passes all."""
    found = []
    if START_DATE in before and _start(now) < (parse_time(before[START_DATE]) or END):
        found.append(START_DATE)
    if LOG_LEVEL in before and not _is_at_most(before[LOG_LEVEL], now.get(LOG_LEVEL, 0)):
        found.append(LOG_LEVEL)
    if EVENT_PREFIXES in before and not _covers(before[EVENT_PREFIXES], now.get(EVENT_PREFIXES, [""])):
        found.append(EVENT_PREFIXES)
    return found


def _start(settings: Mapping[str, Any]) -> Any:
    return parse_time(settings.get(START_DATE)) or BEGINNING


def _is_at_most(before: Any, now: int) -> bool:
    return isinstance(before, int) and before <= now


def _covers(before: Any, now: list[str]) -> bool:
    known = tuple(text for text in before if isinstance(text, str)) if isinstance(before, list) else ()
    return all(prefix.startswith(known) for prefix in now)
