"""A config becomes `Settings`, or one sentence says what is wrong with it."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import isodate
import requests

from source_prefect.settings.address import CLOUD_API, cloud_api_url, server_api_url, workspaces_in
from source_prefect.settings.headers import server_headers
from source_prefect.settings.tls import TlsSettings
from source_prefect.settings.values import Cloud, Named, Server, Settings
from source_prefect.times import parse_time

# In place of the names of workspaces: all that the key can read.
ALL = "all"

# Python's levels of logging, which Prefect stores as numbers.
LOG_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}

LONGEST_LOOKBACK = timedelta(days=3650)

_UUID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_API_KEY = re.compile(r"[!-~]+")
# How the keys of users and of service accounts begin.
_CLOUD_KEY = re.compile(r"[^\w]*pn[ub]_\w")
_QUOTES = "\"'`“”„<>"
_DURATION = re.compile(r"P(?!$)(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(T.+)?")


class ConfigError(Exception):
    """One sentence: which field is invalid, and what is valid. It never contains a secret."""


def parse(config: Mapping[str, Any], specification: Mapping[str, Any]) -> Settings:
    """The settings of a config. Defaults and bounds are those of the specification. Raises ConfigError."""
    declared = specification["properties"]
    connection = _connection(config)

    def number(name: str) -> Any:
        return _whole_number(config, name, declared[name])

    return Settings(
        connection=connection,
        start_date=_start_date(config),
        lookback_window=_lookback_window(config, declared["lookback_window"]["default"]),
        log_level=_log_level(config, declared["log_level"]["default"]),
        event_prefixes=_event_prefixes(config),
        max_requests_per_minute=number("max_requests_per_minute"),
        num_workers=number("num_workers"),
        page_size=number("page_size"),
        unknown=tuple(_unknown(config, declared, connection.type)),
    )


def _unknown(config: Mapping[str, Any], declared: Mapping[str, Any], kind: str) -> Iterator[str]:
    """The paths of the keys that no option of the specification has."""
    [option] = [it for it in declared["connection"]["oneOf"] if it["properties"]["type"]["const"] == kind]
    yield from (str(key) for key in config if key not in declared)
    yield from (f"connection.{key}" for key in config["connection"] if key not in option["properties"])


def _lookback_window(config: Mapping[str, Any], default: str) -> timedelta:
    text = _text(config, "lookback_window") or default
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


def _log_level(config: Mapping[str, Any], default: str) -> int:
    name = (_text(config, "log_level") or default).upper()
    if name not in LOG_LEVELS:
        raise ConfigError(f"log_level is {_shown(name)}; it must be one of {', '.join(LOG_LEVELS)}.")
    return LOG_LEVELS[name]


def _event_prefixes(config: Mapping[str, Any]) -> tuple[str, ...]:
    prefixes = config.get("event_prefixes") or ()
    if not isinstance(prefixes, list | tuple) or not all(isinstance(prefix, str) for prefix in prefixes):
        raise ConfigError("event_prefixes must be a list of texts, such as prefect.flow-run.")
    return tuple(prefixes)


# The connection


def _connection(config: Mapping[str, Any]) -> Cloud | Server:
    connection = config.get("connection")
    if connection is None:
        raise ConfigError("connection is missing: choose Prefect Cloud or Prefect Server.")
    if not isinstance(connection, Mapping):
        raise ConfigError(f"connection must be an object with a type and its fields, not {_kind(connection)}.")
    kind = _text(connection, "type", "connection.")
    if kind == "cloud":
        return _cloud(connection)
    if kind == "server":
        return _server(connection)
    given = f"is {_shown(kind)}" if kind else "is missing"
    raise ConfigError(f"connection.type {given}; it must be cloud or server.")


def _cloud(connection: Mapping[str, Any]) -> Cloud:
    account, workspace, api_url = (_no_api_key(connection, name) for name in ("account_id", "workspace_id", "api_url"))
    several = _texts(connection.get("workspaces"))
    in_address = _workspace_in("connection.api_url", api_url)
    if several and (account or workspace or in_address):
        raise ConfigError(
            "connection.workspaces names the workspaces already: leave account_id and workspace_id empty, and name no "
            "workspace in api_url."
        )
    reads_all = several == [ALL]
    if reads_all:
        named: tuple[Named, ...] = ()
    elif several:
        named = tuple(_one_of_several(f"connection.workspaces[{n}]", text) for n, text in enumerate(several))
    else:
        named = (_one(account, workspace, in_address),)
    return Cloud(_api_key(connection), _cloud_url(api_url, [workspace, *several]), named, reads_all)


def _api_key(connection: Mapping[str, Any]) -> str:
    api_key = _text(connection, "api_key", "connection.")
    if not api_key:
        raise ConfigError("connection.api_key is missing: paste an API key from Prefect Cloud's Profile > API Keys.")
    if api_key[0] in _QUOTES or api_key[-1] in _QUOTES:
        raise ConfigError("connection.api_key has quotes around it: paste the key alone, such as pnu_0123456789.")
    if "://" in api_key or "prefect.cloud" in api_key:
        raise ConfigError("connection.api_key holds an address: paste an API key, such as pnu_0123456789.")
    if not _API_KEY.fullmatch(api_key):
        raise ConfigError(
            "connection.api_key contains a space or a special character: paste the key alone, such as pnu_0123456789."
        )
    return api_key


def _one(account: str, workspace: str, in_address: Named | None) -> Named:
    """The workspace of the fields for a single one."""
    pasted = _workspace_in("connection.workspace_id", workspace)
    if pasted and account and account.lower() != pasted.account_id:
        raise ConfigError(f"connection.workspace_id names the account {pasted.account_id}, unlike account_id.")
    named = pasted or Named(_uuid("account_id", account, "/account/"), _uuid("workspace_id", workspace, "/workspace/"))
    if in_address is None:
        return named
    if any(given and given != there for given, there in zip(named, in_address, strict=True)):
        raise ConfigError(
            f"connection.api_url: It names the workspace {in_address.workspace_id} of the account "
            f"{in_address.account_id}, unlike account_id and workspace_id."
        )
    return in_address


def _one_of_several(field: str, text: str) -> Named:
    if named := _workspace_in(field, text):
        return named
    if _UUID.fullmatch(text):
        return Named(workspace_id=text.lower())
    raise ConfigError(
        f"{field} is {_shown(text)}; it must be the address of a workspace as the browser shows it, the UUID after "
        f"/workspace/ in it, or {ALL}, which stands alone."
    )


def _workspace_in(field: str, text: str) -> Named | None:
    """The workspace that an address names."""
    found = workspaces_in(text)
    if len(found) > 1:
        raise ConfigError(f"{field} names {len(found)} workspaces: make each an entry of connection.workspaces.")
    return Named(*found[0]) if found else None


def _cloud_url(api_url: str, pasted: list[str]) -> str:
    """The address of Prefect Cloud, or of the private endpoint that the addresses of workspaces belong to."""
    if api_url and api_url != CLOUD_API:
        return _address(cloud_api_url, api_url)
    roots = {_address(cloud_api_url, text) for text in pasted if workspaces_in(text)}
    if len(roots) > 1:
        raise ConfigError(f"connection.workspaces names more than one Prefect Cloud: {', '.join(sorted(roots))}.")
    return roots.pop() if roots else CLOUD_API


def _texts(values: Any) -> list[str]:
    if values is None:
        return []
    if not isinstance(values, list):
        raise ConfigError(f"connection.workspaces must be a list of texts, not {_kind(values)}.")
    return [_no_api_key({f"workspaces[{n}]": value}, f"workspaces[{n}]") for n, value in enumerate(values)]


def _no_api_key(connection: Mapping[str, Any], name: str) -> str:
    value = _text(connection, name, "connection.")
    if _CLOUD_KEY.match(value):
        right = "api_key" if connection.get("type") != "server" else "a connection to Prefect Cloud"
        raise ConfigError(f"connection.{name} holds an API key of Prefect Cloud: it belongs in {right}.")
    return value


def _uuid(name: str, value: str, before: str) -> str:
    if value and not _UUID.fullmatch(value):
        raise ConfigError(
            f"connection.{name} is not a valid UUID: copy what follows {before} in the address of your workspace in "
            "the Prefect Cloud UI, such as 01234567-89ab-cdef-0123-456789abcdef."
        )
    return value.lower()


def _server(connection: Mapping[str, Any]) -> Server:
    api_url = _text(connection, "api_url", "connection.")
    if not api_url:
        raise ConfigError("connection.api_url is missing: it should look like http://localhost:4200/api.")
    verify = connection.get("verify_tls")
    if not isinstance(verify, bool | None):
        raise ConfigError(f"connection.verify_tls must be true or false, not {_kind(verify)}.")
    auth_string = _no_api_key(connection, "auth_string")
    custom_headers = _custom_headers(connection.get("custom_headers"))
    pem = {
        name: _text(connection, name, "connection.", lines=True)
        for name in ("ca_certificate", "client_certificate", "client_key")
    }
    tls = TlsSettings(**pem, verify=verify is not False)
    try:
        headers = server_headers(auth_string, custom_headers)
        tls.context()
    except ValueError as error:
        raise ConfigError(f"connection.{error}") from None
    return Server(_address(server_api_url, api_url), headers, tls)


def _custom_headers(headers: Any) -> list[tuple[str, str]]:
    if headers is None:
        return []
    if not isinstance(headers, list):
        raise ConfigError(f"connection.custom_headers must be a list of names and values, not {_kind(headers)}.")
    return [_custom_header(header, f"connection.custom_headers[{n}]") for n, header in enumerate(headers)]


def _custom_header(header: Any, path: str) -> tuple[str, str]:
    if not isinstance(header, Mapping):
        raise ConfigError(f"{path} must be an object with a name and a value, not {_kind(header)}.")
    return _text(header, "name", f"{path}.", lines=True), _text(header, "value", f"{path}.", lines=True)


def _address(api_url: Callable[[str], str], text: str) -> str:
    try:
        url = api_url(text)
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
        raise ConfigError(f"{prefix}{name} contains a line break: it must be one line.")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in value if letter not in "\r\n"):
        raise ConfigError(f"{prefix}{name} contains an invisible control character: retype it.")
    return value


def _start_date(config: Mapping[str, Any]) -> datetime | None:
    text = _text(config, "start_date")
    if not text:
        return None
    time = parse_time(text) if _DATE.fullmatch(text) else None
    if time is None or not 1970 <= time.year < 9999:
        raise ConfigError(f"start_date is {_shown(text)}; it must look like 2026-01-01 or 2026-01-01T00:00:00Z.")
    return time.astimezone(UTC)


def _whole_number(config: Mapping[str, Any], name: str, declared: Mapping[str, Any]) -> int | None:
    """The number, within the declared bounds; the default where there is none."""
    value, least, most = config.get(name), declared["minimum"], declared["maximum"]
    if value is None:
        default: int | None = declared.get("default")
        return default
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
