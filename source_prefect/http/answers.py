"""The content of one of Prefect's answers."""

import base64
import html
import json
import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson
import requests
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets

from source_prefect.paging import Page, Row

_PAGE = "_source_prefect_page"
_LONGEST_QUOTE = 300
_LONGEST_DECODED = 30_000
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")

# orjson reads an integer over 64 bits as a float and loses digits. To find one, every digit is
# replaced by a zero, and a run of zeros is searched for: ten times as fast as a regular
# expression.
_LONG_NUMBER = b"0" * 19
_ZEROS_FOR_DIGITS = bytes.maketrans(b"123456789", b"000000000")
# A copy of a part takes less memory than one of the body.
_PART = 1 << 20

# The escape of U+0000, which is no part of an escaped backslash and what follows it.
NUL = b"\\u0000"
_ESCAPED_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
STAND_IN = "\ufffd"


def read_page(response: requests.Response) -> Page:
    """The page of an answer, parsed once; it is `full` unless the answer says that no page
    follows.

    A list of events comes in an object, with the address of the next page, or null, as
    `next_page`. All other lists are bare. Raises ValueError for any other body, and for one from a
    cache.
    """
    page: Page | None = getattr(response, _PAGE, None)
    if page is None:
        body, full, next_page, total = _fresh(response), True, None, None
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


def read_object(response: requests.Response) -> Row:
    """The object of an answer. Raises ValueError for any other body, and for one from a cache."""
    body = _fresh(response)
    if not isinstance(body, dict) or not body:
        raise ValueError("The body is JSON, but not an object.")
    return body


def _fresh(response: requests.Response) -> Any:
    """The JSON of an answer that is from no cache."""
    if is_cached(response):
        raise ValueError("The answer is from a cache.")
    return parse(response.content)


def is_cached(response: requests.Response) -> bool:
    """Whether a cache on the way has kept the answer for a while, as it must say."""
    return bool(response.headers.get("Age", "0").strip("0 "))


def parse(body: bytes) -> Any:
    """The JSON of a body, with STAND_IN for U+0000, which many destinations refuse.

    Raises ValueError for any other body.
    """
    if NUL in body:
        body = _ESCAPED_NUL.sub(rb"\1\\ufffd", body)
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


def leave_out(value: Any, keys: Collection[str]) -> None:
    """Make null, in place and at any depth, what stands under these keys."""
    if keys:
        values = [value]
        while values:  # Not recursive: users nest as deep as they like.
            one = values.pop()
            if isinstance(one, dict):
                one |= dict.fromkeys(one.keys() & keys)
                values += one.values()
            elif isinstance(one, list):
                values += one


def query_of(address: str) -> dict[str, str]:
    """The parameters of an address. Their values are base64: a plus sign is not a blank."""
    return dict(parse_qsl(urlsplit(address).query.replace("+", "%2B")))


@dataclass
class EventToken:
    """What a Prefect Server's `next_page` of a list of events holds. Prefect Cloud's is sealed."""

    filter: Any
    page_size: int
    offset: int
    # Of all events. The server asks for it, and ends a list there.
    count: int = 1 << 62

    @classmethod
    def of(cls, address: str) -> "EventToken | None":
        with suppress(ValueError, TypeError):
            return cls(**json.loads(base64.b64decode(base64.b64decode(query_of(address)["page-token"]))))
        return None

    @property
    def address(self) -> str:
        sealed = base64.b64encode(base64.b64encode(json.dumps(vars(self)).encode())).decode()
        return f"events/filter/next?page-token={sealed}"


def refusal(response: requests.Response) -> str:
    """Why Prefect refused a request: a sentence, or a list with the paths of invalid keys."""
    try:
        body = parse(response.content)
        detail = body.get("detail") or body["exception_detail"]
    except (ValueError, AttributeError, KeyError):
        detail = response.text
    return quoted(detail if isinstance(detail, str) else json.dumps(detail))


def quoted(text: str) -> str:
    """The start of a server's text for a message, decoded, so that every secret is masked."""
    plain = ""
    text = text[:_LONGEST_DECODED]
    while plain != text:
        plain, text = text, _ESCAPE.sub(lambda code: chr(int(code[1], 16)), html.unescape(unquote(text)))
    plain = filter_secrets(plain)
    return plain if len(plain) <= _LONGEST_QUOTE else f"{plain[:_LONGEST_QUOTE]}…"


def retry_after(response: requests.Response) -> float | None:
    """The seconds in `Retry-After`, from a number or a date; None without the header."""
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
