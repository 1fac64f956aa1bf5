"""The pages of one workspace, for one stream."""

import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.requesters.paginators import DefaultPaginator
from airbyte_cdk.sources.declarative.requesters.requester import Requester
from airbyte_cdk.sources.types import StreamSlice
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.http.answers import (
    NUL,
    STAND_IN,
    EventToken,
    leave_out,
    query_of,
    read_object,
    read_page,
    refusal,
    server_date,
)
from source_prefect.http.errors import failure, problem_of
from source_prefect.http.session import Maintenance, Session
from source_prefect.paging import SMALLEST_PAGE, Page, PaginationError, RequestRefusedError, Row, Rows, read_in_parts
from source_prefect.progress.watermark import Watermark
from source_prefect.settings.values import Workspace

LOGGER = logging.getLogger("airbyte")

# How often a page is read in parts, where rows move meanwhile or too few can be read.
_MOST_DIVISIONS = 20

# An offset that no table reaches.
_BEHIND_THE_END = 1_000_000_000

# In bytes: an answer and its rows take several times as much memory.
_LARGE_BODY = 16_000_000


class _Parts(NamedTuple):
    """What was read of a page. `lost`: the rows that no request brings, by place: their names."""

    rows: Rows
    lost: dict[int, str]
    full: bool


