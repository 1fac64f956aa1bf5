"""The pages of one stream's table."""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.requesters.requester import Requester
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.cdk import given_up
from source_prefect.http.responses import query_of, read_page, refusal
from source_prefect.pagination import SMALLEST_PAGE, Page, RequestRefusedError

LOGGER = logging.getLogger("airbyte")


class Client:
    """Asks for pages by POST. `before_request` and `after_answer` are called for each request, from any thread."""

    def __init__(
        self,
        stream: str,
        requester: Requester,
        page_size: int,
        envelope: str,
        before_request: Callable[[], None],
        after_answer: Callable[[requests.Response, Page], None],
    ) -> None:
        self.page_size = page_size
        self._stream = stream
        self._requester = requester
        self._envelope = envelope
        self._before_request = before_request
        self._after_answer = after_answer

    def fetch(self, path: str | None = None, /, **body: Any) -> Page:
        """One page, of `page_size` rows unless `limit` asks for fewer, from the stream's own path or another.

        Raises RequestRefusedError where Prefect refuses the request itself.
        """
        while True:
            limit = min(self.page_size, body.get("limit", self.page_size))
            response = self._send(self._requester, path=path, request_body_json={**body, "limit": limit})
            if response.ok:
                return self._page(response, limit)
            self._after_answer(response, Page([], full=False))
            self._shrink_pages(response, limit)

    def follow(self, requester: Requester, address: str, size: int) -> Page:
        """The page of `size` rows at a `next_page` address. Behind a proxy, only its parameters are right."""
        return self._page(self._send(requester, request_params=query_of(address)), size)

    def _send(self, requester: Requester, **request: Any) -> requests.Response:
        self._before_request()
        try:
            response = requester.send_request(**request)
        except AirbyteTracedException as error:
            raise given_up(self._stream, error) from None
        if response is None:
            raise RuntimeError(f"The stream {self._stream} got no answer.")
        return response

    def _page(self, response: requests.Response, limit: int) -> Page:
        page = read_page(response, self._envelope)
        # Prefect Cloud may name a next page after one that is not full, which is the last.
        page = page._replace(full=len(page.rows) >= limit and (page.full or not self._envelope))
        self._after_answer(response, page)
        return page

    def _shrink_pages(self, response: requests.Response, limit: int) -> None:
        reason = refusal(response)
        allowed = re.search(r"Invalid limit: must be less than or equal to (\d+)", reason)
        if not allowed or int(allowed[1]) >= limit:
            raise RequestRefusedError(
                f"Prefect refused a request of the stream {self._stream} ({response.status_code}): {reason}"
            )
        if int(allowed[1]) < SMALLEST_PAGE:
            raise AirbyteTracedException(
                message=f"The Prefect server allows {allowed[1]} row a page (PREFECT_SERVER_API_DEFAULT_LIMIT); "
                f"at least {SMALLEST_PAGE} are needed.",
                failure_type=FailureType.config_error,
            )
        LOGGER.info(f"{self._stream}: the server takes at most {allowed[1]} rows a page; page_size is lowered to that.")
        self.page_size = int(allowed[1])


def filtered(table: str, filters: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a body that filters a table; nothing where there is no filter."""
    return {table: dict(filters)} if filters else {}
