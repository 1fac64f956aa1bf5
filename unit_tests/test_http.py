"""How answers are read. What becomes of bad ones is tested against a server: integration_tests/test_errors.py."""

from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from source_prefect.http.errors import RetryAfterBackoffStrategy
from source_prefect.http.responses import read_page, server_date


def _answer(body: bytes = b"[]", /, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = 200
    response._content = body
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b"[]", []),
        (b'[{"id":"a","n":1.5}]', [{"id": "a", "n": 1.5}]),
        ('[{"größe":"ü🚀"}]'.encode(), [{"größe": "ü🚀"}]),
        # Beyond 64 bits, and beyond UTF-8: kept as they are.
        (b'[{"n":123456789012345678901234567890}]', [{"n": 123456789012345678901234567890}]),
        (b'[{"text":"\\ud800"}]', [{"text": "\ud800"}]),
    ],
)
def test_rows_are_read_as_they_are(body: bytes, rows: list[dict[str, Any]]) -> None:
    assert read_page(_answer(body)).rows == rows


@pytest.mark.parametrize(
    "body", [b"", b"null", b"{}", b'"x"', b"1", b"[1]", b"[[]]", b"[null]", b'[{"id":"a"}', b"<html>", b"\xff"]
)
def test_anything_but_a_list_of_objects_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_page(_answer(body))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry_After": "7"}, 7.0),
        ({"Retry_After": " 0.5 "}, 0.5),
        ({"Retry_After": "soon"}, None),
        ({"Retry_After": "-3"}, None),
        # A date is measured on the clock that set it, wherever that stands.
        ({"Retry_After": "Sun, 04 May 2031 03:02:31 GMT", "Date": "Sun, 04 May 2031 03:02:01 GMT"}, 30.0),
        ({"Retry_After": "Sun, 04 May 2031 03:02:01 GMT", "Date": "Sun, 04 May 2031 03:02:31 GMT"}, 0.0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert RetryAfterBackoffStrategy().backoff_time(_answer(b"", **headers), attempt_count=1) == seconds


def test_the_servers_clock_is_in_the_header_date() -> None:
    date = server_date(_answer(Date="Fri, 20 Nov 2026 12:00:00 GMT"))
    assert date == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert server_date(_answer()) is None
    assert server_date(_answer(Date="today")) is None
