"""What each answer means, and what the user reads.

200 with a list of objects              the sync continues
400, 422: a filter or limit is refused  RequestRefusedError, which the stream may handle
maintenance of Prefect Cloud            the stream waits for its end, at most half an hour
401, 403, 404, 405, redirect, TLS,
  unusable address, a cached answer     config error, at once
Retry-After beyond 10 minutes           transient error, at once
408, 425, 429, 5xx, time-out, reset,
  a body cut short, no list of objects  sent six times in all, then a transient error
200 with a page of HTML                 sent six times, then a config error: the address of a UI?
nobody listens, unknown host            sent six times, then a config error; four times if the
                                        server never answered
"""

import http.client
import re
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.http.answers import is_cached, is_maintenance, quoted, read_object, read_page, retry_after

RIGHT_ADDRESS = (
    "It should look like http://localhost:4200/api for a Prefect Server, and like https://api.prefect.cloud/api for "
    "Prefect Cloud."
)
_CONTAINER_HINT = (
    "Within a container, this address is the container itself; the machine around it is often host.docker.internal. "
)
# How OpenSSL calls an answer without TLS.
_PLAIN_HTTP = ("wrong version number", "record layer failure", "unknown protocol")
# The paths of pages, and of single rows.
_PAGES = ("/filter", "/filter/next", "/flow_runs/history")
_ROW = re.compile(r"/(flow_runs/[\w-]+|work_queues/[\w-]+/status)$")
_TLS_HINT = (
    "A private CA belongs in ca_certificate; a server or proxy that demands a client certificate needs "
    "client_certificate and client_key."
)


class Problem(NamedTuple):
    """Why an answer is no page.

    `is_temporary`: the same request may succeed later. `is_unreached`: the server has never
    answered, and no connection was made.
    """

    sentence: str
    failure_type: FailureType = FailureType.config_error
    is_temporary: bool = False
    is_unreached: bool = False

    def failure(self) -> AirbyteTracedException:
        """The error that ends a stream."""
        tried = "Gave up after several tries. " if self.is_temporary else ""
        return failure(f"{tried}{self.sentence}", self.failure_type)


def failure(message: str, failure_type: FailureType = FailureType.config_error) -> AirbyteTracedException:
    """An error that says the same to users and in the logs."""
    return AirbyteTracedException(message=message, internal_message=message, failure_type=failure_type)


def _temporary(sentence: str) -> Problem:
    return Problem(sentence, FailureType.transient_error, is_temporary=True)


def problem_of(response: requests.Response, longest_wait: float) -> Problem | None:
    """Why this answer cannot be used; None for a page, or where its request decides that."""
    status, url = response.status_code, response.url
    if status == requests.codes.ok:
        return _unreadable(response)
    if status in (requests.codes.bad_request, requests.codes.unprocessable) or is_maintenance(response):
        return None
    if response.is_redirect:
        return _redirected(response)
    if status == requests.codes.unauthorized:
        return Problem(
            "Prefect rejected the credentials (401). Check the API key of Prefect Cloud, or the auth string of "
            "the Prefect Server and the values of custom_headers."
        )
    # Both ids are UUIDs, which only Prefect Cloud can tell apart.
    ids = "Check account_id and workspace_id: is one mistyped, or are they swapped? " if "/accounts/" in url else ""
    if status == requests.codes.forbidden:
        return Problem(
            f"Prefect gave no access (403) to {url}. {ids}Check what the key may read; for Prefect Cloud, whether "
            "your plan has it; for a Prefect Server, whether a proxy in front of it requires custom headers, or others."
        )
    if status in (requests.codes.not_found, requests.codes.method_not_allowed) or 300 <= status < 400:
        return Problem(f"There is no Prefect API at {url} ({status}). {ids or RIGHT_ADDRESS}".rstrip())
    if (seconds := retry_after(response)) is not None and seconds > longest_wait:
        return Problem(
            f"Prefect answered {status} at {url} and asked to wait for {seconds:.0f} s; the connector waits for at "
            f"most {longest_wait:.0f} s. The next sync continues from the last state.",
            FailureType.transient_error,
        )
    if status == requests.codes.too_many_requests:
        return _temporary(f"Prefect asked to slow down (429) at {url}.")
    if status in (requests.codes.request_timeout, requests.codes.too_early) or status >= 500:
        return _temporary(f"Prefect answered {status} at {url}.")
    quote = "" if response.ok else f": {quoted(response.text)}"
    return Problem(f"Prefect answered {status} at {url}{quote}", FailureType.system_error)


