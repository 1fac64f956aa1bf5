"""One sync of one stream of one workspace."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.requesters.paginators import DefaultPaginator
from airbyte_cdk.sources.declarative.requesters.requester import Requester
from airbyte_cdk.sources.declarative.transformations import RecordTransformation
from airbyte_cdk.sources.types import Record, StreamSlice
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.cdk import QueuedRecord, States
from source_prefect.cloud import unknown_workspace
from source_prefect.http.client import Client
from source_prefect.http.errors import failure
from source_prefect.http.session import Session
from source_prefect.paging import PaginationError, RequestRefusedError, Row, Rows
from source_prefect.progress.log import Progress
from source_prefect.progress.ranges import within
from source_prefect.progress.retention import warn_of_gap
from source_prefect.progress.scope import LEAVE_OUT, START_DATE, widened
from source_prefect.progress.state import StateError, StreamState, load_state
from source_prefect.progress.watermark import Watermark
from source_prefect.server import ui_url
from source_prefect.settings.parse import ConfigError
from source_prefect.settings.values import Workspace
from source_prefect.times import BEGINNING, format_time

LOGGER = logging.getLogger("airbyte")

# A page to send, or a state: all rows that it covers have been sent.
Step = Rows | StreamState


@dataclass(kw_only=True)
class PrefectRetriever(ABC):
    """How a stream is read, as the manifest declares it. What a sync knows is in its `Scan`.

    Replaces the CDK's `SimpleRetriever`, which reads all pages in one order, and whose cursor is
    the largest value seen: it can pass rows that changed, unseen, during the scan.
    """

    name: str
    config: Session
    requester: Requester
    paginator: DefaultPaginator
    transformations: Sequence[RecordTransformation]
    table: str
    # The server's clock writes this column.
    ingestion_time: str = "updated"
    # The stream that is made of the same pages. Where it is selected too, one scan serves both.
    pages_of: str = ""
    # Whether a check tries the stream, although it has no cursor.
    is_checked: bool = False
    # What may be left out of the rows, by its names in `leave_out`: the keys that hold it.
    content: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @abstractmethod
    def sync(self, scan: "Scan") -> Iterator[Step]:
        """The rows to send, page by page, with states among them, and one at the end."""

    def rows_of(self, rows: Rows) -> Iterable[Row]:
        """The records of a page before they are transformed: by default its rows."""
        return rows

    @property
    def scope(self) -> Mapping[str, Any]:
        """The settings that decide what a sync sends: see `progress.scope`."""
        start, left_out = self.config.settings.start_date, self.left_out
        return ({START_DATE: format_time(start)} if start else {}) | ({LEAVE_OUT: left_out} if left_out else {})

    @property
    def left_out(self) -> list[str]:
        """The choices of `leave_out` that concern the stream."""
        return sorted(self.config.settings.leave_out & self.content.keys())


class Output:
    """A stream that gets the rows of a scan as records, and its states."""

    def __init__(self, retriever: PrefectRetriever, schema: Mapping[str, Any], workspace: Workspace, states: States):
        self.retriever = retriever
        self.label = f"{retriever.name} ({workspace.label})" if workspace.label else retriever.name
        self._columns = frozenset(schema["properties"])
        self._workspace = workspace
        self._states = states
        self._reported: set[str] = set()

    @cached_property
    def _slice(self) -> StreamSlice:
        ui = ui_url(self.retriever.config, self._workspace) if "ui_url" in self._columns else ""
        return StreamSlice(partition={"ui_url": ui, **self._workspace.ids}, cursor_slice={})

    def records(self, rows: Rows) -> Iterator[Record]:
        """The records of a page. Its rows are changed in place."""
        name, ids = self.retriever.name, self._workspace.ids
        for row in self.retriever.rows_of(rows):
            for transformation in self.retriever.transformations:
                transformation.transform(row, stream_slice=self._slice)
            if not row.keys() <= self._columns and (unknown := row.keys() - self._columns - self._reported):
                self._reported |= unknown
                LOGGER.warning(
                    f"{self.label}: Prefect sent fields that this version does not know, passed on unchanged: "
                    f"{', '.join(sorted(unknown))}"
                )
            row |= ids
            yield QueuedRecord(row, name)

    def saved_state(self) -> StreamState:
        """The state that the last sync saved. Raises StateError."""
        states = self._states
        return load_state(self.retriever.name, states.column, states.part(self._workspace.workspace_id))

    def save(self, state: StreamState) -> None:
        """Checkpoint the stream: all rows that the state covers have been yielded."""
        self._states.save(self._workspace.workspace_id, state.dump(self._states.column))


class Scan:
    """What one sync of a workspace's stream has learned, and how far it has come.

    It ends with the sync. The `derived` streams are made of the same pages. Their records come
    first, because transformations change rows in place.
    """

    def __init__(self, session: Session, workspace: Workspace, output: Output, derived: Sequence[Output] = ()) -> None:
        retriever = output.retriever
        self.session = session
        self.settings = session.settings
        self.workspace = workspace
        self.label = output.label
        self.progress = Progress(output.label)
        self.watermark = Watermark(retriever.ingestion_time)
        self.client = Client(
            output.label,
            retriever.table,
            retriever.requester,
            retriever.paginator,
            session,
            workspace,
            watermark=self.watermark,
            why_missing=lambda: unknown_workspace(session, workspace),
            left_out=frozenset(key for choice in retriever.left_out for key in retriever.content[choice]),
        )
        self.state = StreamState()
        self._retriever = retriever
        self._outputs = (*derived, output)

    def records(self) -> Iterator[Record]:
        """All records of a sync, which continues from the earliest state of its streams.

        Raises AirbyteTracedException.
        """
        with self._errors_explained():
            states = [output.saved_state() for output in self._outputs]
            self.state = self._trusted(min(states, key=lambda state: state.cursor or BEGINNING))
            self._say_what_is_left_out()
            for step in self._retriever.sync(self):
                for output in self._outputs:
                    if isinstance(step, StreamState):
                        output.save(step)
                    else:
                        yield from output.records(step)
            if mended := self.client.mended:
                LOGGER.warning(
                    f"{self.label}: {len(mended)} rows held U+0000, which many destinations refuse; U+FFFD stands in "
                    "its place."
                )
            self._raise_if_rows_were_unreadable()

    def _say_what_is_left_out(self) -> None:
        left_out = self._retriever.left_out
        if self.state.cursor and (new := [it for it in left_out if it not in self.state.settings.get(LEAVE_OUT, ())]):
            LOGGER.warning(
                f"{self.label}: {', '.join(new)} is left out from now on. Rows that earlier syncs have sent keep it in "
                "the destination until they change."
            )
        elif left_out:
            LOGGER.info(f"{self.label}: leave_out keeps back {', '.join(left_out)}.")

    def _raise_if_rows_were_unreadable(self) -> None:
        """Name the rows that were left out. All others were sent, and the cursor has moved."""
        if rows := sorted(self.client.unreadable):
            raise failure(
                f"The stream {self._retriever.name} could not read {len(rows)} of its rows ({', '.join(rows[:10])}): "
                "Prefect fails at each list that holds them. All other rows were sent, and the next sync goes on after "
                "them. Delete the rows in Prefect, or update it: 3.9.1 reads integers over 64 bits in parameters.",
                FailureType.system_error,
            )

    def try_one_page(self) -> None:
        """Show that the stream can be read. Raises AirbyteTracedException."""
        with self._errors_explained():
            next(self._retriever.sync(self), None)

    def checkpoint(self, cursor: datetime | None, **more: Any) -> StreamState:
        """A state with this cursor, or with the previous one if that is later."""
        clock = self.session.transport.clock.now
        self.state = StreamState(
            cursor=max(filter(None, (cursor, self.state.cursor)), default=None),
            settings=self._retriever.scope,
            clock_offset=clock - datetime.now(UTC) if clock else None,
            **more,
        )
        return self.state

    def warn_of_gap(self, kept: Callable[[], timedelta | None] = lambda: None) -> None:
        """Warn that rows may be lost where Prefect may have deleted them since the last sync.

        `kept` is how long a server keeps them, where it says so.
        """
        if cursor := self.state.cursor:
            warn_of_gap(self.label, cursor, self.session.now, self.workspace.retention_days, kept)

    def _trusted(self, state: StreamState) -> StreamState:
        """The state, as far as the present settings and the server's clock allow."""
        if wider := widened(state.settings, self._retriever.scope):
            LOGGER.info(f"{self.label}: {', '.join(wider)} lets more pass than before: read from the beginning.")
            return StreamState()
        # A later `start_date` leaves out some of what remains.
        state = replace(state, remaining=within(state.remaining, self.settings.start_date, None))
        if state.cursor is None:
            return state
        now = self.session.now
        trusted = state.trusted_cursor(now, datetime.now(UTC))
        if trusted == state.cursor:
            return state
        LOGGER.warning(
            f"{self.label}: The last sync reached {format_time(state.cursor)}; the server's clock says "
            f"{format_time(now)}. It was set back, or the state is from another server. Rows are read again "
            + (f"from {format_time(trusted)} on." if trusted else "from the beginning.")
        )
        return replace(state, cursor=trusted) if trusted else StreamState()

    @contextmanager
    def _errors_explained(self) -> Iterator[None]:
        try:
            if self.workspace.problem:
                raise ConfigError(self.workspace.problem)
            yield
        except PaginationError as error:
            sentence = f"The stream {self._retriever.name} stopped because rows could be missing. {error}"
            raise self._failed(sentence, FailureType.system_error) from error
        except RequestRefusedError as error:
            raise self._failed(str(error), FailureType.system_error) from error
        except (ConfigError, StateError) as error:
            raise self._failed(str(error), FailureType.config_error) from None
        except AirbyteTracedException as error:
            raise self._failed(error.message or "", error.failure_type) from None

    def _failed(self, message: str, failure_type: FailureType) -> AirbyteTracedException:
        return failure(f"{self.workspace.label}: {message}" if self.workspace.label else message, failure_type)
