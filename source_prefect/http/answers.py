"""The content of one of Prefect's answers."""

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import requests

from source_prefect.paging import Page

_PAGE = "_source_prefect_page"
_LONGEST_QUOTE = 300

# orjson reads an integer over 64 bits as a float and loses digits. To find one, every digit is replaced by a zero, and
# a run of zeros is searched for: ten times as fast as a regular expression.
_LONG_NUMBER = b"0" * 19
_ZEROS_FOR_DIGITS = bytes.maketrans(b"123456789", b"000000000")
# A copy of a part takes less memory than one of the body.
_PART = 1 << 20


def read_page(response: requests.Response) -> Page:
    """The page of an answer, parsed once; it is `full` unless the answer says that no page follows.

    A list of events comes in an object, with the address of the next page, or null, as `next_page`. All other lists
    are bare. Raises ValueError for any other body.
    """
    page: Page | None = getattr(response, _PAGE, None)
    if page is None:
        body, full, next_page, total = parse(response.content), True, None, None
        if "/events/filter" in urlsplit(response.url).path:
            if not isinstance(body, dict) or not {"events", "next_page"} <= body.keys():
                raise ValueError("The body is JSON, but not an object with events and next_page.")
            body, next_page, total = body["events"], body["next_page"], body.get("total")
            full = next_page is not None
        if not isinstance(body, list) or not all(isinstance(row, dict) for row in body):
            raise ValueError("The body is JSON, but not a list of objects.")
        page = Page(body, full, next_page, total if isinstance(total, int) else None, server_date(response))
        setattr(response, _PAGE, page)
    return page


def parse(body: bytes) -> Any:
    """The JSON of a body. Raises ValueError for any other."""
    parts = (body[start : start + _PART + len(_LONG_NUMBER)] for start in range(0, len(body), _PART))
    if not any(_LONG_NUMBER in part.translate(_ZEROS_FOR_DIGITS) for part in parts):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass  # The standard library accepts more, such as a lone surrogate, and decides.
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("The body is JSON that is nested too deeply to read.") from None


def query_of(address: str) -> dict[str, str]:
    """The parameters of an address. Their values are base64: a plus sign is not a blank."""
    return dict(parse_qsl(urlsplit(address).query.replace("+", "%2B")))


def refusal(response: requests.Response) -> str:
    """Why Prefect refused a request: one sentence, or a list with the paths of the invalid keys."""
    try:
        body = parse(response.content)
        detail = body.get("detail") or body["exception_detail"]
    except (ValueError, AttributeError, KeyError):
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
    # Measured on the clock that set the date.
    now = server_date(response) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds()) if until else None


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
