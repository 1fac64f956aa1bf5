import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import InitVar, dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.extractors.record_selector import RecordSelector
from airbyte_cdk.sources.declarative.interpolation import InterpolatedString
from airbyte_cdk.sources.declarative.requesters.requester import Requester
from airbyte_cdk.sources.declarative.retrievers import Retriever
from airbyte_cdk.sources.streams.concurrent.cursor import ConcurrentCursor, Cursor
from airbyte_cdk.sources.streams.core import StreamData
from airbyte_cdk.sources.streams.http.exceptions import BaseBackoffException
from airbyte_cdk.sources.types import Config, Record, StreamSlice
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.components.http import read_rows, server_date
from source_prefect.flatten import objects_in
from source_prefect.paging import Page, Row, offset_walk, time_key
from source_prefect.progress import Progress
from source_prefect.times import format_time, latest, parse_time
from source_prefect.watermark import Watermark

LOGGER = logging.getLogger("airbyte")

# A transaction that was under way when a scan passed commits with an `updated` from before: how long one may last.
IN_FLIGHT = timedelta(minutes=5)

DEFAULT_PAGE_SIZE = 200


class RequestRefusedError(AirbyteTracedException):
    """Prefect answered 422: it does not know a filter of the request."""


@dataclass
class PrefectRetriever(Retriever):
    """What all streams share: pages by POST, records by the manifest's selector, the cursor by the watermark.

    Stands in for `SimpleRetriever`, whose loop knows one order, one page after the other, and a cursor that is
    the largest value seen - which can lie past rows that changed, unseen, while the scan ran.
    """

    name: str
    config: Config
    requester: Requester
    record_selector: RecordSelector
    parameters: InitVar[Mapping[str, Any]]
    # A ConcurrentCursor, except where the stream is always read whole.
    cursor: Cursor | None = None
    envelope: str = ""
    start_datetime: str = ""
    _known: frozenset[str] = field(init=False, default=frozenset())
    # Why the stream cannot be read, once a request has failed for good.
    _given_up: AirbyteTracedException | None = field(init=False, default=None)

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        self._limit = int(self.config.get("page_size") or DEFAULT_PAGE_SIZE)
        self._watermark = Watermark()
        self._progress = Progress(self.name)
        self._unknown: set[str] = set()
        start = InterpolatedString.create(self.start_datetime, parameters=parameters).eval(self.config)
        self._start = parse_time(start)

    @cached_property
    def since(self) -> datetime | None:
        """The cursor of the last sync; None in a first one."""
        since = self.cursor.start if isinstance(self.cursor, ConcurrentCursor) else None
        return since if isinstance(since, datetime) and self._start and since > self._start else None

    def fetch(self, path: str | None = None, /, **body: Any) -> Page:
        """One page, of `page_size` rows unless `limit` asks for fewer, from the stream's own path or another.

        Raises RequestRefusedError where Prefect refuses the request itself.
        """
        while True:
            limit = min(self._limit, body.get("limit", self._limit))
            response = self._send(path, {**body, "limit": limit})
            if response.status_code != requests.codes.unprocessable:
                break
            self._shrink_pages(response, limit)
        return self.page_of(response, limit)

    def page_of(self, response: requests.Response, limit: int) -> Page:
        """What an answer holds."""
        rows = read_rows(response, self.envelope)
        if date := server_date(response):
            self._watermark.limit(date)
        self._watermark.see(rows)
        return Page(rows, full=len(rows) >= limit)

    def emit(self, rows: Iterable[Row]) -> Iterator[Record]:
        """The rows as records. None of them moves the cursor by itself: `advance` does, when all are out."""
        for record in self.record_selector.filter_and_transform(
            rows, stream_state={}, records_schema={}, stream_slice=None
        ):
            if not record.data.keys() <= self._known:
                self._tell_of_unknown(record.data.keys() - self._known)
            yield record

    def _tell_of_unknown(self, columns: set[str]) -> None:
        if unknown := columns - self._unknown:
            self._unknown |= unknown
            LOGGER.warning(
                f"{self.name}: Prefect sent fields that this version does not know, passed on as they are: "
                f"{', '.join(sorted(unknown))}"
            )

    def advance(self, stream_slice: StreamSlice | None, cursor_value: datetime | None) -> None:
        """Tell the CDK's cursor how far the slice has brought the stream."""
        if not isinstance(self.cursor, ConcurrentCursor) or cursor_value is None:
            return
        data = {self.cursor.cursor_field.cursor_field_key: format_time(cursor_value)}
        self.cursor.observe(Record(data=data, stream_name=self.name, associated_slice=stream_slice))

    def note_schema(self, records_schema: Mapping[str, Any]) -> None:
        """Remember the declared columns."""
        if not self._known:
            self._known = frozenset(records_schema.get("properties", {}))

    def _send(self, path: str | None, body: Mapping[str, Any]) -> requests.Response:
        if self._given_up:
            # Half a minute of retries in each of the windows that are left would help nobody.
            raise self._given_up
        self._watermark.begin()
        try:
            response = self.requester.send_request(path=path, request_body_json=body)
        except AirbyteTracedException as error:
            if not isinstance(error.__context__, BaseBackoffException):
                self._given_up = error
                raise
            # The CDK would put "please see logs" in front of the reason.
            message = f"The stream {self.name} gave up after several tries. {error.__context__}"
            self._given_up = AirbyteTracedException(
                message=message, internal_message=message, failure_type=error.failure_type
            )
            raise self._given_up from error
        assert response is not None  # noqa: S101  (the CDK's type; only a missing answer could be None)
        return response

    def _shrink_pages(self, response: requests.Response, limit: int) -> None:
        detail = _detail(response)
        allowed = re.search(r"Invalid limit: must be less than or equal to (\d+)", detail)
        if not allowed or int(allowed[1]) >= limit:
            raise RequestRefusedError(
                message=f"Prefect refused a request of the stream {self.name} (422): {detail}",
                failure_type=FailureType.system_error,
            )
        if int(allowed[1]) < 2:
            raise AirbyteTracedException(
                message=f"The Prefect server allows {allowed[1]} row a page (PREFECT_SERVER_API_DEFAULT_LIMIT); "
                "at least 2 are needed.",
                failure_type=FailureType.config_error,
            )
        LOGGER.info(f"{self.name}: the server takes at most {allowed[1]} rows a page; page_size is lowered to that.")
        self._limit = int(allowed[1])


