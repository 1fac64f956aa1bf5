"""The connections to one Prefect API, which all streams and threads share."""

import logging
import threading
import time
import uuid
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from airbyte_cdk.sources.http_config import MAX_CONNECTION_POOL_SIZE
from airbyte_cdk.sources.streams.http.tcp_keepalive import TcpKeepaliveHTTPAdapter
from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets

from source_prefect.config.address import is_local
from source_prefect.config.tls import TlsSettings
from source_prefect.http.gate import Gate
from source_prefect.http.patience import Patience
from source_prefect.http.responses import is_maintenance, retry_after

LOGGER = logging.getLogger("airbyte")

# In seconds, for a whole body. A read time-out alone never fires while single bytes trickle in.
LONGEST_BODY = 300.0
_CHUNK = 1 << 20

# In seconds: how often to poll during a maintenance of Prefect Cloud.
_MAINTENANCE_POLL = 15.0


@cache
def shared_transport(api_url: str, tls: TlsSettings, has_secret: bool, workers: int, patience: Patience) -> "Transport":
    """The transport to this server: one for all streams of the process. Logs once what is unsafe about it."""
    parts = urlsplit(api_url)
    if parts.scheme == "http" and has_secret and not is_local(parts.hostname or ""):
        LOGGER.warning(f"The credentials for {parts.netloc} travel unencrypted: its address begins with http://.")
    if not tls.verify:
        # Logged here once; urllib3 would print it for every request.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        LOGGER.warning(
            f"TLS verification is OFF (verify_tls): anyone between this machine and {parts.netloc} can read and "
            "change everything, credentials included. Better paste the CA's certificate into ca_certificate."
        )
    return Transport(api_url, tls, workers, patience)


class Transport(TcpKeepaliveHTTPAdapter):
    """Sends the requests to one Prefect API.

    - TLS as configured.
    - No more than `workers` requests at the same time, however many threads there are.
    - A 429 makes all requests wait, not only the one that got it. So does a maintenance of Prefect Cloud.
    - CSRF protection is detected. All requests share one token, for a second one invalidates the first.
    - A body must be complete after LONGEST_BODY seconds.
    """

    def __init__(self, api_url: str, tls: TlsSettings, workers: int, patience: Patience) -> None:
        self._patience = patience
        self._tls = tls.context()
        self._gate = Gate()
        self._slots = threading.BoundedSemaphore(workers)
        self._csrf = CsrfToken(f"{api_url}/csrf-token")
        # How long to wait for the end of the current maintenance.
        self._patient_until: float | None = None
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
        while is_maintenance(response := self._send_once(request, *args, **kwargs)):
            if self._patient_until is not None and time.monotonic() >= self._patient_until:
                return response
        self._patient_until = None
        return response

    def _send_once(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        with self._gate.passing(), self._slots:
            response = super().send(request, *args, **kwargs)
            _read_body(response)
            if response.status_code == requests.codes.too_many_requests:
                seconds = retry_after(response)
                if seconds is not None and seconds <= self._patience.longest_wait and self._gate.close(seconds):
                    LOGGER.info(f"Prefect asked to slow down (429): all requests wait for {seconds:g} s.")
            elif is_maintenance(response):
                self._wait_for_maintenance(min(retry_after(response) or _MAINTENANCE_POLL, self._patience.longest_wait))
            return response

    def _wait_for_maintenance(self, seconds: float) -> None:
        self._gate.close(seconds)
        if self._patient_until is None:
            longest = self._patience.longest_maintenance
            self._patient_until = time.monotonic() + longest
            LOGGER.info(f"Prefect Cloud is under maintenance. The sync waits for at most {longest / 60:.0f} minutes.")

    # The two places where requests lets an adapter bring its own SSLContext.

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, pool if self._tls is None else {"ssl_context": self._tls}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        if self._tls is None:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]


def _read_body(response: requests.Response) -> None:
    """Read the body, as `requests` would do next, but within LONGEST_BODY."""
    deadline = time.monotonic() + LONGEST_BODY
    chunks = []
    try:
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            chunks.append(chunk)
            if time.monotonic() > deadline:
                response.close()
                raise requests.exceptions.ReadTimeout(
                    f"the body was not complete after {LONGEST_BODY:.0f} s", request=response.request
                )
    except urllib3.exceptions.ProtocolError as error:
        raise requests.exceptions.ChunkedEncodingError(error, request=response.request) from error
    except urllib3.exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError(error, request=response.request) from error
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.exceptions.ConnectionError(error, request=response.request) from error
    except urllib3.exceptions.SSLError as error:
        raise requests.exceptions.SSLError(error, request=response.request) from error
    # Where `requests` keeps a body after reading it.
    response._content, response._content_consumed = b"".join(chunks), True  # type: ignore[attr-defined]


class CsrfToken:
    """The token of this process, which a server with CSRF protection requires on every POST."""

    def __init__(self, url: str) -> None:
        self.lock = threading.Lock()
        self.headers: Mapping[str, str] = {}
        self._url = url
        self._client = str(uuid.uuid4())

    def is_used_by(self, request: requests.PreparedRequest) -> bool:
        """Whether the request carries the newest token, or none where there is none yet."""
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