@dataclass(eq=False)
class Client:
    """Asks a workspace for pages of a table, from any thread.

    `why_missing` explains a 404, or returns an empty text where it knows no more than the address.
    What stands under the keys `left_out` is removed from each row before anything else sees it.
    """

    stream: str
    table: str
    requester: Requester
    paginator: DefaultPaginator
    session: Session
    workspace: Workspace
    watermark: Watermark
    why_missing: Callable[[], str]
    left_out: Collection[str] = ()

    def __post_init__(self) -> None:
        self.page_size = self.paginator.get_page_size() or 0
        # The rows that no request brings, each as a person finds it.
        self.unreadable: set[str] = set()
        # Those that held U+0000.
        self.mended: set[Any] = set()
        self._has_broken = False
        self._maintenance = Maintenance(self.session, self.stream)

    def fetch(self, table: str = "", /, *, offset: int | None = None, limit: int | None = None, **body: Any) -> Page:
        """One page of the stream's table, or of another. `limit` asks for fewer than `page_size`.

        Raises RequestRefusedError where Prefect refuses the request itself, AirbyteTracedException
        where it fails.
        """
        while True:
            size = min(self.page_size, limit or self.page_size)
            response = self._answer(
                partial(self._request, table or self.table, body, offset, size),
                partial(self._divided, table or self.table, body, offset or 0, size),
            )
            if isinstance(response, Page):
                return response
            if response.ok:
                return self._page(response, size)
            self.watermark.observe((), server_date(response))
            self._raise_problem(response)
            self._lower_page_size(response, size)

    def follow(self, requester: Requester, address: str, size: int) -> Page:
        """The page of `size` rows at a `next_page` address.

        Only its query is used, because a proxy changes the host.
        """

        def divided(failed: requests.Response) -> Page | None:
            if token := EventToken.of(address):
                return self._divided(self.table, {"filter": token.filter}, token.offset, size, failed)
            return None

        response = self._answer(partial(self._send, requester, self.table, request_params=query_of(address)), divided)
        if isinstance(response, Page):
            return response
        self._raise_problem(response)
        return self._page(response, size)

    def get(self, path: str) -> Row:
        """The object at a path of the workspace. Raises AirbyteTracedException."""
        response = self._ask(path)
        self._raise_problem(response)
        if not response.ok:
            raise failure(f"{response.url} answered {response.status_code}.", FailureType.system_error)
        return read_object(response)

    def _request(self, table: str, body: Mapping[str, Any], offset: int | None, limit: int) -> requests.Response:
        options: Any = self.paginator
        if offset is not None and not options.page_token_option:
            return self._ask(EventToken(body["filter"], limit, offset).address)
        whole = dict(body)
        options.page_size_option.inject_into_request(whole, limit, self.session)
        if offset is not None:
            options.page_token_option.inject_into_request(whole, offset, self.session)
        return self._send(self.requester, table, request_body_json=whole)

    def _send(self, requester: Requester, table: str, **request: Any) -> requests.Response:
        target = StreamSlice(partition={"api_url": self.workspace.api_url, "table": table}, cursor_slice={})
        self.watermark.begin()
        # The requester returns None for answers that its error handler ignores: none.
        return self._maintenance.outlast(
            lambda: cast(requests.Response, requester.send_request(stream_slice=target, **request))
        )

    def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> requests.Response:
        """The answer to a GET, or to a POST of a body, at a path of the workspace."""
        root = self.workspace.api_url.removeprefix(self.session.settings.connection.api_url)
        return self.session.ask(f"{root}/{path}".lstrip("/"), body)

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
        self._take(page.rows, response)
        if len(response.content) > _LARGE_BODY and self.page_size > SMALLEST_PAGE:
            self.page_size = max(SMALLEST_PAGE, len(page.rows) * _LARGE_BODY // len(response.content))
            LOGGER.info(f"{self.stream}: the rows are large; pages of {self.page_size} rows take less memory.")
        return page

    def _take(self, rows: Rows, response: requests.Response) -> None:
        """Learn from the rows of an answer, and leave out what is not to go further."""
        leave_out(rows, self.left_out)
        if NUL in response.content:
            self.mended |= {row.get("id") for row in rows if STAND_IN in str(row)}
        self.watermark.observe(rows, server_date(response))

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

    # A page that breaks

    def _answer(
        self, send: Callable[[], requests.Response], divided: Callable[[requests.Response], Page | None]
    ) -> requests.Response | Page:
        """The answer to the request of a page, or the page in parts, if only those are answered.

        Where a page broke before, the next one is likely to: it is divided at its first failure.
        Only a server that is down is then asked with patience.
        """
        while True:
            is_hasty = self._has_broken
            with self.session.transport.without_patience() if is_hasty else nullcontext():
                response = send()
            if not self._may_be_divided(response):
                return response
            page = divided(response)
            self._has_broken = page is not None
            if page or not is_hasty:
                return page or response

    def _may_be_divided(self, response: requests.Response) -> bool:
        """Whether a row may have broken the page, or the answer be too large for a gateway."""
        is_broken = response.status_code == requests.codes.request_entity_too_large or response.status_code >= 500
        # Prefect Cloud has no offset for events.
        return is_broken and bool(cast(Any, self.paginator).page_token_option or not self.workspace.workspace_id)

    def _divided(
        self, table: str, body: Mapping[str, Any], offset: int, size: int, failed: requests.Response
    ) -> Page | None:
        """The rows of a page that fails as a whole; None where no part of it is answered.

        Raises AirbyteTracedException where the server fails meanwhile, and PaginationError where
        rows move each time.
        """
        with self.session.transport.without_patience():
            # A server that is down answers neither for a row nor behind the end of the table.
            if not any(self._part(table, body, place, 1) for place in (offset, _BEHIND_THE_END)):
                return None
        for _ in range(_MOST_DIVISIONS):
            with suppress(PaginationError):
                found = self._runs_by_id(body, offset, size) if table == "flow_runs" else None
                found = found or self._by_offset(table, body, offset, size)
                # Without two rows, no next page could be found.
                if len(found.rows) >= min(SMALLEST_PAGE, size) or not found.full:
                    break
                size *= 2
            self._wait_for_server(table, body, offset)
        else:
            raise PaginationError(f"Rows moved each of {_MOST_DIVISIONS} times that a page was read in parts.")
        self.unreadable |= set(found.lost.values())
        if failed.status_code in (requests.codes.request_entity_too_large, requests.codes.bad_gateway):
            self.page_size = max(SMALLEST_PAGE, size // 2)
        LOGGER.info(
            f"{self.stream}: Prefect answered {failed.status_code} for a page of {size} rows, which was read in parts."
        )
        next_page = EventToken(body["filter"], size, offset + size).address if "filter" in body else None
        return Page(found.rows, found.full, next_page, unreadable=found.lost.keys())

    def _by_offset(self, table: str, body: Mapping[str, Any], offset: int, size: int) -> "_Parts":
        """Raises PaginationError where rows have moved."""
        part = partial(self._part, table, body)
        with self.session.transport.without_patience():
            rows, failed = read_in_parts(part, offset, size)
        if failed:
            # The server may have failed at all requests.
            self._wait_for_server(table, body, offset)
            with self.session.transport.without_patience():
                if any(part(place, 1) for place in failed):
                    raise PaginationError("A row can be read after all.")
        lost = {}
        for place in failed:
            before = rows.get(place - 1)
            name = f"the row after {before.get('id')}" if before else f"the row {place + 1} of a page"
            lost[place - offset] = name
        return _Parts([rows[place] for place in sorted(rows)], lost, len(rows) + len(lost) >= size)

    def _runs_by_id(self, body: Mapping[str, Any], offset: int, size: int) -> "_Parts | None":
        """The flow runs of a page by their ids, from a list without parameters, at which the other
        one fails. None where there is no such list.

        Only a Prefect Server has it. Prefect 3.8.8 and 3.9.0 fail at an integer over 64 bits, and
        up to 3.9.1, on SQLite, at a lone surrogate, also by the id.
        """
        try:
            answer = self._alone("ui/flow_runs/history", {**body, "offset": offset, "limit": size})
        except AirbyteTracedException:
            return None  # A proxy may not let it pass.
        if not answer.ok:
            return None
        ids: list[Any] = [run.get("id") for run in read_page(answer).rows]
        if None in ids:
            raise PaginationError("A run has no id.")
        rows: dict[Any, Row] = {}

        def read(part: Sequence[Any]) -> set[Any]:
            """Returns the ids of those that cannot be read."""
            with self.session.transport.without_patience():
                page = self._part("flow_runs", {"flow_runs": {"id": {"any_": list(part)}}}, 0, len(part))
            if page:
                rows.update({row.get("id"): row for row in page.rows})
                return set()
            if len(part) > 1:
                return read(part[: len(part) // 2]) | read(part[len(part) // 2 :])
            answer = self._alone(f"flow_runs/{part[0]}")
            if not answer.ok:
                return {part[0]}
            row = read_object(answer)
            self._take([row], answer)
            if row.get("id") != part[0]:
                raise PaginationError(f"Asked for the run {part[0]}, Prefect sent another one.")
            rows[part[0]] = row
            return set()

        unread = read(ids) if ids else set()
        if unread:
            # The server may have failed at all requests, or the run have been deleted.
            self._wait_for_server("flow_runs", body, offset)
            unread = {run for run in unread if read([run])}
        # Without those that were deleted meanwhile.
        there = [run for run in ids if run in rows or run in unread]
        lost = {place: run for place, run in enumerate(there) if run in unread}
        return _Parts([rows[run] for run in there if run in rows], lost, len(ids) >= size)

    def _alone(self, path: str, body: Mapping[str, Any] | None = None) -> requests.Response:
        """The answer to a GET, or to a POST of a body. If it is a failure, Prefect fails at what
        is asked for (500), or there is no such thing.

        Raises AirbyteTracedException for other failures.
        """
        with self.session.transport.without_patience():
            answer = self._ask(path, body)
        if not answer.ok and answer.status_code != requests.codes.internal_server_error:
            answer = self._ask(path, body)
        if answer.status_code not in (
            requests.codes.internal_server_error,
            requests.codes.not_found,
            requests.codes.method_not_allowed,
        ):
            self._raise_problem(answer)
        return answer

    def _part(self, table: str, body: Mapping[str, Any], offset: int, limit: int) -> Page | None:
        """A part of a page; None where Prefect fails at it."""
        response = self._request(table, body, offset, limit)
        if response.ok:
            return self._page(response, limit)
        if not self._may_be_divided(response):
            self._raise_problem(response)
        return None

    def _wait_for_server(self, table: str, body: Mapping[str, Any], offset: int) -> None:
        """Return when the server answers. Raises AirbyteTracedException where it does not."""
        with self.session.transport.without_patience():
            is_up = self._part(table, body, offset, 1) is not None
        if not is_up:
            self._raise_problem(self._request(table, body, _BEHIND_THE_END, 1))
