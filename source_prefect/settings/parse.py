"""A config becomes `Settings`, or one sentence says what is wrong with it."""

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import isodate
import requests

from source_prefect.settings.address import CLOUD_API, UUID, cloud_api_url, server_api_url, server_ui_url, workspaces_in
from source_prefect.settings.tls import TlsSettings
from source_prefect.settings.values import Cloud, Named, OAuth, Server, Settings
from source_prefect.times import parse_time

# Which workspaces: all that the key can read.
ALL = "all"

# Python's levels of logging, which Prefect stores as numbers.
LOG_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}

LONGEST_LOOKBACK = timedelta(days=3650)

# How the keys of users and of service accounts begin.
_CLOUD_KEY = re.compile(r"[^\w]*pn[ub]_\w")
# Control characters except line breaks, and lone surrogates.
_INVISIBLE = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

# With other values, Prefect would not read the body, and would ignore every filter.
_OF_THE_BODY = {"content-encoding", "content-length", "content-type", "transfer-encoding"}


class ConfigError(Exception):
    """One sentence: which field is invalid, and what is valid. It never contains a secret."""


def parse(config: Mapping[str, Any], specification: Mapping[str, Any]) -> Settings:
    """The settings of a config, by the types and bounds of the spec. Raises ConfigError."""
    declared = dict(specification["properties"])
    options = declared.pop("connection")["oneOf"]
    _refuse_if(config.get("connection") is None, "connection is missing: choose Prefect Cloud or Prefect Server.")
    given = _chosen("connection", config["connection"], options)
    _refuse_misplaced_key(given)
    values = _fields("", config, declared)
    unknown = [str(key) for key in config if key not in declared and key != "connection"]
    start_date = _start_date(values["start_date"])
    return Settings(
        connection=_cloud(given) if given["type"] == "cloud" else _server(given),
        start_date=start_date,
        lookback_window=_lookback_window(values["lookback_window"], declared["lookback_window"]["pattern"]),
        log_level=LOG_LEVELS[values["log_level"]],
        event_prefixes=tuple(values["event_prefixes"]),
        leave_out=frozenset(values["leave_out"]),
        **{name: values[name] for name in ("max_requests_per_minute", "num_workers", "page_size")},
        unknown=(*unknown, *(f"connection.{key}" for key in config["connection"] if key not in given)),
        doubts=tuple(_doubts(values, start_date, given.get("auth_string", ""))),
    )


def _doubts(values: Mapping[str, Any], start_date: datetime | None, auth_string: str) -> Iterator[str]:
    if start_date and start_date > datetime.now(UTC):
        yield f"start_date is {values['start_date']}, in the future: no run, artifact, log line and event is read."
    for prefix in values["event_prefixes"]:
        if re.search(r"[*?%\s]", prefix):
            yield f"event_prefixes has {_shown(prefix)}: a prefix has no wildcard, so it is the start of no event."
    if not auth_string.isascii():
        yield "auth_string has letters beyond ASCII: a Prefect Server answers 500 to them."


def _refuse_if(wrong: object, sentence: str) -> None:
    if wrong:
        raise ConfigError(sentence)


def _start_date(text: str) -> datetime | None:
    time = parse_time(text) if re.fullmatch(r"\d{4}-\d{2}-\d{2}(T.+)?", text) else None
    is_valid = not text or (time and 1970 <= time.year < 9999)
    _refuse_if(not is_valid, f"start_date is {_shown(text)}; it must look like 2026-01-01 or 2026-01-01T00:00:00Z.")
    return time


def _lookback_window(text: str, pattern: str) -> timedelta:
    window = timedelta.max
    with suppress(OverflowError):
        window = isodate.parse_duration(text) if re.fullmatch(pattern, text) else window
    _refuse_if(
        window > LONGEST_LOOKBACK,
        f"lookback_window is {_shown(text)}; it must be an ISO 8601 duration in days or hours, such as P1D, "
        f"of at most {LONGEST_LOOKBACK.days} days.",
    )
    return window


# The connection


def _refuse_misplaced_key(given: Mapping[str, Any]) -> None:
    right = "api_key" if given["type"] == "cloud" else "a connection to Prefect Cloud"
    for name, value in {**given, **_listed(given), "api_key": ""}.items():
        is_key = isinstance(value, str) and _CLOUD_KEY.match(value)
        _refuse_if(is_key, f"connection.{name} holds an API key of Prefect Cloud: it belongs in {right}.")


def _listed(given: Mapping[str, Any]) -> dict[str, str]:
    """The texts that name workspaces, by path. Older fields count where `workspace` is missing."""
    if which := given.get("workspace"):
        one = {"workspace.address": which["address"]} if "address" in which else {}
        return one | {f"workspace.addresses[{n}]": text for n, text in enumerate(which.get("addresses", ()))}
    return {f"workspaces[{n}]": text for n, text in enumerate(given.get("workspaces", ()))}


