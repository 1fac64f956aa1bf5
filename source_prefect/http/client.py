"""The pages of one workspace, for one stream."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import requests
from airbyte_cdk.sources.declarative.requesters.paginators import DefaultPaginator
from airbyte_cdk.sources.declarative.requesters.requester import Requester
from airbyte_cdk.sources.types import StreamSlice

from source_prefect.http.answers import is_maintenance, query_of, read_page, refusal, server_date
from source_prefect.http.errors import failure, problem_of
from source_prefect.http.session import Maintenance, Session
from source_prefect.paging import SMALLEST_PAGE, Page, RequestRefusedError
from source_prefect.progress.watermark import Watermark
from source_prefect.settings.values import Workspace

LOGGER = logging.getLogger("airbyte")

# In bytes: an answer and its rows take several times as much memory.
_LARGE_BODY = 16_000_000


@dataclass(eq=False)
class Client:
    """Asks a workspace for pages of a table, from any thread.

    `why_missing` explains a 404, or returns an empty text where it knows no more than the address.
    """

    stream: str
    table: str
    requester: Requester
    paginator: DefaultPaginator
    session: Session
    workspace: Workspace
    watermark: Watermark
    why_missing: Callable[[], str]

    def __post_init__(self) -> None:
        self.page_size = self.paginator.get_page_size() or 0
        self._maintenance = Maintenance(self.session, self.stream)

    def fetch(self, table: str = "", /, *, offset: int | None = None, limit: int | None = None, **body: Any) -> Page:
        """One page of the stream's table, or of another: of `page_size` rows, unless `limit` asks for fewer.

        Raises RequestRefusedError where Prefect refuses the request itself, AirbyteTracedException where it fails.
        """
        options: Any = self.paginator
        while True:
            size = min(self.page_size, limit or self.page_size)
            options.page_size_option.inject_into_request(body, size, self.session)
            if offset is not None:
                options.page_token_option.inject_into_request(body, offset, self.session)
            response = self._send(self.requester, table or self.table, request_body_json=body)
            if response.ok:
                return self._page(response, size)
            self.watermark.observe((), server_date(response))
            self._lower_page_size(response, size)

    def follow(self, requester: Requester, address: str, size: int) -> Page:
        """The page of `size` rows at a `next_page` address. Only its query is used: a proxy changes the host."""
        return self._page(self._send(requester, self.table, request_params=query_of(address)), size)

    def _send(self, requester: Requester, table: str, **request: Any) -> requests.Response:
        """The answer to a request that Prefect understood or refused."""
        target = StreamSlice(partition={"api_url": self.workspace.api_url, "table": table}, cursor_slice={})
        while True:
            self.watermark.begin()
            # The requester returns None for answers that its error handler ignores: none.
            response = cast(requests.Response, requester.send_request(stream_slice=target, **request))
            if not is_maintenance(response):
                break
            self._maintenance.wait(response)
        self._maintenance.is_over()
        if response.status_code != requests.codes.ok:
            self._raise_problem(response)
        return response

    def _raise_problem(self, response: requests.Response) -> None:
        """Raise an error, unless the request was refused."""
        if problem := problem_of(response, self.session.patience.longest_wait):
            if response.status_code == requests.codes.not_found and (sentence := self.why_missing()):
                raise failure(sentence)
            raise problem.failure()

    def _page(self, response: requests.Response, size: int) -> Page:
        try:
            page = read_page(response)
        except ValueError:
            self._raise_problem(response)
            raise
        # Prefect Cloud may name a next page after one that is not full, which is the last.
        page = page._replace(full=page.full and len(page.rows) >= size)
        self.watermark.observe(page.rows, page.date)
        if len(response.content) > _LARGE_BODY and self.page_size > SMALLEST_PAGE:
            self.page_size = max(SMALLEST_PAGE, len(page.rows) * _LARGE_BODY // len(response.content))
            LOGGER.info(f"{self.stream}: the rows are large; pages of {self.page_size} rows take less memory.")
        return page

    def _lower_page_size(self, response: requests.Response, size: int) -> None:
        reason = refusal(response)
        allowed = re.search(r"Invalid limit: must be less than or equal to (\d+)", reason)
        if not allowed or int(allowed[1]) >= size:
            raise RequestRefusedError(
                f"Prefect refused a request of the stream {self.stream} ({response.status_code}): {reason}"
            )
        if int(allowed[1]) < SMALLEST_PAGE:
            raise failure(
                f"The Prefect server allows {allowed[1]} row a page (PREFECT_SERVER_API_DEFAULT_LIMIT); at least "
                f"{SMALLEST_PAGE} are needed."
            )
        LOGGER.info(f"{self.stream}: the server takes at most {allowed[1]} rows a page; page_size is lowered to that.")
        self.page_size = int(allowed[1])
