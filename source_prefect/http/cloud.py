"""What Prefect Cloud tells beside the workspaces: the limits of the plan."""

import logging
import time
from collections.abc import Mapping
from typing import Any

import requests

from source_prefect.config.tls import TlsSettings
from source_prefect.http.errors import patience
from source_prefect.http.transport import shared_transport

LOGGER = logging.getLogger("airbyte")

_TIMEOUT = (10, 60)


def ask(config: Mapping[str, Any], path: str) -> requests.Response | None:
    """The answer of Cloud's API, or its refusal; None where none came. `config` is a normalized one."""
    connection = config["connection"]
    session = requests.Session()
    shared = config["api_url"], TlsSettings.of(connection), True, config["num_workers"], patience(config)
    session.mount(config["api_url"].partition("/accounts/")[0], shared_transport(*shared))
    api = config["api_url"].partition("/accounts/")[0]
    headers = {"Authorization": f"Bearer {connection['api_key']}"}
    for attempt in range(1 + patience(config).retries):
        if attempt:
            time.sleep(attempt)
        try:
            response = session.get(f"{api}/{path}", headers=headers, timeout=_TIMEOUT, allow_redirects=False)
        except requests.RequestException:
            continue
        if response.status_code < requests.codes.internal_server_error and response.status_code != 429:
            return response
    return None


def plan_limits(config: Mapping[str, Any]) -> dict[str, int]:
    """What a Cloud account's plan allows, as settings: half of its requests per minute, unless the user has set how
    many, and the days that it keeps runs and events. Nothing where the key may not read it.
    """
    response = ask(config, f"accounts/{config['connection']['account_id']}/usage_limits")
    limits = _object(response)
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
