"""Where Prefect's API and UI are, from whatever address a person pastes."""

import ipaddress
import re
from urllib.parse import urlsplit, urlunsplit

CLOUD_API = "https://api.prefect.cloud/api"
CLOUD_UI = "https://app.prefect.cloud"

# The first path segments of the UI's pages (Prefect 3.8): what follows them is no part of the API's address.
_UI_PAGES = {
    *("artifacts", "automations", "blocks", "concurrency-limits", "dashboard", "deployments", "event-feed"),
    *("events", "flow-runs", "flows", "login", "logs", "notifications", "runs", "settings", "task-runs"),
    *("variables", "work-pools", "work-queues", "workers"),
}


def server_api_url(text: str) -> str:
    """The API's address of a Prefect Server, without a slash at its end.

    Takes the address with or without scheme and `/api`, and the address of a page of the UI.

    Raises ValueError with one sentence about what is wrong with it.
    """
    scheme, host, segments = _parts(text)
    if "api" in segments:
        segments = segments[: segments.index("api") + 1] + _workspace(segments)
    else:
        page = next((i for i, segment in enumerate(segments) if segment in _UI_PAGES), len(segments))
        segments = [*segments[:page], "api"]
    return urlunsplit((scheme, host, "/" + "/".join(segments), "", ""))


def cloud_api_url(text: str, account_id: str, workspace_id: str) -> str:
    """The API's address of a Prefect Cloud workspace, without a slash at its end.

    `text` is the address of Cloud's API, or of a private endpoint for it; one that already names an account
    and a workspace is cut down to its beginning.

    Raises ValueError with one sentence about what is wrong with it.
    """
    scheme, host, segments = _parts(text)
    segments = segments[: segments.index("accounts")] if "accounts" in segments else segments
    if segments[-1:] != ["api"]:
        segments = [*segments, "api"]
    path = "/".join([*segments, "accounts", account_id, "workspaces", workspace_id])
    return urlunsplit((scheme, host, "/" + path, "", ""))


def server_ui_url(api_url: str) -> str:
    """The address of a Prefect Server's UI, which is served beside its API."""
    return api_url.removesuffix("/api")


def cloud_ui_url(api_url: str, account_id: str, workspace_id: str) -> str:
    """The address of a Prefect Cloud workspace in the UI. A private endpoint leads to the public UI."""
    scheme, host, _ = _parts(api_url)
    ui = f"{scheme}://app.{host.removeprefix('api.')}" if host.startswith("api.") else CLOUD_UI
    return f"{ui}/account/{account_id}/workspace/{workspace_id}"


def _workspace(segments: list[str]) -> list[str]:
    """The account and workspace of a Cloud address, where someone pasted one as a server's."""
    after = segments[segments.index("api") + 1 :]
    return after[:4] if after[:1] == ["accounts"] and after[2:3] == ["workspaces"] and len(after) >= 4 else []


def _parts(text: str) -> tuple[str, str, list[str]]:
    """Scheme, host with port, and the segments of the path."""
    address = text.strip()
    if not address:
        raise ValueError("It is empty. It should look like http://localhost:4200/api.")
    if re.search(r"\s", address):
        raise ValueError(f"{address!r} has a blank inside. It should look like http://localhost:4200/api.")
    if "://" not in address:
        address = f"{_default_scheme(address)}://{address}"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{text.strip()!r} is not a web address ({error}).") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{text.strip()!r} begins with {parts.scheme!r}. It should begin with https:// or http://.")
    if not parts.hostname:
        raise ValueError(f"{text.strip()!r} names no host. It should look like http://localhost:4200/api.")
    if parts.username or parts.password:
        raise ValueError("It holds a user or password. They belong into the field auth_string.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return parts.scheme, f"{host}:{port}" if port else host, [s for s in parts.path.split("/") if s]


def _default_scheme(address: str) -> str:
    """Plain http for what is clearly a machine of one's own network, https for a name."""
    host = urlsplit(f"//{address}").hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "http" if "." not in host or re.search(r":4200(/|$)", address) else "https"
    return "http"
