import logging
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.requesters.requester import Requester
from airbyte_cdk.sources.declarative.retrievers import Retriever
from airbyte_cdk.sources.declarative.transformations import RecordTransformation
from airbyte_cdk.sources.streams.core import StreamData
from airbyte_cdk.sources.types import Config, Record, StreamSlice
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.cdk import StreamCursor, WorkspaceCursor, failure
from source_prefect.config.settings import ConfigError
from source_prefect.http.client import Client
from source_prefect.http.responses import server_date
from source_prefect.pagination import Page, PaginationError, RequestRefusedError, Row, Rows
from source_prefect.sync.progress import Progress
from source_prefect.sync.state import StateError, StreamState, load_state
from source_prefect.sync.watermark import Watermark
from source_prefect.times import format_time, parse_time

LOGGER = logging.getLogger("airbyte")


class Checkpoint(NamedTuple):
    """A sync yields it among its rows: all rows that the state covers have been yielded."""

    state: StreamState


Step = Rows | Checkpoint


class _ClockMovedError(Exception):
    """The first answer shows that the server's clock was set back since the cursor was saved."""

    def __init__(self, saved: datetime, trusted: datetime | None, server: datetime) -> None:
        super().__init__(f"The last sync reached {format_time(saved)}; the server's clock says {format_time(server)}.")
        self.trusted = trusted


