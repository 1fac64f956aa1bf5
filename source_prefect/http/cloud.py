"""What Prefect Cloud reports about a key: the workspaces that it can read, and the limits of the plan."""

import logging
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import requests

from source_prefect.config.settings import ConfigError
from source_prefect.config.tls import TlsSettings
from source_prefect.http.patience import Patience, patience
from source_prefect.http.transport import shared_transport

LOGGER = logging.getLogger("airbyte")

_TIMEOUT = (10, 60)

Workspaces = Sequence[Mapping[str, str]]


class _Cloud(NamedTuple):
    """Prefect Cloud, or a private endpoint of it, for one key."""

    url: str
    key: str
    workers: int
    patience: Patience

    def get(self, path: str) -> requests.Response | None:
        """The answer, even a refusal; None where there was none."""
        session = requests.Session()
        session.mount(self.url, shared_transport(self.url, TlsSettings(), True, self.workers, self.patience))
        headers = {"Authorization": f"Bearer {self.key}"}
        for attempt in range(1 + self.patience.retries):
            if attempt:
                time.sleep(attempt)
            try:
                response = session.get(f"{self.url}/{path}", headers=headers, timeout=_TIMEOUT, allow_redirects=False)
            except requests.RequestException:
                continue
            if response.status_code < requests.codes.server_error and response.status_code != requests.codes.too_many:
                return response
        return None

    def workspaces(self) -> Workspaces | str:
        """The workspaces that the key can read, or why they are unknown."""
        response = self.get("me/workspaces")
        if response is None:
            return f"{self.url} does not answer"
        if response.status_code == requests.codes.unauthorized:
            return "it rejected the API key (401)"
        try:
            found = response.json() if response.ok else None
        except ValueError:
            found = None
        if not isinstance(found, list):
            return f"it answered {response.status_code}, so fill in account_id and workspace_id"
        return found


@cache
def _known_workspaces(cloud: _Cloud) -> Workspaces | str:
    """Cached, for every stream may fail with a 404."""
    return cloud.workspaces()


def _cloud(config: Mapping[str, Any]) -> _Cloud:
    url = config["api_url"].partition("/accounts/")[0]
    return _Cloud(url, config["connection"]["api_key"], config["num_workers"], patience(config))


def only_workspace(config: Mapping[str, Any]) -> dict[str, str]:
    """The ids that the config leaves out: those of the only workspace that the key can read.

    Raises ConfigError where there is none, or more than one.
    """
    connection = config["connection"]
    seen = _cloud(config).workspaces()
    if isinstance(seen, str):
        raise ConfigError(f"connection.workspace_id is missing, and Prefect Cloud does not report it: {seen}.")
    ids = [
        {name: workspace[name] for name in ("account_id", "workspace_id")}
        for workspace in seen
        if all(connection[name].lower() in ("", workspace[name]) for name in ("account_id", "workspace_id"))
    ]
    if len(ids) != 1:
        raise ConfigError(
            f"connection.workspace_id must say which workspace to read: the API key reads {_listed(seen)}."
            if ids
            else f"There is no such workspace, or the key's owner is not a member of it: the key reads {_listed(seen)}."
        )
    return ids[0]


def no_such_workspace(config: Mapping[str, Any]) -> str | None:
    """What a 404 means; None where the workspace exists, and something else is missing."""
    connection = config["connection"]
    if connection["type"] != "cloud":
        return None
    seen = _known_workspaces(_cloud(config))
    sentence = (
        f"Prefect Cloud knows no workspace {connection['workspace_id']} in the account {connection['account_id']}, or "
        "the key's owner is not a member of it (404)."
    )
    if isinstance(seen, str):
        return f"{sentence} Are the two ids swapped, or is one mistyped?"
    if any(workspace["workspace_id"] == connection["workspace_id"].lower() for workspace in seen):
        return None
    return f"{sentence} The key reads {_listed(seen)}."


def _listed(workspaces: Sequence[Mapping[str, Any]]) -> str:
    return (
        "; ".join(
            f"{it['account_name']} / {it['workspace_name']} (account_id {it['account_id']}, workspace_id "
            f"{it['workspace_id']})"
            for it in workspaces
        )
        or "no workspace"
    )


def plan_limits(config: Mapping[str, Any]) -> dict[str, int]:
    """The limits of a Cloud account's plan as settings: half of its requests per minute, unless the user set a number,
    and the days that it keeps runs and events. Empty where the key may not read them.
    """
    limits = _object(_cloud(config).get(f"accounts/{config['connection']['account_id']}/usage_limits"))
    settings = {}
    if days := _positive(limits.get("run_retention_days")):
        settings["retention_days"] = days
    if (rate := _positive(limits.get("orchestration_rate_limit"))) and not config.get("max_requests_per_minute"):
        settings["max_requests_per_minute"] = share = max(1, rate // 2)
        LOGGER.info(
            f"Prefect Cloud takes {rate:,} requests a minute from this account. A sync sends at most {share:,}, so "
            "that flows keep the rest; max_requests_per_minute sets another number."
        )
    return settings


def _object(response: requests.Response | None) -> Mapping[str, Any]:
    try:
        body = response.json() if response is not None and response.ok else None
    except ValueError:
        body = None
    return body if isinstance(body, Mapping) else {}


def _positive(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
