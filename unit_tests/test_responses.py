"""Answers that hold their rows in an object, as those of events do."""

import json
from typing import Any

import pytest
import requests
from airbyte_cdk.sources.streams.http.error_handlers.response_models import ResponseAction

from source_prefect.http.errors import PrefectErrorHandler
from source_prefect.http.responses import query_of, read_page
from source_prefect.pagination import Page

NEXT = "http://10.0.0.7:4200/api/events/filter/next?page-token=ab%2Bc+d/e=="


def answer(body: Any) -> requests.Response:
    response = requests.Response()
    response.status_code = 200
    response.url = "http://localhost:4200/api/events/filter"
    response._content = json.dumps(body).encode()
    return response


def test_the_rows_and_the_next_page_are_taken_out() -> None:
    response = answer({"events": [{"id": "1"}], "total": 51, "next_page": NEXT})
    assert read_page(response, "events") == Page([{"id": "1"}], full=True, next_page=NEXT, total=51)


def test_the_last_page_names_no_other() -> None:
    response = answer({"events": [], "total": 0, "next_page": None})
    assert read_page(response, "events") == Page([], full=False)


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
def test_any_other_200_is_retried_and_no_empty_page(body: Any) -> None:
    handler = PrefectErrorHandler(config={}, parameters={}, envelope="events")
    assert handler.interpret_response(answer(body)).response_action == ResponseAction.RETRY
    with pytest.raises(ValueError, match="The body is JSON, but not"):
        read_page(answer(body), "events")


def test_a_token_is_taken_from_an_address_as_it_is() -> None:
    assert query_of(NEXT) == {"page-token": "ab+c+d/e=="}