@dataclass
class PrefectRetriever(Retriever):
    """A stream of Prefect: its requests, its state, and the records that its rows become.

    Replaces `SimpleRetriever`, which reads one page after the other in one order, and whose cursor is the largest
    value seen - which can lie past rows that changed, unseen, during the scan. A subclass implements `sync`: the
    requests and the rows to send, in their order.
    """

    name: str
    config: Config
    requester: Requester
    transformations: Sequence[RecordTransformation]
    parameters: InitVar[Mapping[str, Any]]
    # The CDK passes its own cursor; `source_prefect.cdk.joined` replaces it by ours.
    cursor: Any = None
    envelope: str = ""
    # The column that the server's clock writes.
    ingestion_time: str = "updated"
    _state: StreamState = field(init=False, default_factory=StreamState)
    _offset: timedelta | None = field(init=False, default=None)

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        workspace = self.config.get("label")
        # In log lines.
        self.label = f"{self.name} ({workspace})" if workspace else self.name
        self._prefix = f"{workspace}: " if workspace else ""
        connection = self.config["connection"]
        self._ids = (
            {name: connection[name] for name in ("account_id", "workspace_id")} if connection["type"] == "cloud" else {}
        )
        self.watermark = Watermark(self.ingestion_time)
        self.client = Client(
            self.name,
            self.requester,
            self.config["page_size"],
            self.envelope,
            self.watermark.begin,
            self._take_in,
        )
        self.progress = Progress(self.label)
        self.start_date = parse_time(self.config.get("start_date"))
        # The columns that the manifest declares.
        self.columns: frozenset[str] = frozenset()
        self._reported: set[str] = set()

    @property
    def server_now(self) -> datetime:
        """The server's clock; the connector's own until an answer has a `Date`."""
        return datetime.now(UTC) + (self._offset or timedelta(0))

    @abstractmethod
    def sync(self, state: StreamState) -> Iterator[Step]:
        """The rows to send, page by page, with checkpoints among them, and one at the end."""

    def read_records(
        self,
        records_schema: Mapping[str, Any],
        stream_slice: StreamSlice | None = None,  # noqa: ARG002  (the CDK's signature)
    ) -> Iterable[StreamData]:
        self.columns = frozenset(records_schema.get("properties", {}))
        return self.read()

    def read(self) -> Iterator[StreamData]:
        """All records of a sync. Raises AirbyteTracedException."""
        try:
            if problem := self.config.get("problem"):
                raise ConfigError(problem)
            for step in self._steps():
                if isinstance(step, Checkpoint):
                    self.save(step.state)
                else:
                    yield from self.records(step)
                    if self.config.get("is_check"):
                        # A page shows that the stream can be read, even if its rows make no record.
                        return
        except PaginationError as error:
            raise self._failed(f"The stream {self.name} stopped, for rows could be missing. {error}") from error
        except RequestRefusedError as error:
            raise self._failed(str(error)) from error
        except (ConfigError, StateError) as error:
            raise self._failed(str(error), FailureType.config_error) from None
        except AirbyteTracedException as error:
            # Of a request.
            error.message = f"{self._prefix}{error.message}"
            raise

    def saved_state(self) -> StreamState:
        """The state that the last sync saved. Raises StateError."""
        if not isinstance(self.cursor, StreamCursor | WorkspaceCursor):
            return StreamState()
        return load_state(self.name, self.cursor.cursor_field, self.cursor.saved, self.start_date)

    def save(self, state: StreamState) -> None:
        """Checkpoint the stream's cursor."""
        if isinstance(self.cursor, StreamCursor | WorkspaceCursor):
            self.cursor.checkpoint(state.dump(self.cursor.cursor_field))

    def records(self, rows: Rows) -> Iterator[Record]:
        """The records of a page. Its rows are changed in place."""
        for row in self.rows_of(rows):
            for transformation in self.transformations:
                transformation.transform(row)
            if not row.keys() <= self.columns:
                self._report_unknown(row.keys() - self.columns)
            row |= self._ids
            yield Record(data=row, stream_name=self.name)

    def rows_of(self, rows: Rows) -> Iterable[Row]:
        """The records of a page before they are transformed: by default its rows."""
        return rows

    def reached(self, cursor: datetime | None, **more: Any) -> Checkpoint:
        """A checkpoint with this cursor, or with the previous one if that is later."""
        cursor = max(filter(None, (cursor, self._state.cursor)), default=None)
        self._state = StreamState(cursor, start_date=self.start_date, clock_offset=self._offset, **more)
        return Checkpoint(self._state)

    def _steps(self) -> Iterator[Step]:
        state = self._state = self._state_to_begin_from()
        try:
            yield from self.sync(state)
        except _ClockMovedError as moved:
            LOGGER.warning(
                f"{self.label}: {moved} It was set back, or the state is from another server. Rows are read again "
                + (f"from {format_time(moved.trusted)} on." if moved.trusted else "from the beginning.")
            )
            self._state = replace(state, cursor=moved.trusted) if moved.trusted else StreamState()
            yield from self.sync(self._state)

    def _state_to_begin_from(self) -> StreamState:
        state = self.saved_state()
        if state.start_date and (self.start_date is None or self.start_date < state.start_date):
            LOGGER.info(f"{self.label}: start_date was moved to an earlier time, so the stream is read from there on.")
            return StreamState()
        return state

    def _take_in(self, response: requests.Response, page: Page) -> None:
        """Learn from an answer: the server's clock, and the ingestion times of its rows."""
        if date := server_date(response):
            now = datetime.now(UTC)
            is_first = self.watermark.limit(date)
            # The clocks of replicas of the server may differ: the one that is behind counts.
            self._offset = min(date - now, self._offset or date - now)
            saved = self._state.cursor
            if is_first and saved and (trusted := self._state.trusted_cursor(date, now)) != saved:
                raise _ClockMovedError(saved, trusted, date)
        self.watermark.observe(page.rows)

    def _report_unknown(self, columns: set[str]) -> None:
        if unknown := columns - self._reported:
            self._reported |= unknown
            LOGGER.warning(
                f"{self.label}: Prefect sent fields that this version does not know, passed on unchanged: "
                f"{', '.join(sorted(unknown))}"
            )

    def _failed(self, message: str, failure_type: FailureType = FailureType.system_error) -> AirbyteTracedException:
        return failure(f"{self._prefix}{message}", failure_type)
