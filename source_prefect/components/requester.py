import logging
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from airbyte_cdk.sources.declarative.requesters import HttpRequester
from airbyte_cdk.sources.http_config import MAX_CONNECTION_POOL_SIZE
from airbyte_cdk.sources.streams.http.tcp_keepalive import TcpKeepaliveHTTPAdapter
from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets

from source_prefect.address import is_local
from source_prefect.components.http import retry_after
from source_prefect.gate import Gate
from source_prefect.tls import TlsSettings

LOGGER = logging.getLogger("airbyte")


@dataclass
class PrefectRequester(HttpRequester):
    """The CDK's requester on a connection that all streams share, and that follows no redirect.

    The CDK gives each stream a connection pool of its own, knows no TLS settings, and would follow a redirect with
    the API key and the custom headers - as a GET, which no list of Prefect answers.
    """

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        connection = self.config["connection"]
        transport = shared_transport(self.config["api_url"], TlsSettings.of(connection), _has_secret(connection))
        # The CDK has no public way to its session.
        session = self._http_client._session
        for scheme in ("https://", "http://"):
            session.mount(scheme, transport)
        # With `TooManyRedirects`, which the error handler turns into a sentence.
        session.max_redirects = 0


def _has_secret(connection: Mapping[str, Any]) -> bool:
    return any(connection.get(name) for name in ("api_key", "auth_string", "custom_headers"))


@cache
def shared_transport(api_url: str, tls: TlsSettings, has_secret: bool) -> "Transport":
    """The transport to this server: one for all streams of the process. What is unsafe about it is said once."""
    parts = urlsplit(api_url)
    if parts.scheme == "http" and has_secret and not is_local(parts.hostname or ""):
        LOGGER.warning(f"The credentials for {parts.netloc} travel unencrypted: its address begins with http://.")
    if not tls.verify:
        # Said here once; urllib3 would say it to stdout, for every request.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        LOGGER.warning(
            f"TLS verification is OFF (verify_tls): whoever stands between this machine and {parts.netloc} can read "
            "and change everything, credentials included. Better paste the CA's certificate into ca_certificate."
        )
    return Transport(api_url, tls)


class Transport(TcpKeepaliveHTTPAdapter):
    """The way to one Prefect, for every stream and thread.

    - TLS as the config has it.
    - A 429 makes all requests wait, not only the one that got it.
    - CSRF protection is noticed where a server has it. The token is shared, for a second one kills the first.
    """

    def __init__(self, api_url: str, tls: TlsSettings) -> None:
        self._tls = tls.context()
        self._gate = Gate()
        self._csrf = CsrfToken(f"{api_url}/csrf-token")
        super().__init__(pool_connections=MAX_CONNECTION_POOL_SIZE, pool_maxsize=MAX_CONNECTION_POOL_SIZE)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.headers.update(self._csrf.headers)
        response = self._send_through_gate(request, *args, **kwargs)
        if not _wants_csrf_token(response):
            return response
        with self._csrf.lock:
            # Another thread may have fetched a token since this request was made.
            if self._csrf.is_used_by(request):
                answer = self._send_through_gate(self._csrf.request(request), *args, **kwargs)
                if not answer.ok:
                    return answer
                self._csrf.take(answer)
        request.headers.update(self._csrf.headers)
        return self._send_through_gate(request, *args, **kwargs)

    def _send_through_gate(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        with self._gate.passing():
            response = super().send(request, *args, **kwargs)
            if response.status_code == requests.codes.too_many_requests:
                seconds = retry_after(response)
                if seconds is not None and self._gate.close(seconds):
                    LOGGER.info(f"Prefect asked to slow down (429): all requests wait for {seconds:g} s.")
            return response

    # The two places where requests lets an adapter bring its own SSLContext.

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, pool if self._tls is None else {"ssl_context": self._tls}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        if self._tls is None:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]


class CsrfToken:
    """The token of this process, which a server with CSRF protection wants to see on every POST."""

    def __init__(self, url: str) -> None:
        self.lock = threading.Lock()
        self.headers: Mapping[str, str] = {}
        self._url = url
        self._client = str(uuid.uuid4())

    def is_used_by(self, request: requests.PreparedRequest) -> bool:
        """Whether the request has the newest token, or none where there is none yet."""
        return request.headers.get("Prefect-Csrf-Token") == self.headers.get("Prefect-Csrf-Token")

    def request(self, refused: requests.PreparedRequest) -> requests.PreparedRequest:
        """The request for a new token, with the credentials of the one that was refused."""
        request = requests.Request("GET", self._url, params={"client": self._client}).prepare()
        request.headers.update({k: v for k, v in refused.headers.items() if not k.lower().startswith("content-")})
        return request

    def take(self, answer: requests.Response) -> None:
        """Use the token of this answer from now on."""
        token = answer.json()["token"]
        add_to_secrets(token)
        self.headers = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": self._client}


def _wants_csrf_token(response: requests.Response) -> bool:
    return response.status_code == requests.codes.forbidden and b"CSRF token" in response.content
