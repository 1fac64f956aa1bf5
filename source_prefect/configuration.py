"""What a person typed into the form, made ready for use. No CDK in here."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import isodate

from source_prefect.address import (
    CLOUD_API,
    cloud_api_url,
    cloud_ui_url,
    server_api_url,
    server_ui_url,
)
from source_prefect.headers import server_headers
from source_prefect.times import format_time, parse_time
from source_prefect.tls import TlsSettings

DEFAULT_LOOKBACK = timedelta(days=1)

# Python's levels of logging, which Prefect stores as numbers.
LOG_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}


class ConfigError(Exception):
    """One sentence: which field is wrong, what it holds, and what would be right."""


def normalize(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values to add to the config: `api_url` and `ui_url`, and `start_date`, a whole second.

    By the fraction of its cursor, a sync knows a first sync that was cut short (`RunRetriever`).

    Raises ConfigError.
    """
    connection = config.get("connection")
    if not isinstance(connection, Mapping):
        raise ConfigError("connection is missing: choose Prefect Cloud or Prefect Server.")
    added: dict[str, Any] = {}
    try:
        if connection.get("type") == "cloud":
            ids = _cloud_ids(connection)
            added["api_url"] = cloud_api_url(connection.get("api_url") or CLOUD_API, *ids)
            added["ui_url"] = cloud_ui_url(added["api_url"], *ids)
        elif connection.get("type") == "server":
            added["api_url"] = server_api_url(str(connection.get("api_url") or ""))
            added["ui_url"] = server_ui_url(added["api_url"])
        else:
            raise ConfigError(f"connection.type is {connection.get('type')!r}; it must be cloud or server.")
    except ValueError as error:
        raise ConfigError(f"connection.api_url: {error}") from None
    try:
        server_headers(connection)
        TlsSettings.of(connection).context()
    except ValueError as error:
        raise ConfigError(f"connection.{error}") from None
    if start_date := config.get("start_date"):
        added["start_date"] = format_time(_start_date(start_date).replace(microsecond=0))
    lookback_window(config)
    minimum_log_level(config)
    return added


def lookback_window(config: Mapping[str, Any]) -> timedelta:
    """How long after its end a run is read again. Raises ConfigError."""
    text = config.get("lookback_window")
    if not text:
        return DEFAULT_LOOKBACK
    try:
        duration = isodate.parse_duration(text)
    except (isodate.ISO8601Error, TypeError):
        duration = None
    if not isinstance(duration, timedelta) or duration < timedelta(0):
        raise ConfigError(
            f"lookback_window is {text!r}; it must be an ISO 8601 duration in days or hours, such as P1D."
        )
    return duration


def minimum_log_level(config: Mapping[str, Any]) -> int:
    """The number of the least severe level of log lines to read. Raises ConfigError."""
    name = str(config.get("log_level") or "INFO").upper()
    if name not in LOG_LEVELS:
        raise ConfigError(f"log_level is {config['log_level']!r}; it must be one of {', '.join(LOG_LEVELS)}.")
    return LOG_LEVELS[name]


def _start_date(value: Any) -> datetime:
    time = parse_time(value)
    if time is None:
        raise ConfigError(f"start_date is {value!r}; it must look like 2026-01-01 or 2026-01-01T00:00:00Z.")
    return time


def _cloud_ids(connection: Mapping[str, Any]) -> tuple[str, str]:
    ids = []
    for field in ("account_id", "workspace_id"):
        value = connection.get(field)
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(f"connection.{field} is missing: it is the UUID in the address of the Prefect Cloud UI.")
        ids.append(value.strip())
    return ids[0], ids[1]
