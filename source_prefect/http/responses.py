"""What is in an answer of Prefect."""

import json
import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
import requests

from source_prefect.pagination import Page, Row

_PAGE = "_source_prefect_page"

# More digits than a 64-bit integer has: orjson reads such a number as a float and loses its end. To look for zeros in
# a body whose digits are all zeros takes a tenth of the time of a regular expression.
_LONG_NUMBER = b"0" * 19
_ZEROS_FOR_DIGITS = bytes.maketrans(b"123456789", b"000000000")


def read_page(response: requests.Response, envelope: str = "") -> Page:
    """The page that an answer holds; `full` where it names a next page.

    Most answers are a bare list. One with an `envelope` is an object that holds the list under that name, and the
    address of the next page, or null, as `next_page`. A body is parsed once, though the error handler asks first.

    Raises ValueError where the body is not that.
    """
    page: Page | None = getattr(response, _PAGE, None)
    if page is None:
        body = _parse(response.content)
        next_page: str | None = None
        total: Any = 0
        if envelope:
            if not isinstance(body, dict) or envelope not in body or "next_page" not in body:
                raise ValueError(f"The body is JSON, but not an object with {envelope} and next_page.")
            total = body.get("total")
            body, next_page = body[envelope], body["next_page"]
        page = Page(_rows(body), next_page is not None, next_page, total if isinstance(total, int) else 0)
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
            # A lone surrogate, say, is JSON to the standard library, which then has the last word.
            pass
    return json.loads(body)


def query_of(address: str) -> dict[str, str]:
    """The parameters of an address, whose values are base64: a plus sign stays one."""
    pairs = (pair.partition("=") for pair in urlsplit(address).query.split("&"))
    return {unquote(name): unquote(value) for name, _, value in pairs}


def refusal(response: requests.Response) -> str:
    """What Prefect says is wrong with a refused request: one sentence, or a list that names the paths of the keys."""
    try:
        body = response.json()
        detail = body.get("detail") or body["exception_detail"]
    except (ValueError, AttributeError, KeyError):
        detail = response.text
    return detail if isinstance(detail, str) else json.dumps(detail)


def retry_after(response: requests.Response) -> float | None:
    """The seconds that `Retry-After` asks to wait, from a number or a date; None without the header."""
    text = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    until = _http_date(text)
    if until is None:
        return None
    # Measured on the clock that set the date.
    now = server_date(response) or datetime.now(timezone.utc)
    return max(0.0, (until - now).total_seconds())


def is_maintenance(response: requests.Response) -> bool:
    """Whether Prefect Cloud says that it will be back."""
    return response.status_code == requests.codes.unavailable and "Prefect-Maintenance" in response.headers


def server_date(response: requests.Response) -> datetime | None:
    """The server's clock when it answered, to the second below."""
    return _http_date(response.headers.get("Date", ""))


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)
