import json
import re
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import orjson
import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.extractors.record_extractor import RecordExtractor
from airbyte_cdk.sources.declarative.requesters.error_handlers import DefaultErrorHandler
from airbyte_cdk.sources.declarative.requesters.error_handlers.backoff_strategy import BackoffStrategy
from airbyte_cdk.sources.streams.http.error_handlers.response_models import (
    SUCCESS_RESOLUTION,
    ErrorResolution,
    ResponseAction,
)

from source_prefect.paging import Row

RIGHT_ADDRESS = (
    "It should look like http://localhost:4200/api for a Prefect Server, and like "
    "https://api.prefect.cloud/api for Prefect Cloud."
)

_CONTAINER_HINT = (
    "Within a container, this address is the container itself; the machine around it is often host.docker.internal. "
)

_TLS_HINT = (
    "A private CA belongs into ca_certificate; a server or proxy that demands a client certificate needs "
    "client_certificate and client_key."
)

_ROWS = "_source_prefect_rows"
_NEXT_PAGE = "_source_prefect_next_page"

# More digits than a 64-bit integer has: orjson reads such a number as a float and loses its end. To look for zeros in
# a body whose digits are all zeros takes a tenth of the time of a regular expression.
_LONG_NUMBER = b"0" * 19
_ZEROS_FOR_DIGITS = bytes.maketrans(b"123456789", b"000000000")


def read_rows(response: requests.Response, envelope: str = "") -> list[Row]:
    """The rows of an answer. A body is parsed once, though the error handler asks before the retriever does.

    Most answers are a bare list. One with an `envelope` is an object that holds the list under that name, and the
    address of the next page, or null, as `next_page`.

    Raises ValueError where the body is not that.
    """
    rows: list[Row] | None = getattr(response, _ROWS, None)
    if rows is None:
        body = _parse(response.content)
        next_page = None
        if envelope:
            if not isinstance(body, dict) or envelope not in body or "next_page" not in body:
                raise ValueError(f"The body is JSON, but not an object with {envelope} and next_page.")
            body, next_page = body[envelope], body["next_page"]
        if not isinstance(body, list) or not all(isinstance(row, dict) for row in body):
            raise ValueError("The body is JSON, but not a list of objects.")
        rows = body
        setattr(response, _ROWS, rows)
        setattr(response, _NEXT_PAGE, next_page)
    return rows


def next_page(response: requests.Response) -> str | None:
    """The address of the page after this answer, whose rows have been read."""
    address: str | None = getattr(response, _NEXT_PAGE)
    return address


def query_of(address: str) -> dict[str, str]:
    """The parameters of an address, whose values are base64: a plus sign stays one."""
    pairs = (pair.partition("=") for pair in urlsplit(address).query.split("&"))
    return {unquote(name): unquote(value) for name, _, value in pairs}


def _parse(body: bytes) -> Any:
    if _LONG_NUMBER not in body.translate(_ZEROS_FOR_DIGITS):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            # A lone surrogate, say, is JSON to the standard library, which then has the last word.
            pass
    return json.loads(body)


@dataclass
class JsonListExtractor(RecordExtractor):
    """The rows of a JSON list, and nothing else: the CDK's decoder takes what it cannot read for an empty page."""

    envelope: str = ""

    def extract_records(self, response: requests.Response) -> Iterable[MutableMapping[Any, Any]]:
        return read_rows(response, self.envelope)


@dataclass
class RetryAfterBackoffStrategy(BackoffStrategy):
    """Waits as long as `Retry-After` asks, in seconds or until a date.

    Without the header the CDK's default applies: 1, 2, 4, 8, 16 s. Its own strategy for headers knows no dates.
    """

    def backoff_time(
        self,
        response_or_exception: requests.Response | requests.RequestException | None,
        attempt_count: int,  # noqa: ARG002  (the CDK's signature)
    ) -> float | None:
        if not isinstance(response_or_exception, requests.Response):
            return None
        return retry_after(response_or_exception)


