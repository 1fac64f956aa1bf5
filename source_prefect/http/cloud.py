"""What Prefect Cloud reports about a key: the workspaces that it can read, and the limits of the plan."""

import logging
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import requests

from source_prefect.config.tls import TlsSettings
from source_prefect.http.patience import Patience, patience
from source_prefect.http.responses import is_maintenance
from source_prefect.http.transport import shared_transport

LOGGER = logging.getLogger("airbyte")

_TIMEOUT = (10, 60)

Config = Mapping[str, Any]
Workspace = Mapping[str, str]
Workspaces = Sequence[Workspace]


class NotListed(NamedTuple):
    """Why Prefect Cloud did not list the workspaces of a key: it refused to, may do so later, or rejected the key."""

    reason: str
    is_refused: bool = False
    is_temporary: bool = False


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
            failed = response.status_code >= requests.codes.server_error
            # The transport has waited for the end of a maintenance.
            if is_maintenance(response) or not (failed or response.status_code == requests.codes.too_many):
                return response
        return None

    def workspaces(self) -> Workspaces | NotListed:
        """The workspaces that the key can read."""
        response = self.get("me/workspaces")
        if response is None:
            return NotListed(f"{self.url} does not answer", is_temporary=True)
        if is_maintenance(response):
            return NotListed("it is under maintenance", is_temporary=True)
        if response.status_code == requests.codes.unauthorized:
            return NotListed("it rejected the API key (401)")
        try:
            found = response.json() if response.ok else None
        except ValueError:
            found = None
        if not isinstance(found, list):
            refused = response.status_code in (requests.codes.forbidden, requests.codes.not_found)
            return NotListed(f"it answered {response.status_code}, so paste the address of the workspace", refused)
        return found


@cache
def _known_workspaces(cloud: _Cloud) -> Workspaces | NotListed:
    """Cached, for every stream may fail with a 404."""
    return cloud.workspaces()


def _cloud(config: Config) -> _Cloud:
    return _Cloud(config["root_url"], config["connection"]["api_key"], config["num_workers"], patience(config))


def workspaces_of_key(config: Config) -> Workspaces | NotListed:
    """The workspaces that the config's key can read."""
    return _cloud(config).workspaces()


def name_of(workspace: Workspace) -> str:
    """The account and the workspace, by name."""
    return f"{workspace['account_name']} / {workspace['workspace_name']}"


def listed(workspaces: Workspaces) -> str:
    """The workspaces as a user recognizes them."""
    return (
        "; ".join(
            f"{name_of(it)} (account_id {it['account_id']}, workspace_id {it['workspace_id']})" for it in workspaces
        )
        or "no workspace"
    )


def no_such_workspace(config: Config) -> str | None:
    """What a 404 means; None where the workspace exists, and something else is missing."""
    connection = config["connection"]
    if connection["type"] != "cloud":
        return None
    seen = _known_workspaces(_cloud(config))
    sentence = (
        f"Prefect Cloud knows no workspace {connection['workspace_id']} in the account {connection['account_id']}, or "
        "the key's owner is not a member of it (404)."
    )
    if isinstance(seen, NotListed):
        return f"{sentence} Are the two ids swapped, or is one mistyped?"
    if any(workspace["workspace_id"] == connection["workspace_id"] for workspace in seen):
        return None
    return f"{sentence} The key reads {listed(seen)}."


def with_plans(workspaces: Sequence[Config]) -> list[Config]:
    """The configs of workspaces with the limits of their plans. An account is asked for them once."""
    plans: dict[str, Mapping[str, Any]] = {}
    for config in workspaces:
        account = config["connection"].get("account_id")
        if account and account not in plans and "problem" not in config:
            plans[account] = _plan_limits(config)
    return [{**config, **plans.get(config["connection"].get("account_id", ""), {})} for config in workspaces]


def _plan_limits(config: Config) -> dict[str, Any]:
    """The limits of a Cloud account's plan as settings: half of its requests per minute, unless the user set a number,
    and the days that it keeps runs and events. Empty where the key may not read them.
    """
    account = config["connection"]["account_id"]
    limits = _object(_cloud(config).get(f"accounts/{account}/usage_limits"))
    settings: dict[str, Any] = {}
    if days := _positive(limits.get("run_retention_days")):
        settings["retention_days"] = days
    if (rate := _positive(limits.get("orchestration_rate_limit"))) and not config.get("max_requests_per_minute"):
        settings["max_requests_per_minute"] = share = max(1, rate // 2)
        settings["limited_account"] = account
        LOGGER.info(
            f"Prefect Cloud takes {rate:,} requests a minute from the account {account}. A sync sends at most "
            f"{share:,}, so that flows keep the rest; max_requests_per_minute sets another number."
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
