"""What a Prefect Server reports about itself. A sync asks at most once, when it needs it."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from isodate import parse_duration

from source_prefect.http.answers import parse
from source_prefect.http.session import Session
from source_prefect.settings.address import server_ui_url
from source_prefect.settings.values import Server, Workspace


def ui_url(session: Session, workspace: Workspace) -> str:
    """The address of the UI: of Prefect Cloud, from the settings, or as the server reports it."""
    connection = session.settings.connection
    if not isinstance(connection, Server):
        return workspace.ui_url
    if connection.ui_url:
        return connection.ui_url
    base, below = _reported(session, "api", "base_path"), _reported(session, "ui", "serve_base")
    root = server_ui_url(workspace.api_url)
    if isinstance(base, str) and base.strip("/"):
        root = workspace.api_url.removesuffix("/" + base.strip("/"))
    below = f"/{below.strip('/')}" if isinstance(below, str) and below.strip("/") else ""
    return root if root.endswith(below) else root + below


def kept_events(session: Session) -> timedelta | None:
    """How long the server keeps events; None where it does not say so."""
    with suppress(ValueError, TypeError):
        kept = parse_duration(_reported(session, "events", "retention_period"))
        return kept if isinstance(kept, timedelta) else None
    return None


def _reported(session: Session, group: str, name: str) -> Any:
    """One of the server's own settings; None where it does not report them."""
    found: Any = session.once("server settings", lambda: _ask(session))
    for key in ("server", group, name):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _ask(session: Session) -> Any:
    response = session.ask_briefly("admin/settings")
    with suppress(ValueError):
        return parse(response.content) if response is not None and response.ok else None
    return None
