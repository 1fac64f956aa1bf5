"""What each answer means, and what the user reads.

the answer                                          the sync
|-- 200 with a list of objects                      continues
|-- 400, 422: a filter or limit that it refuses     client.RequestRefusedError, which the stream may handle
|-- maintenance of Prefect Cloud                    the stream waits for its end, at most half an hour
|-- permanent                                       config error, at once
|   |-- 401, 403, 404, 405, a redirect
|   `-- TLS failure, unusable address
|-- perhaps temporary                               sent six times in all, then a transient error
|   |-- 408, 425, 429, 5xx
|   |-- time-out, reset, a body cut short
|   |-- 200 without a list of objects
|   |-- a page of HTML                              (then a config error: it may be the address of a UI)
|   `-- nobody listens, unknown host                (then a config error, earlier if the server never answered)
`-- Retry-After beyond 10 minutes                   transient error, at once
"""

from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.http.answers import is_maintenance, quoted, read_page, retry_after

RIGHT_ADDRESS = (
    "It should look like http://localhost:4200/api for a Prefect Server, and like "
    "https://api.prefect.cloud/api for Prefect Cloud."
)

_CONTAINER_HINT = (
    "Within a container, this address is the container itself; the machine around it is often host.docker.internal. "
)

_TLS_HINT = (
    "A private CA belongs in ca_certificate; a server or proxy that demands a client certificate needs "
    "client_certificate and client_key."
)


class Problem(NamedTuple):
    """Why an answer is no page. `is_temporary`: the same request may succeed later."""

    sentence: str
    failure_type: FailureType
    is_temporary: bool = False
    # No connection was made at all.
    is_unreached: bool = False

    def failure(self) -> AirbyteTracedException:
        """The error that ends a stream."""
        tried = "Gave up after several tries. " if self.is_temporary else ""
        return failure(f"{tried}{self.sentence}", self.failure_type)


def failure(message: str, failure_type: FailureType) -> AirbyteTracedException:
    """An error that says the same to users and in the logs."""
    return AirbyteTracedException(message=message, internal_message=message, failure_type=failure_type)


def _permanent(sentence: str) -> Problem:
    return Problem(sentence, FailureType.config_error)


def _temporary(sentence: str) -> Problem:
    return Problem(sentence, FailureType.transient_error, is_temporary=True)


def problem_of(response: requests.Response, longest_wait: float) -> Problem | None:
    """Why this answer cannot be used; None where it is a page, or where its request decides what it means."""
    status, url = response.status_code, response.url
    if status == requests.codes.ok:
        return _unreadable(response)
    if status in (requests.codes.bad_request, requests.codes.unprocessable) or is_maintenance(response):
        return None
    if status == requests.codes.unauthorized:
        return _permanent(
            "Prefect rejected the credentials (401). Check the API key of Prefect Cloud, or the auth string of "
            "the Prefect Server."
        )
    if status == requests.codes.forbidden:
        return _permanent(
            f"Prefect gave no access (403) to {url}. {_right_ids(url)}Check what the key may read; for Prefect Cloud, "
            "whether your plan has it; for a Prefect Server, whether a proxy in front of it requires custom headers."
        )
    if status in (requests.codes.not_found, requests.codes.method_not_allowed) or 300 <= status < 400:
        return _permanent(f"There is no Prefect API at {url} ({status}). {_right_ids(url) or RIGHT_ADDRESS}".strip())
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
    return Problem(f"Prefect answered {status} at {url}: {quoted(response.text)}", FailureType.system_error)


def no_answer(error: requests.RequestException, has_answered: bool) -> Problem:
    """Why there is no answer. `has_answered`: the server has answered another request of this command."""
    host = urlsplit(error.request.url or "").netloc if error.request is not None else "the server"
    reason = _innermost(error)
    if isinstance(error, requests.exceptions.SSLError) or "alert" in reason:
        return _permanent(f"TLS to {host} failed: {reason}. {_TLS_HINT}")
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return _permanent(f"{host} is not a usable address: {reason}. {RIGHT_ADDRESS}")
    if not _never_connected(error):
        return _temporary(f"The connection to {host} failed: {reason}.")
    if has_answered:
        # A server that restarts comes back.
        return _temporary(f"Could not connect to {host} any more: {reason}.")
    hint = _CONTAINER_HINT if host.startswith(("localhost", "127.0.0.1", "[::1]")) else ""
    sentence = f"Could not connect to {host}: {reason}. {hint}{RIGHT_ADDRESS}"
    return Problem(sentence, FailureType.config_error, is_temporary=True, is_unreached=True)


def redirected(response: requests.Response) -> Problem:
    """A redirect is not followed: it would send the credentials to another address, as a GET that Prefect refuses."""
    source = urlsplit(response.url)
    try:
        target = urlsplit(urljoin(source.geturl(), response.headers["Location"]))
        # The query may hold a secret of a login page, and the host a password.
        shown = target._replace(netloc=target.netloc.rpartition("@")[2], query="", fragment="").geturl()
    except ValueError:
        shown = "an address that is not valid"
    return _permanent(
        f"{source.netloc} redirects to {quoted(shown)}, which is not followed. Where that is the server's own "
        "address, put it into api_url; where it is a login page, the proxy in front of the server requires custom "
        "headers."
    )


def _unreadable(response: requests.Response) -> Problem | None:
    """Why a 200 to the request of a page holds no page."""
    if not urlsplit(response.url).path.endswith(("/filter", "/filter/next")):
        return None
    try:
        read_page(response)
    except ValueError as error:
        reason = error
    else:
        return None
    start = response.text.lstrip()[:80]
    if start.startswith("<"):
        sentence = f"{response.url} answered with a page of HTML: it may be the address of a UI. {RIGHT_ADDRESS}"
        return Problem(sentence, FailureType.config_error, is_temporary=True)
    return _temporary(f"{response.url} answered 200 with a body that holds no rows ({reason}): {start!r}.")


def _right_ids(url: str) -> str:
    """What may be wrong with the ids in an address of Prefect Cloud. Both are UUIDs: only Cloud can tell them apart."""
    return "Check account_id and workspace_id: is one mistyped, or are they swapped? " if "/accounts/" in url else ""


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