def retry_after(response: requests.Response) -> float | None:
    """The seconds that `Retry-After` asks to wait; None without the header."""
    text = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    until = _http_date(text)
    if until is None:
        return None
    # Measured on the clock that set the date.
    now = server_date(response) or datetime.now(timezone.utc)
    return max(0.0, (until - now).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)


def server_date(response: requests.Response) -> datetime | None:
    """The server's clock when it answered, to the second below."""
    return _http_date(response.headers.get("Date", ""))


@dataclass
class PrefectErrorHandler(DefaultErrorHandler):
    """What each answer means, and what the user is told.

    Statuses could be declared, but a 200 whose body is no JSON list could not: it must be retried, for the CDK
    would take it for an empty last page and end the stream. Nor can the CDK's filters match a failed connection.

    - config error: 401, 403, 404, 405, redirects, a page of HTML, TLS failures, a host that cannot be reached
    - retried, then a transient error: 408, 425, 429, 5xx, time-outs, resets, a body cut short or without its list
    - handed to the retriever: 422, with which Prefect refuses a filter or a limit that it does not know
    """

    max_retries: int | str | None = 5
    envelope: str = ""
    _answered: bool = field(init=False, default=False)
    _unreached: int = field(init=False, default=0)

    def interpret_response(self, response_or_exception: requests.Response | Exception | None) -> ErrorResolution:
        if isinstance(response_or_exception, requests.Response):
            self._answered = True
            return _meaning(response_or_exception, self.envelope)
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
            return _config_error(f"{host} is no usable address: {reason}. {RIGHT_ADDRESS}")
        if _never_connected(error):
            # A server that restarts comes back; a wrong address does not, and nobody should wait long to hear it.
            if self._answered:
                return _retry(f"Could not connect to {host} any more: {reason}")
            self._unreached += 1
            action = ResponseAction.RETRY if self._unreached <= 3 else ResponseAction.FAIL
            hint = _CONTAINER_HINT if host.startswith(("localhost", "127.0.0.1", "[::1]")) else ""
            return ErrorResolution(
                action, FailureType.config_error, f"Could not connect to {host}: {reason}. {hint}{RIGHT_ADDRESS}"
            )
        return _retry(f"The connection to {host} failed: {reason}")


def _redirected(error: requests.TooManyRedirects) -> ErrorResolution:
    """Not followed: it would carry the credentials to wherever it points, as a GET that Prefect refuses."""
    source = urlsplit(error.request.url or "") if error.request is not None else urlsplit("")
    location = error.response.headers.get("Location", "") if error.response is not None else ""
    # What follows the path may be a secret of a login page.
    target = urlsplit(urljoin(source.geturl(), location))._replace(query="", fragment="").geturl()
    return _config_error(
        f"{source.netloc} redirects to {target}, which is not followed. Where that is the server's own address, put "
        "it into api_url; where it is a login page, the proxy in front of the server wants custom headers."
    )


def _meaning(response: requests.Response, envelope: str) -> ErrorResolution:
    status = response.status_code
    url = response.url
    if status == requests.codes.ok:
        try:
            read_rows(response, envelope)
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
            f"Prefect gave no access (403) to {url}. {_right_ids(url)}Check what the key may read; for a Prefect "
            "Server, whether a proxy in front of it wants custom headers."
        )
    if status in (requests.codes.not_found, requests.codes.method_not_allowed) or 300 <= status < 400:
        return _config_error(f"There is no Prefect API at {url} ({status}). {_right_ids(url) or RIGHT_ADDRESS}".strip())
    if status == requests.codes.unprocessable:
        return ErrorResolution(
            ResponseAction.IGNORE, None, f"Prefect refused a request to {url} (422): {response.text[:500]}"
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
    """Whether no connection came about at all: refused, unknown host, no route, time-out while connecting."""
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    text = repr(error)
    return isinstance(error, requests.ConnectionError) and (
        "NewConnectionError" in text or "NameResolutionError" in text
    )


def _innermost(error: BaseException) -> str:
    """The reason at the bottom of a chain of wrapped exceptions, which alone says what happened."""
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