def _cloud(given: Mapping[str, Any]) -> Cloud:
    which, listed = given["workspace"], _listed(given)
    # The form hides the older fields, so nobody can empty them there.
    account, workspace = ("", "") if which else (given["account_id"], given["workspace_id"])
    reads_all = which["choice"] == ALL if which else given["workspaces"] == [ALL]
    in_address = _workspace_in("api_url", given["api_url"])
    _refuse_if(
        (listed or reads_all) and (account or workspace or in_address),
        f"connection.{'workspace' if which else 'workspaces'} names the workspaces already: leave account_id and "
        "workspace_id empty, and name no workspace in api_url.",
    )
    _refuse_if(which and which.get("addresses") == [], "connection.workspace.addresses is empty: name a workspace.")
    named = [] if reads_all else [_one_of_several(*each) for each in listed.items()]
    if not listed and not reads_all:
        named = [_single(account, workspace, in_address)]
    pasted = {"workspace_id": workspace, **listed}
    return Cloud(_api_key(given["api_key"]), _cloud_url(given["api_url"], pasted), tuple(named), reads_all)


def _api_key(key: str) -> str:
    field, example = "connection.api_key", "such as pnu_0123456789"
    _refuse_if(not key, f"{field} is missing: paste an API key from Prefect Cloud's Profile > API Keys.")
    _refuse_if({key[0], key[-1]} & set("\"'`“”„<>"), f"{field} has quotes around it: paste the key alone, {example}.")
    _refuse_if("://" in key or "prefect.cloud" in key, f"{field} holds an address: paste an API key, {example}.")
    is_plain = re.fullmatch(r"[!-~]+", key)
    _refuse_if(not is_plain, f"{field} contains a space or a special character: paste the key alone, {example}.")
    return key


def _single(account: str, workspace: str, in_address: Named | None) -> Named:
    """The workspace that the fields for a single one name."""
    named = _workspace_in("workspace_id", workspace)
    if named and account.lower() not in ("", named.account_id):
        raise ConfigError(f"connection.workspace_id names the account {named.account_id}, unlike account_id.")
    named = named or Named(_uuid("account", account), _uuid("workspace", workspace))
    if in_address and any(given not in ("", there) for given, there in zip(named, in_address, strict=True)):
        raise ConfigError(
            f"connection.api_url: It names the workspace {in_address.workspace_id} of the account "
            f"{in_address.account_id}, unlike account_id and workspace_id."
        )
    return in_address or named


def _one_of_several(field: str, text: str) -> Named:
    if named := _workspace_in(field, text):
        return named
    _refuse_if(
        not re.fullmatch(UUID, text),
        f"connection.{field} is {_shown(text)}; it must be the address of a workspace as the browser shows it, or the "
        "UUID after /workspace/ in it.",
    )
    return Named(workspace_id=text.lower())


def _workspace_in(field: str, text: str) -> Named | None:
    """The workspace that an address names."""
    found = workspaces_in(text)
    sentence = f"connection.{field} names {len(found)} workspaces: choose several, and make each an entry."
    _refuse_if(len(found) > 1, sentence)
    return Named(*found[0]) if found else None


def _uuid(what: str, value: str) -> str:
    _refuse_if(
        value and not re.fullmatch(UUID, value),
        f"connection.{what}_id is not a valid UUID: copy what follows /{what}/ in the address of your workspace in the "
        "Prefect Cloud UI, such as 01234567-89ab-cdef-0123-456789abcdef.",
    )
    return value.lower()


def _cloud_url(api_url: str, pasted: Mapping[str, str]) -> str:
    """The address of Prefect Cloud, or of the private endpoint that the workspaces are at."""
    if api_url != CLOUD_API:
        return _address(cloud_api_url, "api_url", api_url)
    clouds = sorted({_address(cloud_api_url, *each) for each in pasted.items() if workspaces_in(each[1])})
    _refuse_if(len(clouds) > 1, f"connection.workspace names more than one Prefect Cloud: {', '.join(clouds)}.")
    return clouds[0] if clouds else CLOUD_API


def _server(given: Mapping[str, Any]) -> Server:
    api_url, auth_string = given["api_url"], given["auth_string"]
    _refuse_if(not api_url, "connection.api_url is missing: it should look like http://localhost:4200/api.")
    headers = {each["name"]: _header_value(**each) for each in given["custom_headers"]}
    example = "paste the server's user and password alone, such as admin:password"
    is_quoted = auth_string[:1] in set("\"'`“”„<") and auth_string[-1:] in set("\"'`“”>")
    _refuse_if(is_quoted, f"connection.auth_string has quotes around it: {example}.")
    is_header = re.match(r"(?i)(authorization:|basic\s|PREFECT_\w+=)", auth_string)
    _refuse_if(is_header, f"connection.auth_string begins with {_shown(is_header and is_header[0])}: {example}.")
    if auth_string:
        headers["Authorization"] = f"Basic {base64.b64encode(auth_string.encode()).decode()}"
    tls = TlsSettings(given["ca_certificate"], given["client_certificate"], given["client_key"], given["verify_tls"])
    try:
        tls.context()
    except ValueError as error:
        raise ConfigError(f"connection.{error}") from None
    ui_url = given["ui_url"] and server_ui_url(_address(server_api_url, "ui_url", given["ui_url"]))
    oauth = _oauth(given["oauth"], headers)
    return Server(_address(server_api_url, "api_url", api_url), headers, tls, oauth, ui_url)


