"""What all components of one command share, and the two of the manifest that send with it."""

import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import requests
from airbyte_cdk.sources.declarative.auth.declarative_authenticator import DeclarativeAuthenticator
from airbyte_cdk.sources.declarative.requesters import HttpRequester
from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.cdk import session_of
from source_prefect.http.transport import Patience, Transport, warn_of_risks
from source_prefect.settings.values import Settings

Made = TypeVar("Made")

_TIMEOUT = (10, 60)


class Session(Mapping[str, Any], AbstractContextManager["Session"]):
    """One command's conversation with Prefect; as a mapping, its settings, which the manifest's templates read.

    The CDK hands it to each component as its config. Closed at the end of the command, it sends nothing for a thread
    that was left behind.
    """

    def __init__(self, settings: Settings, patience: Patience) -> None:
        connection = settings.connection
        warn_of_risks(connection.api_url, connection.tls, bool(connection.headers))
        for value in connection.headers.values():
            # The CDK finds no secret in a list, and it masks the plain `auth_string`, not its Basic form.
            add_to_secrets(value.removeprefix("Basic "))
        self.settings = settings
        self.patience = patience
        self.transport = Transport(
            connection.api_url, connection.tls, settings.num_workers, settings.max_requests_per_minute, patience
        )
        self._made: dict[Hashable, Any] = {}
        self._making = threading.RLock()

    def __getitem__(self, name: str) -> Any:
        return self.settings[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.settings)

    def __len__(self) -> int:
        return len(self.settings)

    def __exit__(self, *_: object) -> None:
        self.transport.end()

    def ask(self, path: str) -> requests.Response:
        """The answer to a GET below the address of the API. Raises AirbyteTracedException where there is none."""
        url = f"{self.settings.connection.api_url}/{path}"
        with requests.Session() as session:
            session.mount(url, self.transport)
            # As `auth`, because `requests` would otherwise take credentials from ~/.netrc.
            return session.get(url, auth=ServerAuthenticator(self), timeout=_TIMEOUT, allow_redirects=False)

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` returned, or raised, at the first call with this key."""
        with self._making:
            if key not in self._made:
                try:
                    self._made[key] = make()
                except AirbyteTracedException as error:
                    self._made[key] = error
        if isinstance(made := self._made[key], AirbyteTracedException):
            raise made
        return cast(Made, made)

    @property
    def now(self) -> datetime:
        """The server's time; the connector's where no answer tells it. Raises AirbyteTracedException."""
        clock = self.transport.clock
        if clock.now is None:
            try:
                self.once("time", lambda: self.ask("health"))
            except AirbyteTracedException:
                if clock.now is None:  # A redirect has a `Date`, too.
                    raise
        return clock.now or datetime.now(UTC)


@dataclass
class PrefectRequester(HttpRequester):
    """The CDK's requester on the connections of the command, which all streams share.

    The CDK gives each stream a connection pool of its own, knows no TLS settings, and would follow a redirect with
    the API key and the custom headers - as a GET, which Prefect's lists refuse.
    """

    config: Session

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        for scheme in ("https://", "http://"):
            session_of(self).mount(scheme, self.config.transport)


@dataclass
class ServerAuthenticator(DeclarativeAuthenticator):
    """The headers that a Prefect Server and a proxy in front of it require.

    Basic credentials where `auth_string` is set (the server's `PREFECT_SERVER_API_AUTH_STRING`, since 3.1), and
    the `custom_headers`. The CDK's own authenticators take one header each, with a name known beforehand.
    """

    config: Session
    auth_header = "Authorization"
    token = ""

    def get_auth_header(self) -> Mapping[str, str]:
        return self.config.settings.connection.headers
