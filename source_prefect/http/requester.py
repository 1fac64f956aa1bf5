from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.declarative.auth.declarative_authenticator import DeclarativeAuthenticator
from airbyte_cdk.sources.declarative.requesters import HttpRequester
from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets

from source_prefect.cdk import session_of
from source_prefect.http.session import Session


@dataclass
class PrefectRequester(HttpRequester):
    """The CDK's requester on the connections of the command, which all streams share.

    The CDK gives each stream a connection pool of its own, knows no TLS settings, and would follow a redirect with
    the API key and the custom headers - as a GET, which Prefect's lists refuse.
    """

    config: Session

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        session = session_of(self)
        for scheme in ("https://", "http://"):
            session.mount(scheme, self.config.transport)


@dataclass
class ServerAuthenticator(DeclarativeAuthenticator):
    """The headers that a Prefect Server and a proxy in front of it require.

    Basic credentials where `auth_string` is set (the server's `PREFECT_SERVER_API_AUTH_STRING`, since 3.1), and
    the `custom_headers`. The CDK's own authenticators take one header each, with a name known beforehand.
    """

    config: Session

    def __post_init__(self) -> None:
        self._headers: Mapping[str, str] = self.config["connection"]["headers"]
        for value in self._headers.values():
            # The CDK finds secrets by their path in the spec, which does not lead into lists; and it masks the plain
            # `auth_string`, not its Basic form.
            add_to_secrets(value.removeprefix("Basic "))

    @property
    def auth_header(self) -> str:
        return "Authorization"

    @property
    def token(self) -> str:
        return self._headers.get("Authorization", "")

    def get_auth_header(self) -> Mapping[str, Any]:
        return self._headers