def _oauth(given: Mapping[str, str] | None, headers: Mapping[str, str]) -> OAuth | None:
    if given is None:
        return None
    for name in ("token_url", "client_id", "client_secret"):
        _refuse_if(not given[name], f"connection.oauth.{name} is missing: an identity provider needs it.")
    _refuse_if(
        not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", given["token_url"]),
        f"connection.oauth.token_url is {_shown(given['token_url'])}; it should look like "
        "https://login.example.com/oauth2/token.",
    )
    _refuse_if(
        any(name.lower() == "authorization" for name in headers),
        "connection.oauth and auth_string, or a custom header Authorization, exclude each other: a request has one.",
    )
    return OAuth(**given)


def _header_value(name: str, value: str) -> str:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        wrong = f"{name!r} is not a valid name of a header. It should look like CF-Access-Client-Id."
    elif name.lower() in _OF_THE_BODY:
        wrong = f"{name} describes the body of a request, and cannot be changed."
    elif not re.fullmatch(r"[\x20-\x7e\x80-\xff]+", value):
        wrong = f"the value of {name} is empty, or contains a line break or a letter that no header can hold."
    else:
        return value
    raise ConfigError(f"connection.custom_headers: {wrong}")


def _address(api_url: Callable[[str], str], field: str, text: str) -> str:
    try:
        url = api_url(text)
    except ValueError as error:
        raise ConfigError(f"connection.{field}: {error}") from None
    try:
        requests.Request("POST", url).prepare()
    except (requests.RequestException, UnicodeError):
        wrong = f"connection.{field} is {_shown(text)}, which names no machine"
        raise ConfigError(f"{wrong}; it should look like http://localhost:4200/api.") from None
    return url


# Any value


def _fields(prefix: str, given: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an object; the default, or an empty value, where a field is missing."""
    fields = {}
    for name, schema in schemas.items():
        value, empty = given.get(name), {"string": "", "array": []}.get(schema["type"])
        fields[name] = schema.get("default", empty) if value is None else _checked(prefix + name, value, schema)
    return fields


def _chosen(path: str, value: Any, options: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The fields of the option that the object's constant field names."""
    key = next(name for name, schema in options[0]["properties"].items() if "const" in schema)
    if not isinstance(value, Mapping):
        raise ConfigError(f"{path} must be an object with a {key} and its fields, not {_kind(value)}.")
    by_name = {option["properties"][key]["const"]: option for option in options}
    given = _fields(f"{path}.", value, {key: {"type": "string"}})[key]
    found = f"is {_shown(given)}" if given else "is missing"
    _refuse_if(given not in by_name, f"{path}.{key} {found}; it must be {' or '.join(by_name)}.")
    return _fields(f"{path}.", value, by_name[given]["properties"])


def _checked(path: str, value: Any, schema: Mapping[str, Any]) -> Any:
    """A value of the schema's type and within its bounds, with stripped texts and with its
    defaults.

    Patterns are not checked here: what is valid there needs a sentence of its own.
    """
    match schema["type"]:
        case "object" if "oneOf" in schema:
            return _chosen(path, value, schema["oneOf"])
        case "object" if isinstance(value, Mapping):
            return _fields(f"{path}.", value, schema["properties"])
        case "array" if isinstance(value, list):
            return [_checked(f"{path}[{n}]", each, schema["items"]) for n, each in enumerate(value)]
        case "string" if isinstance(value, str):
            return _text(path, value.strip() or schema.get("default", ""), schema)
        case "boolean" if isinstance(value, bool):
            return value
        case "integer":
            least, most = schema["minimum"], schema["maximum"]
            given = _shown(value) if type(value) in (int, float, str) else _kind(value)
            is_valid = type(value) is int and least <= value <= most
            _refuse_if(not is_valid, f"{path} is {given}; it must be a whole number from {least} to {most}.")
            return value
    raise ConfigError(f"{path} must be {_expected(schema)}, not {_kind(value)}.")


def _text(path: str, text: str, schema: Mapping[str, Any]) -> str:
    is_line = "\n" not in text and "\r" not in text
    _refuse_if(not is_line and not schema.get("multiline"), f"{path} contains a line break: it must be one line.")
    _refuse_if(_INVISIBLE.search(text), f"{path} contains an invisible control character: retype it.")
    if choice := schema.get("enum"):
        text = next((each for each in choice if each.lower() == text.lower()), text)
        _refuse_if(text not in choice, f"{path} is {_shown(text)}; it must be one of {', '.join(choice)}.")
    return text


def _expected(schema: Mapping[str, Any]) -> str:
    fields = schema.get("items", schema).get("properties", ["text"])
    return {
        "string": "text",
        "boolean": "true or false",
        "array": f"a list of {' and '.join(f'{name}s' for name in fields)}",
        "object": f"an object with {' and '.join(f'a {name}' for name in fields)}",
    }[schema["type"]]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"


def _kind(value: Any) -> str:
    """The JSON type of a value, as a person calls it."""
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return kinds.get(type(value), "null")