def _detail(response: requests.Response) -> str:
    """What Prefect says is wrong: one sentence, or a list that names the paths of the keys."""
    try:
        body = response.json()
        detail = body.get("detail") or body["exception_detail"]
    except (ValueError, AttributeError, KeyError):
        detail = response.text
    return detail if isinstance(detail, str) else json.dumps(detail)


@dataclass
class TableRetriever(PrefectRetriever):
    """Flows, deployments, variables, artifacts: tables that the API can order but not filter by time.

    A first sync reads them in the order of their creation, which no later change disturbs. A later one reads
    the newest changes first and stops at the cursor, so that its price is that of what changed. Where
    `updated_with` names a list inside the row (a deployment's schedules), whose changes do not move the row's
    own `updated`, every sync reads all rows, and the row counts as updated at the latest of both. A part that
    is deleted leaves no time behind: the stream's state remembers how many parts each row had, and a row that has
    fewer counts as updated when the sync began.

    `since_start_date` leaves out what was created before the config's `start_date`.
    """

    since_start_date: bool = False
    updated_with: str = ""

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        state = self.cursor.state if self.cursor else {}
        # By the first half of the id, which is enough to tell rows apart.
        self._parts_before: Mapping[str, int] = state.get(self.updated_with) or {}
        self._parts: dict[str, int] = {}

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[StreamData]:
        self.note_schema(records_schema)
        changed_since = self._changed_since
        newest_first = changed_since is not None and not self.updated_with
        order = "updated" if newest_first else "created"
        oldest = changed_since if newest_first else self._oldest_created()
        for rows in offset_walk(
            lambda offset: self.fetch(sort=f"{order.upper()}_DESC", offset=offset), time_key(order)
        ):
            if self.updated_with:
                for row in rows:
                    self._take_over_updated(row)
                self._watermark.see(rows)
            self._progress.add(rows, order)
            yield from self.emit(row for row in rows if self._wanted(row, changed_since))
            if rows and oldest and (at := parse_time(rows[-1].get(order))) and at < oldest:
                break
        if self.cursor and self.updated_with:
            # The cursor keeps what else is in the state.
            self.cursor.state[self.updated_with] = self._parts
        self.advance(stream_slice, self._watermark.value)

    @property
    def _changed_since(self) -> datetime | None:
        return self.since - IN_FLIGHT if self.since else None

    def _oldest_created(self) -> datetime | None:
        return parse_time(self.config.get("start_date")) if self.since_start_date else None

    def _wanted(self, row: Row, changed_since: datetime | None) -> bool:
        created, updated = parse_time(row.get("created")), parse_time(row.get("updated"))
        oldest = self._oldest_created()
        return not (
            (oldest and created and created < oldest) or (changed_since and updated and updated < changed_since)
        )

    def _take_over_updated(self, row: Row) -> None:
        parts = objects_in(row.get(self.updated_with))
        if updated := latest(part.get("updated") for part in [row, *parts]):
            row["updated"] = updated
        half_id = str(row.get("id"))[:18]
        if len(parts) < self._parts_before.get(half_id, 0) and self._watermark.scan_start:
            row["updated"] = format_time(self._watermark.scan_start)
        if parts:
            self._parts[half_id] = len(parts)