def no_answer(error: requests.RequestException, url: str, has_answered: bool) -> Problem:
    """Why there is no answer. `has_answered`: the server answered another request before."""
    host, reason = urlsplit(url).netloc, reason_of(error)
    if any(sign in reason.lower() for sign in _PLAIN_HTTP):
        return Problem(f"{host} speaks plain http: its address begins with http://, not with https:// ({reason}).")
    if isinstance(error, requests.exceptions.SSLError) or "alert" in reason:
        return Problem(f"TLS to {host} failed: {reason}. {_TLS_HINT}")
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return Problem(f"{host} is not a usable address: {reason}. {RIGHT_ADDRESS}")
    is_unconnected = any(name in repr(error) for name in ("NewConnectionError", "NameResolutionError"))
    if not is_unconnected and not isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError):
        is_closed = isinstance(_innermost(error), http.client.HTTPException | ConnectionError)
        hint = " Does its address begin with https://?" if is_closed and url[:5] == "http:" and not has_answered else ""
        return _temporary(f"The connection to {host} failed: {reason}.{hint}")
    if has_answered:
        # A server that restarts comes back.
        return _temporary(f"Could not connect to {host} any more: {reason}.")
    hint = _CONTAINER_HINT if host.startswith(("localhost", "127.0.0.1", "[::1]")) else ""
    sentence = f"Could not connect to {host}: {reason}. {hint}{RIGHT_ADDRESS}"
    return Problem(sentence, is_temporary=True, is_unreached=True)


def reason_of(error: requests.RequestException) -> str:
    """Why a request has no answer, without a full stop."""
    cause = _innermost(error)
    # Before such a reason, urllib3 names a connection of its own.
    has_prefix = isinstance(cause, urllib3.exceptions.NewConnectionError | urllib3.exceptions.TimeoutError)
    return (str(cause.args[-1]).rsplit(": ", 1)[-1] if has_prefix else str(cause)).rstrip(".")


def _innermost(error: BaseException) -> BaseException:
    """The innermost of a chain of wrapped exceptions, the only one that states the cause."""
    wrapped = (getattr(error, "reason", None), *reversed(error.args))
    inner = next((each for each in wrapped if isinstance(each, BaseException)), None)
    return _innermost(inner) if inner else error


def _redirected(response: requests.Response) -> Problem:
    """A redirect is not followed: it would send the credentials elsewhere, and as a GET."""
    try:
        target = urlsplit(urljoin(response.url, response.headers["Location"]))
        # The query may hold a secret of a login page, and the host a password.
        shown = target._replace(netloc=target.netloc.rpartition("@")[2], query="", fragment="").geturl()
    except ValueError:
        shown = "an address that is not valid"
    return Problem(
        f"{urlsplit(response.url).netloc} redirects to {quoted(shown)}, which is not followed. Where that is the "
        "server's own address, put it into api_url; where it is a login page, the proxy in front of the server "
        "requires custom headers, or other values of them."
    )


def _unreadable(response: requests.Response) -> Problem | None:
    """Why a 200 to the request of a page or of a single row holds none."""
    path = urlsplit(response.url).path
    is_page = path.endswith(_PAGES)
    if not is_page and not _ROW.search(path):
        return None
    try:
        _ = read_page(response) if is_page else read_object(response)
    except ValueError as error:
        if is_cached(response):
            return Problem(
                f"{urlsplit(response.url).netloc} answered from a cache, as its header Age says, so rows could be "
                "missing. Let the proxy in front of Prefect cache no POST requests."
            )
        start = quoted(response.text.lstrip())[:80]
        if not start.startswith("<"):
            # Rows that were cut short are not quoted: `leave_out` may concern them.
            quote = "" if start.startswith(("[", "{")) else f": {start!r}"
            return _temporary(f"{response.url} answered 200 with a body that holds no rows ({error}){quote}.")
        sentence = f"{response.url} answered with a page of HTML: it may be the address of a UI. {RIGHT_ADDRESS}"
        return Problem(sentence, is_temporary=True)
    return None
