"""Answers that hold their rows in an object, as those of events do."""

import json
from typing import Any

import pytest
import requests
from airbyte_cdk.sources.streams.http.error_handlers.response_models import ResponseAction

from source_prefect.components.http import PrefectErrorHandler, next_page, query_of, read_rows

NEXT = "http://10.0.0.7:4200/api/events/filter/next?page-token=ab%2Bc+d/e=="


def answer(body: Any) -> requests.Response:
    response = requests.Response()
    response.status_code = 200
    response.url = "http://localhost:4200/api/events/filter"
    response._content = json.dumps(body).encode()
    return response


def test_the_rows_and_the_next_page_are_taken_out() -> None:
    response = answer({"events": [{"id": "1"}], "total": 51, "next_page": NEXT})
    assert read_rows(response, "events") == [{"id": "1"}]
    assert next_page(response) == NEXT


def test_the_last_page_names_no_other() -> None:
    response = answer({"events": [], "total": 0, "next_page": None})
    assert read_rows(response, "events") == []
    assert next_page(response) is None


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
        read_rows(answer(body), "events")


def test_a_token_is_taken_from_an_address_as_it_is() -> None:
    assert query_of(NEXT) == {"page-token": "ab+c+d/e=="}
