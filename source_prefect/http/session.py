"""What all components of a command share, and the manifest's components that send with it."""

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.auth.declarative_authenticator import DeclarativeAuthenticator
from airbyte_cdk.sources.declarative.requesters import HttpRequester
from airbyte_cdk.sources.streams.http.error_handlers import ErrorHandler, ErrorResolution, ResponseAction
from airbyte_cdk.sources.streams.http.error_handlers.response_models import SUCCESS_RESOLUTION
from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets

from source_prefect.cdk import log_no_bodies, session_of
from source_prefect.http.answers import is_maintenance, retry_after
from source_prefect.http.errors import failure
from source_prefect.http.oauth import Token
from source_prefect.http.transport import Patience, Transport, warn_of_risks
from source_prefect.settings.tls import TlsSettings
from source_prefect.settings.values import Settings

Made = TypeVar("Made")

LOGGER = logging.getLogger("airbyte")

# In seconds: to connect, and between two bytes.
_TIMEOUT = (10, 60)
_SHORT_TIMEOUT = (10, 10)

# In seconds: how often to poll during a maintenance of Prefect Cloud.
_MAINTENANCE_POLL = 15.0


class Session(Mapping[str, Any], AbstractContextManager["Session"]):
    """One command's conversation with Prefect; as a mapping, its settings, which the manifest's
    templates read.

    The CDK hands it to each component as its config. Closed at the end of the command, it sends
    nothing for a thread that was left behind.
    """

    def __init__(self, settings: Settings, patience: Patience) -> None:
        connection = settings.connection
        self._values = {**vars(settings), "connection": vars(connection)}
        warn_of_risks(connection.api_url, connection.tls, bool(connection.headers))
        for value in connection.headers.values():
            # The CDK finds no secret in a list, and it masks the plain `auth_string`, not its
            # Basic form.
            add_to_secrets(value.removeprefix("Basic "))
        if connection.oauth:
            warn_of_risks(connection.oauth.token_url, TlsSettings(), has_secret=True)
        self.settings = settings
        self.patience = patience
        self.transport = Transport(
            lambda: self.settings.connection.api_url,
            connection.tls,
            settings.num_workers,
            settings.max_requests_per_minute,
            patience,
            Token(connection.oauth, connection.tls) if connection.oauth else None,
        )
        self._made: dict[Hashable, Any] = {}
        self._making = threading.RLock()

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __exit__(self, *_: object) -> None:
        self.transport.end()

    def ask(self, path: str, json: Mapping[str, Any] | None = None) -> requests.Response:
        """The answer to a GET, or to a POST of `json`, below the address of the API.

        Raises AirbyteTracedException where there is none.
        """
        method, url = "GET" if json is None else "POST", self._url(path)
        with self._asking() as plain:
            return Maintenance(self, path).outlast(
                lambda: plain.request(method, url, json=json, timeout=_TIMEOUT, allow_redirects=False)
            )

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` returned at the first call with this key."""
        with self._making:
            if key not in self._made:
                self._made[key] = make()
            return cast(Made, self._made[key])

    @property
    def now(self) -> datetime:
        """The server's time; the connector's where no answer tells it."""
        if self.transport.clock.now is None:
            # Any answer has a `Date`. Where there is none, the first request of a stream says why.
            self.once("time", lambda: self.ask_briefly("health"))
        return self.transport.clock.now or datetime.now(UTC)

    def ask_briefly(self, path: str) -> requests.Response | None:
        """The answer to a GET that the sync can do without; None where there is none soon."""
        with self._asking() as plain:
            request = plain.prepare_request(requests.Request("GET", self._url(path)))
            environment = plain.merge_environment_settings(request.url, {}, False, None, None)
        return self.transport.try_twice(request, timeout=_SHORT_TIMEOUT, **environment)

    def find_api(self) -> str:
        """The address of the API. Below a path, it is in doubt: `/api` may follow, or the server
        set another base.

        One request finds out, which also tells the time.
        """
        connection = self.settings.connection
        other = connection.api_url.removesuffix("/api")
        if urlsplit(other).path and self.once("no /api", lambda: self._is_missing(self.ask_briefly("health"))):
            self.settings = replace(self.settings, connection=replace(connection, api_url=other))
        return self.settings.connection.api_url

    @staticmethod
    def _is_missing(answer: requests.Response | None) -> bool:
        return answer is not None and answer.status_code in (requests.codes.not_found, requests.codes.not_allowed)

    @contextmanager
    def _asking(self) -> Iterator[requests.Session]:
        with requests.Session() as plain:
            plain.mount(self.settings.connection.api_url, self.transport)
            # Without any, `requests` would take credentials from ~/.netrc.
            plain.auth = ServerAuthenticator(self)
            yield plain

    def _url(self, path: str) -> str:
        return f"{self.settings.connection.api_url}/{path}"


class Maintenance:
    """How long a stream, or a question of a command, waits for the end of a maintenance of Prefect
    Cloud.

    Each waits by itself, so that one whose part of Prefect Cloud is available goes on.
    """

    def __init__(self, session: Session, who: str) -> None:
        self._session = session
        self._who = who
        self._patient_until: float | None = None

    def outlast(self, send: Callable[[], requests.Response]) -> requests.Response:
        """The first answer without a maintenance. Raises AirbyteTracedException after too long."""
        while is_maintenance(response := send()):
            self._wait(response)
        # The next maintenance has a limit of its own.
        self._patient_until = None
        return response

    def _wait(self, response: requests.Response) -> None:
        patience = self._session.patience
        if self._patient_until is None:
            self._patient_until = time.monotonic() + patience.longest_maintenance
            LOGGER.info(
                f"{self._who}: Prefect Cloud is under maintenance. It is asked again for at most "
                f"{patience.longest_maintenance / 60:.0f} minutes."
            )
        if time.monotonic() >= self._patient_until:
            sentence = "Prefect Cloud is under maintenance. The next sync continues from the last state."
            raise failure(sentence, FailureType.transient_error)
        self._session.transport.pause(min(retry_after(response) or _MAINTENANCE_POLL, patience.longest_wait))


@dataclass
class PrefectRequester(HttpRequester):
    """The CDK's requester on the connections of the command, which all streams share.

    The CDK gives each stream a connection pool of its own, knows no TLS settings, and would follow
    a redirect with the API key and the custom headers - as a GET, which Prefect's lists refuse.
    """

    config: Session

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        log_no_bodies(self)
        for scheme in ("https://", "http://"):
            session_of(self).mount(scheme, self.config.transport)


class EveryAnswer(ErrorHandler):
    """Takes each answer as it is: the transport repeats requests, and `http.errors` judges what
    remains.

    The CDK's own handler would parse each page, once or twice more, before it takes it.
    """

    max_retries = 0
    max_time = None

    def interpret_response(self, response: requests.Response | Exception | None) -> ErrorResolution:
        return SUCCESS_RESOLUTION if isinstance(response, requests.Response) else ErrorResolution(ResponseAction.FAIL)


@dataclass
class ServerAuthenticator(DeclarativeAuthenticator):
    """The headers that a Prefect Server and a proxy in front of it require.

    Basic credentials where `auth_string` is set (the server's `PREFECT_SERVER_API_AUTH_STRING`,
    since 3.1), and the `custom_headers`. The CDK's own authenticators take one header each, with a
    name known beforehand.
    """

    config: Session
    auth_header = "Authorization"
    token = ""

    def get_auth_header(self) -> Mapping[str, str]:
        return self.config.settings.connection.headers
