"""The addresses of Prefect's API and UI, from any address that a user pastes."""

import ipaddress
import re
from urllib.parse import urlsplit

CLOUD_API = "https://api.prefect.cloud/api"
CLOUD_UI = "https://app.prefect.cloud"

# The first path segments of the UI's pages (Prefect 3.8): what follows them is no part of the
# API's address.
_UI_PAGES = {
    *("artifacts", "automations", "blocks", "concurrency-limits", "dashboard", "deployments", "event-feed"),
    *("events", "flow-runs", "flows", "login", "logs", "notifications", "runs", "settings", "task-runs", "v2"),
    *("variables", "work-pools", "work-queues", "workers"),
}
# What may follow /api in the address of a single endpoint.
_ENDPOINTS = _UI_PAGES | {
    *("accounts", "admin", "csrf-token", "docs", "flow_runs", "health", "hello", "me", "openapi.json", "ready"),
    *("redoc", "task_runs", "ui", "version", "work_pools", "work_queues"),
}

UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_IN_BRACKETS = "an IPv6 address stands in brackets, such as http://[::1]:4200/api"
# A workspace in an address of Cloud's UI or API.
_WORKSPACE = re.compile(rf"/accounts?/({UUID})/workspaces?/({UUID})")


def server_api_url(text: str) -> str:
    """The API's address of a Prefect Server, without a trailing slash.

    Accepts the address with or without scheme and `/api`, and the address of a page of the UI.
    Raises ValueError with one sentence about what is wrong with it.
    """
    scheme, host, path = _parts(text)
    if f".{host}".endswith(".prefect.cloud"):
        named = _WORKSPACE.search(path)
        ids = f", with account_id {named[1]} and workspace_id {named[2]}" if named else ""
        raise ValueError(f"{host} is Prefect Cloud, not a Prefect Server: choose Prefect Cloud as the connection{ids}.")
    return f"{scheme}://{host}{_api_path(path)}"


def workspaces_in(text: str) -> list[tuple[str, str]]:
    """The ids of account and workspace in each address of Cloud's UI or API in the text."""
    return [(account.lower(), workspace.lower()) for account, workspace in _WORKSPACE.findall(text)]


def cloud_api_url(text: str) -> str:
    """The address of Prefect Cloud's API, or of a private endpoint, without a workspace and a
    trailing slash.

    Accepts an address of Cloud's API or UI, or of a workspace there. Raises ValueError as above.
    """
    scheme, host, path = _parts(text)
    if host.startswith("app.") and host.endswith(".prefect.cloud"):
        return f"{scheme}://api.{host.removeprefix('app.')}/api"
    return f"{scheme}://{host}{_api_path(_WORKSPACE.split(path)[0])}"


def workspace_api_url(cloud_url: str, account_id: str, workspace_id: str) -> str:
    """The address of a workspace in the API of Prefect Cloud."""
    return f"{cloud_url}/accounts/{account_id}/workspaces/{workspace_id}"


def is_local(host: str) -> bool:
    """Whether a host is, by its name or IP address, in a private network."""
    if address := _ip(host):
        return address.is_private
    return "." not in host or host.endswith((".local", ".internal", ".localhost", ".lan"))


def server_ui_url(api_url: str) -> str:
    """The address of a Prefect Server's UI, which the same server serves."""
    return api_url.removesuffix("/api")


def cloud_ui_url(api_url: str, account_id: str, workspace_id: str) -> str:
    """The address of a Cloud workspace in the UI. A private endpoint leads to the public UI."""
    scheme, host, _ = _parts(api_url)
    ui = f"{scheme}://app.{host.removeprefix('api.')}" if host.startswith("api.") else CLOUD_UI
    return f"{ui}/account/{account_id}/workspace/{workspace_id}"


def _api_path(path: str) -> str:
    """The path of the API: up to its `api`, or with `api` in place of a page of the UI."""
    segments = [segment for segment in path.split("/") if segment]
    for i, segment in enumerate(segments):
        rest = segments[i + 1 :]
        # An `api` in front of something else is part of a prefix: a gateway's /api/prefect.
        is_api = segment.lower() == "api" and (not rest or rest[0] in _ENDPOINTS or set(rest) == {"api"})
        if is_api or (segment in _UI_PAGES and "api" not in rest):
            segments = segments[:i]
            break
    return "/".join(["", *segments, "api"])


def _parts(text: str) -> tuple[str, str, str]:
    """Scheme, host with port, and path."""
    address = re.sub(r"^(export\s+)?[A-Z_]+=", "", text.strip()).strip("\"'<> ")
    address = re.sub(r"^(https?)(:/*|//+)", r"\1://", address, flags=re.IGNORECASE)
    if not address:
        raise ValueError("It is empty. It should look like http://localhost:4200/api.")
    if "@" in address.partition("://")[2].partition("/")[0] or "@" in address.partition("/")[0]:
        raise ValueError("It holds a user or password. They belong in the field auth_string.")
    if re.search(r"\s", address):
        raise ValueError(f"{address!r} contains a space. It should look like http://localhost:4200/api.")
    try:
        parts = urlsplit(address if "://" in address else _with_scheme(address.lstrip("/")))
        if parts.netloc.count(":") > 1 and not parts.netloc.startswith("["):
            raise ValueError(_IN_BRACKETS)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise ValueError(f"{address!r} is not a web address ({error}).") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{address!r} begins with {parts.scheme!r}. It should begin with https:// or http://.")
    if not parts.hostname:
        raise ValueError(f"{address!r} names no host. It should look like http://localhost:4200/api.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return parts.scheme, f"{host}{port}", re.sub("/+", "/", parts.path)


def _with_scheme(address: str) -> str:
    """Plain http for a host in a private network, https for a public name."""
    authority, slash, path = address.partition("/")
    if ":" in authority and _ip(authority):
        if re.search(r":\d{4,5}$", authority):
            raise ValueError(_IN_BRACKETS)
        authority = f"[{authority}]"
    host = urlsplit(f"//{authority}").hostname or ""
    plain = is_local(host) or _ip(host) or authority.endswith(":4200")
    return f"{'http' if plain else 'https'}://{authority}{slash}{path}"


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
