"""The user's settings, validated and normalized. No CDK in here."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import isodate
import requests

from source_prefect.config.address import (
    CLOUD_API,
    cloud_api_url,
    cloud_ui_url,
    server_api_url,
    server_ui_url,
    workspace_in,
)
from source_prefect.config.headers import server_headers
from source_prefect.config.tls import TlsSettings
from source_prefect.times import format_time, parse_time

DEFAULT_PAGE_SIZE = 200
DEFAULT_WORKERS = 4
DEFAULT_LOOKBACK = timedelta(days=1)
LONGEST_LOOKBACK = timedelta(days=3650)

_UUID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_API_KEY = re.compile(r"[!-~]+")
# How the keys of users and of service accounts begin.
_CLOUD_KEY = re.compile(r"[^\w]*pn[ub]_\w")
_QUOTES = "\"'`“”„<>"
# In place of the workspaces' names: those that the key can read.
ALL = "all"
_CERTIFICATES = ("ca_certificate", "client_certificate", "client_key")
_DURATION = re.compile(r"P(?!$)(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(T.+)?")

# Python's levels of logging, which Prefect stores as numbers.
LOG_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}


class ConfigError(Exception):
    """One sentence: which field is invalid, and what is valid. It never contains a secret."""


def normalize(config: Mapping[str, Any]) -> dict[str, Any]:
    """What to add to the config, and what to replace in it.

    Adds `api_url`, `root_url` (the part of it that all workspaces share), `ui_url` and the defaults, strips the values
    of `connection`, and formats `start_date` for the API. Raises ConfigError.
    """
    connection = _connection(config)
    ready: dict[str, Any] = {"connection": connection}
    if connection["type"] == "cloud":
        ids = connection["account_id"], connection["workspace_id"]
        # Without ids, `http.cloud` finds the workspaces.
        known = ids if all(ids) else ()
        ready["api_url"] = _address(lambda text: cloud_api_url(text, *known), connection["api_url"])
        ready["root_url"] = _address(cloud_api_url, connection["api_url"])
        ready["ui_url"] = cloud_ui_url(ready["api_url"], *ids)
    else:
        ready["api_url"] = ready["root_url"] = _address(server_api_url, connection["api_url"])
        ready["ui_url"] = server_ui_url(ready["api_url"])
    if start := _start_date(config):
        ready["start_date"] = format_time(start)
    lookback_window(config)
    minimum_log_level(config)
    _event_prefixes(config)
    ready["page_size"] = _whole_number(config, "page_size", 2, 200) or DEFAULT_PAGE_SIZE
    ready["num_workers"] = _whole_number(config, "num_workers", 1, 20) or DEFAULT_WORKERS
    _whole_number(config, "max_requests_per_minute", 1, 1_000_000)
    return ready


def lookback_window(config: Mapping[str, Any]) -> timedelta:
    """How long after its end a run is read again. Raises ConfigError."""
    text = _text(config, "lookback_window")
    if not text:
        return DEFAULT_LOOKBACK
    try:
        duration = isodate.parse_duration(text) if _DURATION.fullmatch(text) else None
    except (isodate.ISO8601Error, ArithmeticError, ValueError):
        duration = None
    if not isinstance(duration, timedelta) or duration > LONGEST_LOOKBACK:
        raise ConfigError(
            f"lookback_window is {_shown(text)}; it must be an ISO 8601 duration in days or hours, such as P1D, "
            f"of at most {LONGEST_LOOKBACK.days} days."
        )
    return duration


def minimum_log_level(config: Mapping[str, Any]) -> int:
    """The number of the least severe level of log lines to read. Raises ConfigError."""
    name = (_text(config, "log_level") or "INFO").upper()
    if name not in LOG_LEVELS:
        raise ConfigError(f"log_level is {_shown(name)}; it must be one of {', '.join(LOG_LEVELS)}.")
    return LOG_LEVELS[name]


def _event_prefixes(config: Mapping[str, Any]) -> None:
    prefixes = config.get("event_prefixes")
    if prefixes is None:
        return
    if not isinstance(prefixes, list) or not all(isinstance(prefix, str) for prefix in prefixes):
        raise ConfigError("event_prefixes must be a list of texts, such as prefect.flow-run.")


# The connection


def _connection(config: Mapping[str, Any]) -> dict[str, Any]:
    connection = config.get("connection")
    if connection is None:
        raise ConfigError("connection is missing: choose Prefect Cloud or Prefect Server.")
    if not isinstance(connection, Mapping):
        raise ConfigError(f"connection must be an object with a type and its fields, not {_kind(connection)}.")
    kind = _text(connection, "type", "connection.")
    if kind == "cloud":
        return {**connection, "type": kind, **_cloud(connection)}
    if kind == "server":
        return {**connection, "type": kind, **_server(connection)}
    given = f"is {_shown(kind)}" if kind else "is missing"
    raise ConfigError(f"connection.type {given}; it must be cloud or server.")


def _cloud(connection: Mapping[str, Any]) -> dict[str, Any]:
    api_key = _text(connection, "api_key", "connection.")
    if not api_key:
        raise ConfigError("connection.api_key is missing: paste an API key from Prefect Cloud's Profile > API Keys.")
    if api_key[0] in _QUOTES or api_key[-1] in _QUOTES:
        raise ConfigError("connection.api_key has quotes around it: paste the key alone, such as pnu_0123456789.")
    if "://" in api_key or "prefect.cloud" in api_key:
        raise ConfigError("connection.api_key holds an address: paste an API key, such as pnu_0123456789.")
    if not _API_KEY.fullmatch(api_key):
        raise ConfigError(
            "connection.api_key has a blank or a strange character inside: paste the key alone, such as pnu_0123456789."
        )
    account, workspace, api_url = (_no_api_key(connection, name) for name in ("account_id", "workspace_id", "api_url"))
    pasted = workspace_in(workspace)
    named = pasted or (None if workspace else workspace_in(api_url))
    if named:
        if account and account.lower() != named[0].lower():
            raise ConfigError(f"connection.workspace_id names the account {named[0]}, unlike account_id.")
        account, workspace = named
    if pasted and api_url in ("", CLOUD_API):
        # Its host may be a private endpoint.
        api_url = _text(connection, "workspace_id", "connection.")
    workspaces = _workspaces(connection.get("workspaces"))
    if workspaces and (account or workspace):
        raise ConfigError(
            "connection.workspaces names the workspaces already: leave account_id and workspace_id empty, and name no "
            "workspace in api_url."
        )
    return {
        "api_key": api_key,
        "workspaces": workspaces,
        "account_id": _uuid("account_id", account, "/account/"),
        "workspace_id": _uuid("workspace_id", workspace, "/workspace/"),
        "api_url": api_url or CLOUD_API,
    }


def _workspaces(values: Any) -> list[str]:
    if values is None:
        return []
    if not isinstance(values, list):
        raise ConfigError(f"connection.workspaces must be a list of texts, not {_kind(values)}.")
    texts = [_no_api_key({f"workspaces[{n}]": value}, f"workspaces[{n}]") for n, value in enumerate(values)]
    if texts == [ALL]:
        return texts
    for n, text in enumerate(texts):
        if not (workspace_in(text) or _UUID.fullmatch(text)):
            raise ConfigError(
                f"connection.workspaces[{n}] is {_shown(text)}; it must be the address of a workspace as the browser "
                f"shows it, the UUID after /workspace/ in it, or {ALL}, which stands alone."
            )
    return texts


def _no_api_key(connection: Mapping[str, Any], name: str) -> str:
    value = _text(connection, name, "connection.")
    if _CLOUD_KEY.match(value):
        right = "api_key" if connection.get("type") != "server" else "a connection to Prefect Cloud"
        raise ConfigError(f"connection.{name} holds an API key of Prefect Cloud: it belongs into {right}.")
    return value


def _uuid(name: str, value: str, before: str) -> str:
    if value and not _UUID.fullmatch(value):
        raise ConfigError(
            f"connection.{name} is no UUID: copy what follows {before} in the address of your workspace in the Prefect "
            "Cloud UI, such as 01234567-89ab-cdef-0123-456789abcdef."
        )
    return value.lower()


def _server(connection: Mapping[str, Any]) -> dict[str, Any]:
    api_url = _text(connection, "api_url", "connection.")
    if not api_url:
        raise ConfigError("connection.api_url is missing: it should look like http://localhost:4200/api.")
    verify = connection.get("verify_tls")
    if not isinstance(verify, bool | None):
        raise ConfigError(f"connection.verify_tls must be true or false, not {_kind(verify)}.")
    ready = {
        "api_url": api_url,
        "auth_string": _no_api_key(connection, "auth_string"),
        "custom_headers": _custom_headers(connection.get("custom_headers")),
        "verify_tls": verify is not False,
        **{name: _text(connection, name, "connection.", lines=True) for name in _CERTIFICATES},
    }
    try:
        server_headers(ready)
        TlsSettings.of(ready).context()
    except ValueError as error:
        raise ConfigError(f"connection.{error}") from None
    return ready


def _custom_headers(headers: Any) -> list[dict[str, Any]]:
    if headers is None:
        return []
    if not isinstance(headers, list):
        raise ConfigError(f"connection.custom_headers must be a list of names and values, not {_kind(headers)}.")
    return [_custom_header(header, f"connection.custom_headers[{n}]") for n, header in enumerate(headers)]


def _custom_header(header: Any, path: str) -> dict[str, Any]:
    if not isinstance(header, Mapping):
        raise ConfigError(f"{path} must be an object with a name and a value, not {_kind(header)}.")
    return {**header, **{name: _text(header, name, f"{path}.", lines=True) for name in ("name", "value")}}


def _address(api_url: Any, text: str) -> str:
    try:
        url: str = api_url(text)
    except ValueError as error:
        raise ConfigError(f"connection.api_url: {error}") from None
    try:
        requests.Request("POST", url).prepare()
    except (requests.RequestException, UnicodeError):
        raise ConfigError(
            f"connection.api_url is {_shown(text)}, which names no machine; it should look like http://localhost:4200/api."
        ) from None
    return url


# Values


def _text(values: Mapping[str, Any], name: str, prefix: str = "", *, lines: bool = False) -> str:
    """The text, stripped; empty where there is none."""
    value = values.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ConfigError(f"{prefix}{name} must be text, not {_kind(value)}.")
    value = value.strip()
    if not lines and ("\n" in value or "\r" in value):
        raise ConfigError(f"{prefix}{name} has a line break inside: it must be one line.")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in value if letter not in "\r\n"):
        raise ConfigError(f"{prefix}{name} has an invisible control character inside: type it anew.")
    return value


def _start_date(config: Mapping[str, Any]) -> datetime | None:
    text = _text(config, "start_date")
    if not text:
        return None
    time = parse_time(text) if _DATE.fullmatch(text) else None
    if time is None or not 1970 <= time.year < 9999:
        raise ConfigError(f"start_date is {_shown(text)}; it must look like 2026-01-01 or 2026-01-01T00:00:00Z.")
    return time.astimezone(UTC)


def _whole_number(config: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    value = config.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        given = _kind(value) if isinstance(value, bool | list | Mapping) else _shown(value)
        raise ConfigError(f"{name} is {given}; it must be a whole number from {least} to {most}.")
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"


def _kind(value: Any) -> str:
    """The JSON type of a value, as a person calls it."""
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "true or false"),
        ((int, float), "a number"),
        (str, "text"),
        (list, "a list"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "an object")
