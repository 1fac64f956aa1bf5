"""What all components of one command share."""

import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import requests
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

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
            return session.get(url, auth=self._authorize, timeout=_TIMEOUT, allow_redirects=False)

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
            self.once("time", self._ask_for_time)
        return clock.now or datetime.now(UTC)

    def _ask_for_time(self) -> None:
        try:
            self.ask("health")
        except AirbyteTracedException:
            # A redirect has a `Date`, too.
            if self.transport.clock.now is None:
                raise

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self.settings.connection.headers)
        return request
