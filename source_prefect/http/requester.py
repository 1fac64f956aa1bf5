from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.declarative.requesters import HttpRequester
from airbyte_cdk.sources.streams.call_rate import APIBudget
from airbyte_cdk.sources.types import Config

from source_prefect.cdk import session_of
from source_prefect.config.tls import TlsSettings
from source_prefect.http.patience import patience
from source_prefect.http.transport import shared_transport

_budgets: dict[tuple[str, str | None, int | None], APIBudget | None] = {}


def _shared_budget(config: Config, budget: APIBudget | None) -> APIBudget | None:
    """The budget of the requests per minute: one for all workspaces, or one for each account where its plan sets it.

    The CDK makes another one whenever it builds the streams of a workspace.
    """
    limited = config["root_url"], config.get("limited_account"), config.get("max_requests_per_minute")
    return _budgets.setdefault(limited, budget)


@dataclass
class PrefectRequester(HttpRequester):
    """The CDK's requester on a connection that all streams share, and that follows no redirect.

    The CDK gives each stream a connection pool of its own, knows no TLS settings, and would follow a redirect with
    the API key and the custom headers - as a GET, which Prefect's lists refuse.
    """

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        self.api_budget = _shared_budget(self.config, self.api_budget)
        super().__post_init__(parameters)
        connection = self.config["connection"]
        transport = shared_transport(
            self.config["root_url"],
            TlsSettings.of(connection),
            any(connection.get(name) for name in ("api_key", "auth_string", "custom_headers")),
            self.config["num_workers"],
            patience(self.config),
        )
        session = session_of(self)
        for scheme in ("https://", "http://"):
            session.mount(scheme, transport)
        # A redirect raises `TooManyRedirects`, which the error handler explains.
        session.max_redirects = 0
