"""Prefect's timestamps as datetimes. Never compare their text: `…13Z` sorts after `…13.5Z`."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

ONE_MICROSECOND = timedelta(microseconds=1)

# A bound that every time satisfies, but no row without a time.
BEGINNING = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)

_parse = TypeAdapter(datetime).validate_python


def parse_time(text: Any) -> datetime | None:
    """The UTC time of one of the API's timestamps; None where it is missing or invalid.

    Accepts what every Prefect since 2.20 writes: `Z` or an offset, with or without a fraction.
    """
    if not isinstance(text, str):
        return None
    try:
        time = _parse(text)
    except ValidationError:
        return None
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    try:
        return time.astimezone(UTC)
    except OverflowError:
        return BEGINNING if time.year == 1 else END


def shift(time: datetime, by: timedelta) -> datetime:
    """The sum, within Python's earliest and latest times, which Prefect accepts, too."""
    try:
        return time + by
    except OverflowError:
        return BEGINNING if by < timedelta(0) else END


def latest(texts: Iterable[Any]) -> str | None:
    """The latest timestamp, unchanged; None where there is none."""
    times = [(at, text) for text in texts if (at := parse_time(text))]
    return max(times)[1] if times else None


def format_time(time: datetime) -> str:
    """The time as the API's filters and the connector's state write it: UTC with microseconds."""
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
