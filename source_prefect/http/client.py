"""The pages of one workspace, for one stream."""

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.requesters.paginators import DefaultPaginator
from airbyte_cdk.sources.declarative.requesters.requester import Requester
from airbyte_cdk.sources.types import StreamSlice

from source_prefect.http.answers import is_maintenance, query_of, read_page, refusal, retry_after
from source_prefect.http.errors import failure, problem_of
from source_prefect.http.session import Session
from source_prefect.paging import SMALLEST_PAGE, Page, RequestRefusedError
from source_prefect.settings.values import Workspace

LOGGER = logging.getLogger("airbyte")

# In seconds: how often to poll during a maintenance of Prefect Cloud.
_MAINTENANCE_POLL = 15.0


@dataclass(eq=False)
class Client:
    """Asks a workspace for pages of a table, from any thread.

    `before_request` and `after_answer` are called for each request. `why_missing` explains a 404, or returns an empty
    text where it knows no more than the address.
    """

    stream: str
    table: str
    requester: Requester
    paginator: DefaultPaginator
    session: Session
    workspace: Workspace
    before_request: Callable[[], None]
    after_answer: Callable[[requests.Response, Page], None]
    why_missing: Callable[[], str]

    def __post_init__(self) -> None:
        self.page_size = self.paginator.get_page_size() or 0
        # How long this stream waits for the end of the current maintenance.
        self._patient_until: float | None = None

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
            self.after_answer(response, Page([], full=False))
            self._shrink_pages(response, size)

    def follow(self, requester: Requester, address: str, size: int) -> Page:
        """The page of `size` rows at a `next_page` address. Only its query is used: a proxy changes the host."""
        return self._page(self._send(requester, self.table, request_params=query_of(address)), size)

    def _send(self, requester: Requester, table: str, **request: Any) -> requests.Response:
        """The answer to a request that Prefect understood or refused."""
        target = StreamSlice(partition={"api_url": self.workspace.api_url, "table": table}, cursor_slice={})
        while True:
            self.before_request()
            # The requester returns None for answers that its error handler ignores: none.
            response = cast(requests.Response, requester.send_request(stream_slice=target, **request))
            if not is_maintenance(response):
                break
            self._wait_for_maintenance(response)
        self._patient_until = None
        if problem := problem_of(response, self.session.patience.longest_wait):
            if response.status_code == requests.codes.not_found and (sentence := self.why_missing()):
                raise failure(sentence)
            raise problem.failure()
        return response

    def _wait_for_maintenance(self, response: requests.Response) -> None:
        patience = self.session.patience
        if self._patient_until is None:
            self._patient_until = time.monotonic() + patience.longest_maintenance
            if patience.longest_maintenance:
                LOGGER.info(
                    f"{self.stream}: Prefect Cloud is under maintenance. The stream waits for at most "
                    f"{patience.longest_maintenance / 60:.0f} minutes."
                )
        if time.monotonic() >= self._patient_until:
            sentence = "Prefect Cloud is under maintenance. The next sync continues from the last state."
            raise failure(sentence, FailureType.transient_error)
        self.session.transport.pause(min(retry_after(response) or _MAINTENANCE_POLL, patience.longest_wait))

    def _page(self, response: requests.Response, size: int) -> Page:
        page = read_page(response)
        # Prefect Cloud may name a next page after one that is not full, which is the last.
        page = page._replace(full=page.full and len(page.rows) >= size)
        self.after_answer(response, page)
        return page

    def _shrink_pages(self, response: requests.Response, size: int) -> None:
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
