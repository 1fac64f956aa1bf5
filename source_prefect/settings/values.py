"""The settings as frozen values: all that the components of the manifest get of a config."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from source_prefect.settings.tls import TlsSettings


class Named(NamedTuple):
    """A workspace of Prefect Cloud as the user named it. An id that was left out is empty."""

    account_id: str = ""
    workspace_id: str = ""


class OAuth(NamedTuple):
    """A client of an identity provider, which may demand a scope and an audience."""

    token_url: str
    client_id: str
    client_secret: str
    scope: str = ""
    audience: str = ""


@dataclass(frozen=True)
class Cloud:
    """A connection to Prefect Cloud. `api_url` is the address of its API, without a workspace.

    `named` is empty where all workspaces are read; a single name without ids means the only one
    that the key reads.
    """

    api_key: str
    api_url: str
    named: tuple[Named, ...]
    reads_all: bool
    tls: TlsSettings = field(default_factory=TlsSettings)
    oauth: OAuth | None = None
    type: str = "cloud"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}


@dataclass(frozen=True)
class Server:
    """A connection to a Prefect Server. `headers` holds Basic credentials and the custom headers.

    `ui_url` is empty where the user named none.
    """

    api_url: str
    headers: Mapping[str, str]
    tls: TlsSettings
    oauth: OAuth | None = None
    ui_url: str = ""
    type: str = "server"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A valid config.

    `lookback_window` is how long after its end a run is read again, `log_level` Python's number of
    the least severe level. `unknown` holds the paths of keys that are no settings, `doubts`
    sentences about values that are valid, but hardly meant.
    """

    connection: Cloud | Server
    start_date: datetime | None
    lookback_window: timedelta
    log_level: int
    event_prefixes: tuple[str, ...]
    leave_out: frozenset[str]
    max_requests_per_minute: int | None
    num_workers: int
    page_size: int
    unknown: tuple[str, ...]
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """What a scan reads: a workspace of Prefect Cloud, or a server, which has no ids.

    `reported` is empty where Prefect Cloud was not asked about it. `label` is its name in
    messages, where there are several, and `problem` a sentence that says why it cannot be read.
    `retention_days` is how long its plan keeps runs and events, where that is known.
    """

    api_url: str
    ui_url: str
    account_id: str = ""
    workspace_id: str = ""
    reported: Mapping[str, Any] = field(default_factory=dict, hash=False)
    label: str = ""
    problem: str = ""
    retention_days: int | None = None

    @property
    def ids(self) -> dict[str, str]:
        """The columns that each of its rows gets."""
        return {"account_id": self.account_id, "workspace_id": self.workspace_id} if self.workspace_id else {}
