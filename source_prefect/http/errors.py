"""What each answer means, and what the user reads.

the answer                                          the sync
|-- 200 with a list of objects                      continues
|-- 400, 422: a filter or limit that it refuses      pagination.RequestRefusedError, which the stream may handle
|-- permanent                                       config error, at once
|   |-- 401, 403, 404, 405, a redirect
|   `-- TLS failure, unusable address
|-- perhaps temporary                               retried, six times in all, then a transient error
|   |-- 408, 425, 429, 5xx
|   |-- time-out, reset, a body cut short
|   |-- 200 without a list of objects
|   |-- a page of HTML                              (then a config error: it may be the address of a UI)
|   `-- nobody listens, unknown host                (then a config error, earlier if the server never answered)
`-- Retry-After beyond 10 minutes, maintenance      transient error, at once (the transport has waited for its end)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.requesters.error_handlers import DefaultErrorHandler
from airbyte_cdk.sources.declarative.requesters.error_handlers.backoff_strategy import BackoffStrategy
from airbyte_cdk.sources.streams.http.error_handlers.response_models import (
    SUCCESS_RESOLUTION,
    ErrorResolution,
    ResponseAction,
)
from airbyte_cdk.utils.is_cloud_environment import is_cloud_environment

from source_prefect.http.cloud import no_such_workspace
from source_prefect.http.patience import patience
from source_prefect.http.responses import is_maintenance, read_page, retry_after

RIGHT_ADDRESS = (
    "It should look like http://localhost:4200/api for a Prefect Server, and like "
    "https://api.prefect.cloud/api for Prefect Cloud."
)

_PUBLIC_ONLY = "Airbyte Cloud connects to public https addresses only."

_CONTAINER_HINT = (
    "Within a container, this address is the container itself; the machine around it is often host.docker.internal. "
)

_TLS_HINT = (
    "A private CA belongs into ca_certificate; a server or proxy that demands a client certificate needs "
    "client_certificate and client_key."
)


@dataclass
class RetryAfterBackoffStrategy(BackoffStrategy):
    """Waits as long as `Retry-After` asks, in seconds or until a date.

    Without the header the CDK's default applies: 1, 2, 4, 8, 16 s. The CDK's own strategy for headers reads no dates.
    """

    def backoff_time(
        self,
        response_or_exception: requests.Response | requests.RequestException | None,
        attempt_count: int,  # noqa: ARG002  (the CDK's signature)
    ) -> float | None:
        return retry_after(response_or_exception) if isinstance(response_or_exception, requests.Response) else None


@dataclass
class PrefectErrorHandler(DefaultErrorHandler):
    """Classifies the answers as the tree above shows.

    The manifest could declare statuses, but not a 200 whose body is no JSON list: it must be retried, for the CDK
    would take it for an empty last page and end the stream. Nor can the CDK's filters match a failed connection.
    """

    envelope: str = ""
    _answered: bool = field(init=False, default=False)
    _unreached: int = field(init=False, default=0)

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        self._patience = patience(self.config)
        self.max_retries = self._patience.retries
        super().__post_init__(parameters)

    def interpret_response(self, response_or_exception: requests.Response | Exception | None) -> ErrorResolution:
        if isinstance(response_or_exception, requests.Response):
            self._answered = True
            if response_or_exception.status_code == requests.codes.not_found and (
                sentence := no_such_workspace(self.config)
            ):
                return _config_error(sentence)
            return _meaning(response_or_exception, self.envelope, self._patience.longest_wait)
        if isinstance(response_or_exception, requests.RequestException):
            return self._failure(response_or_exception)
        return super().interpret_response(response_or_exception)

    def _failure(self, error: requests.RequestException) -> ErrorResolution:
        host = urlsplit(error.request.url or "").netloc if error.request is not None else "the server"
        reason = _innermost(error)
        if isinstance(error, requests.TooManyRedirects):
            return _redirected(error)
        if isinstance(error, requests.exceptions.SSLError) or "alert" in reason:
            return _config_error(f"TLS to {host} failed: {reason}. {_TLS_HINT}")
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
            # On Airbyte Cloud, the CDK refuses addresses that are not public.
            hint = _PUBLIC_ONLY if is_cloud_environment() else RIGHT_ADDRESS
            return _config_error(f"{host} is no usable address: {reason}. {hint}")
        if _never_connected(error):
            # A server that restarts comes back; a wrong address should be reported soon.
            if self._answered:
                return _retry(f"Could not connect to {host} any more: {reason}")
            self._unreached += 1
            action = ResponseAction.RETRY if self._unreached <= self._patience.unreached else ResponseAction.FAIL
            hint = _CONTAINER_HINT if host.startswith(("localhost", "127.0.0.1", "[::1]")) else ""
            return ErrorResolution(
                action, FailureType.config_error, f"Could not connect to {host}: {reason}. {hint}{RIGHT_ADDRESS}"
            )
        return _retry(f"The connection to {host} failed: {reason}")


def _redirected(error: requests.TooManyRedirects) -> ErrorResolution:
    """Not followed: it would send the credentials to another address, as a GET that Prefect refuses."""
    source = urlsplit(error.request.url or "") if error.request is not None else urlsplit("")
    location = error.response.headers.get("Location", "") if error.response is not None else ""
    # The query may hold a secret of a login page.
    target = urlsplit(urljoin(source.geturl(), location))._replace(query="", fragment="").geturl()
    return _config_error(
        f"{source.netloc} redirects to {target}, which is not followed. Where that is the server's own address, put "
        "it into api_url; where it is a login page, the proxy in front of the server requires custom headers."
    )


def _meaning(response: requests.Response, envelope: str, longest_wait: float) -> ErrorResolution:
    status = response.status_code
    url = response.url
    if status == requests.codes.ok:
        try:
            read_page(response, envelope)
        except ValueError as error:
            return _unreadable(response, error)
        return SUCCESS_RESOLUTION
    if status == requests.codes.unauthorized:
        return _config_error(
            "Prefect rejected the credentials (401). Check the API key of Prefect Cloud, or the auth string of "
            "the Prefect Server."
        )
    if status == requests.codes.forbidden:
        return _config_error(
            f"Prefect gave no access (403) to {url}. {_right_ids(url)}Check what the key may read; for Prefect Cloud, "
            "whether your plan has it; for a Prefect Server, whether a proxy in front of it requires custom headers."
        )
    if status in (requests.codes.not_found, requests.codes.method_not_allowed) or 300 <= status < 400:
        return _config_error(f"There is no Prefect API at {url} ({status}). {_right_ids(url) or RIGHT_ADDRESS}".strip())
    if status in (requests.codes.bad_request, requests.codes.unprocessable):
        return ErrorResolution(
            ResponseAction.IGNORE, None, f"Prefect refused a request to {url} ({status}): {response.text[:500]}"
        )
    if is_maintenance(response):
        # The transport has waited.
        return ErrorResolution(
            ResponseAction.FAIL,
            FailureType.transient_error,
            "Prefect Cloud is under maintenance. The next sync continues from the last state.",
        )
    if (seconds := retry_after(response)) is not None and seconds > longest_wait:
        return ErrorResolution(
            ResponseAction.FAIL,
            FailureType.transient_error,
            f"Prefect answered {status} at {url} and asked to wait for {seconds:.0f} s; the connector waits for at "
            f"most {longest_wait:.0f} s. The next sync continues from the last state.",
        )
    if status == requests.codes.too_many_requests:
        return ErrorResolution(
            ResponseAction.RATE_LIMITED,
            FailureType.transient_error,
            f"Prefect asked to slow down (429) at {url}.",
        )
    if status in (requests.codes.request_timeout, requests.codes.too_early) or status >= 500:
        return _retry(f"Prefect answered {status} at {url}.")
    return ErrorResolution(
        ResponseAction.FAIL,
        FailureType.system_error,
        f"Prefect answered {status} at {url}: {response.text[:500]}",
    )


def _right_ids(url: str) -> str:
    """What may be wrong with the ids in an address of Prefect Cloud. Both are UUIDs: only Cloud can tell them apart."""
    return "Check account_id and workspace_id: is one mistyped, or are they swapped? " if "/accounts/" in url else ""


def _unreadable(response: requests.Response, error: ValueError) -> ErrorResolution:
    start = response.text.lstrip()[:80]
    if start.startswith("<"):
        return ErrorResolution(
            ResponseAction.RETRY,
            FailureType.config_error,
            f"{response.url} answered with a page of HTML: it may be the address of a UI. {RIGHT_ADDRESS}",
        )
    return _retry(f"{response.url} answered 200 with a body that holds no rows ({error}): {start!r}")


def _never_connected(error: requests.RequestException) -> bool:
    """Whether no connection was made at all: refused, unknown host, no route, time-out while connecting."""
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    text = repr(error)
    return isinstance(error, requests.ConnectionError) and (
        "NewConnectionError" in text or "NameResolutionError" in text
    )


def _innermost(error: BaseException) -> str:
    """The innermost of a chain of wrapped exceptions, the only one that states the cause."""
    seen = set()
    while id(error) not in seen:
        seen.add(id(error))
        inner = getattr(error, "reason", None) or next(
            (argument for argument in reversed(error.args) if isinstance(argument, BaseException)), None
        )
        if not isinstance(inner, BaseException):
            break
        error = inner
    text = str(error)
    return text.rsplit(": ", 1)[-1] if "object at 0x" in text else text


def _config_error(message: str) -> ErrorResolution:
    return ErrorResolution(ResponseAction.FAIL, FailureType.config_error, message)


def _retry(message: str) -> ErrorResolution:
    return ErrorResolution(ResponseAction.RETRY, FailureType.transient_error, message)
