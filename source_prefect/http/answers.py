"""The content of one of Prefect's answers."""

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
import requests

from source_prefect.paging import Page, Row

_PAGE = "_source_prefect_page"

_LONGEST_QUOTE = 300

# orjson reads an integer over 64 bits as a float and loses digits. To find one, every digit is replaced by a zero, and
# a run of zeros is searched for: a tenth of the time of a regular expression.
_LONG_NUMBER = b"0" * 19
_ZEROS_FOR_DIGITS = bytes.maketrans(b"123456789", b"000000000")


def read_page(response: requests.Response) -> Page:
    """The page that an answer holds; not `full` where it says that none follows.

    A list of events comes in an object, with the address of the next page, or null, as `next_page`. All other lists
    are bare. A body is parsed once.

    Raises ValueError for any other body.
    """
    page: Page | None = getattr(response, _PAGE, None)
    if page is None:
        body = _parse(response.content)
        next_page, total, is_last = None, None, False
        if "/events/filter" in urlsplit(response.url).path:
            if not isinstance(body, dict) or "events" not in body or "next_page" not in body:
                raise ValueError("The body is JSON, but not an object with events and next_page.")
            body, next_page, total = body["events"], body["next_page"], body.get("total")
            is_last = next_page is None
        page = Page(_rows(body), not is_last, next_page, total if isinstance(total, int) else None)
        setattr(response, _PAGE, page)
    return page


def _rows(body: Any) -> list[Row]:
    if not isinstance(body, list) or not all(isinstance(row, dict) for row in body):
        raise ValueError("The body is JSON, but not a list of objects.")
    return body


def _parse(body: bytes) -> Any:
    if _LONG_NUMBER not in body.translate(_ZEROS_FOR_DIGITS):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            # The standard library accepts more, such as a lone surrogate, and decides.
            pass
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("The body is JSON that is nested too deeply to read.") from None


def query_of(address: str) -> dict[str, str]:
    """The parameters of an address. Their values are base64: a plus sign is not a blank."""
    pairs = (pair.partition("=") for pair in urlsplit(address).query.split("&"))
    return {unquote(name): unquote(value) for name, _, value in pairs}


def refusal(response: requests.Response) -> str:
    """Why Prefect refused a request: one sentence, or a list with the paths of the invalid keys."""
    try:
        body = response.json()
        detail = body.get("detail") or body["exception_detail"]
    except (ValueError, AttributeError, KeyError, RecursionError):
        detail = response.text
    return quoted(detail if isinstance(detail, str) else json.dumps(detail))


def quoted(text: str) -> str:
    """The start of a text from a server, for a message."""
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


def retry_after(response: requests.Response) -> float | None:
    """The seconds that `Retry-After` asks to wait, from a number or a date; None without the header."""
    text = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    until = _http_date(text)
    if until is None:
        return None
    # Measured on the clock that set the date.
    now = server_date(response) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def is_maintenance(response: requests.Response) -> bool:
    """Whether Prefect Cloud reports a maintenance."""
    return response.status_code == requests.codes.unavailable and "Prefect-Maintenance" in response.headers


def server_date(response: requests.Response) -> datetime | None:
    """The server's clock when it answered, rounded down to the second."""
    return _http_date(response.headers.get("Date", ""))


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
