"""How answers are read. integration_tests/test_errors.py tests bad ones against a server."""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from airbyte_cdk.models import FailureType
from hypothesis import given
from hypothesis import strategies as st

from source_prefect.http.answers import leave_out, query_of, quoted, read_page, refusal, retry_after, server_date
from source_prefect.http.errors import problem_of
from source_prefect.paging import Page

FLOWS = "http://localhost:4200/api/flows/filter"
EVENTS = "http://localhost:4200/api/events/filter"
NEXT = "http://10.0.0.7:4200/api/events/filter/next?page-token=ab%2Bc+d/e=="


def _answer(
    body: bytes = b"[]", headers: Mapping[str, str] | None = None, *, url: str = FLOWS, status: int = 200
) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.url = url
    response._content = body
    response.headers.update(headers or {})
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


def test_the_body_of_an_answer_is_parsed_once() -> None:
    answer = _answer(b'[{"id":"a"}]')
    assert read_page(answer) is read_page(answer)


# Events: the rows come in an object.


def _events(body: Any, url: str = EVENTS) -> requests.Response:
    return _answer(json.dumps(body).encode(), url=url)


@pytest.mark.parametrize("url", [EVENTS, NEXT])
def test_the_rows_and_the_next_page_are_taken_out(url: str) -> None:
    answer = _events({"events": [{"id": "1"}], "total": 51, "next_page": NEXT}, url)
    assert read_page(answer) == Page([{"id": "1"}], full=True, next_page=NEXT, total=51)


def test_the_last_page_names_no_other() -> None:
    assert read_page(_events({"events": [], "total": 0, "next_page": None})) == Page([], full=False, total=0)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"events": []},
        {"events": None, "next_page": None},
        {"events": [1], "next_page": None},
        {"detail": "busy"},
    ],
)
def test_any_other_200_is_requested_again_and_no_empty_page(body: Any) -> None:
    problem = problem_of(_events(body), longest_wait=600)
    assert problem is not None
    assert (problem.is_temporary, problem.failure_type) == (True, FailureType.transient_error)
    with pytest.raises(ValueError, match="The body is JSON, but not"):
        read_page(_events(body))


def test_a_token_is_taken_from_an_address_as_it_is() -> None:
    assert query_of(NEXT) == {"page-token": "ab+c+d/e=="}


# What goes with an answer


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 0.5 "}, 0.5),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": ""}, None),
        # A date is measured on the clock that set it, wherever that stands.
        ({"Retry-After": "Sun, 04 May 2031 03:02:31 GMT", "Date": "Sun, 04 May 2031 03:02:01 GMT"}, 30.0),
        ({"Retry-After": "Sun, 04 May 2031 03:02:01 GMT", "Date": "Sun, 04 May 2031 03:02:31 GMT"}, 0.0),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(_answer(b"", headers)) == seconds


def test_the_servers_clock_is_in_the_header_date() -> None:
    date = server_date(_answer(headers={"Date": "Fri, 20 Nov 2026 12:00:00 GMT"}))
    assert date == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert server_date(_answer()) is None
    assert server_date(_answer(headers={"Date": "today"})) is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"detail": "Invalid limit"}', "Invalid limit"),
        (b'{"exception_detail": [{"loc": ["body", "x"]}]}', '[{"loc": ["body", "x"]}]'),
        (b"[1]", "[1]"),
        (b"{}", "{}"),
        (b"no JSON", "no JSON"),
        (b"[" * 100_000, f"{'[' * 300}…"),
    ],
)
def test_the_reason_of_a_refusal_is_the_one_that_prefect_gives_or_else_the_body(body: bytes, reason: str) -> None:
    assert refusal(_answer(body, status=422)) == reason


def test_a_text_from_a_server_is_quoted_up_to_300_letters() -> None:
    assert quoted("x" * 300) == "x" * 300
    assert quoted("x" * 301) == "x" * 300 + "…"


KEYS = ("parameters", "value", "message", "name")
NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(KEYS), children, max_size=4),
    max_leaves=20,
)


def without(value: Any, keys: Collection[str]) -> Any:
    """What `leave_out` has to make of a value, said once more."""
    if isinstance(value, dict):
        return {key: None if key in keys else without(each, keys) for key, each in value.items()}
    return [without(each, keys) for each in value] if isinstance(value, list) else value


@given(NESTED, st.sets(st.sampled_from(KEYS)))
def test_what_is_left_out_is_null_at_any_depth_and_nothing_else_changes(value: Any, keys: set[str]) -> None:
    expected = without(value, keys)
    leave_out(value, keys)
    assert value == expected


def test_what_users_nest_deeply_is_no_failure() -> None:
    deep: dict[str, Any] = {"value": "secret"}
    for _ in range(10_000):
        deep = {"x": deep}
    leave_out(deep, {"value"})
    while "x" in deep:
        deep = deep["x"]
    assert deep == {"value": None}
