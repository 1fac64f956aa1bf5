"""How far a stream's cursor may move."""

import threading
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from source_prefect.times import parse_time, shift


class Watermark:
    """The latest time of the server's clock that is certainly before the scan began.

        watermark = min(max(ingestion time of a row - elapsed), min(Date of an answer - elapsed))

    `elapsed` is the time since the first request, which is the same on every clock. A scan may
    miss a row that changed meanwhile; its ingestion time is after the scan's start, so the cursor
    must not pass that start. The first term is a reading of the clock that wrote the rows. The
    second one keeps a row dated in the future from moving the cursor; of several API servers, the
    one whose clock is behind decides. Where no answer has a `Date`, the connector's clock takes
    its place: if it is behind, rows are sent again, and none is lost.

    The server's clock writes `column`.
    """

    def __init__(self, column: str) -> None:
        self._column = column
        self._lock = threading.Lock()
        self._began: tuple[float, float] | None = None
        self._latest: datetime | None = None
        self._limit: datetime | None = None

    def begin(self) -> None:
        """The scan's first request is about to be sent. Later calls change nothing."""
        with self._lock:
            if self._began is None:
                self._began = time.monotonic(), time.time()

    def observe(self, rows: Iterable[Mapping[str, Any]], date: datetime | None) -> None:
        """Read the times of a page that was just received, and the `Date` of its answer."""
        if self._began is None:
            raise RuntimeError("rows came before the scan began")
        # A machine that sleeps stops its monotonic clock; too long a time is safe, too short is
        # not.
        elapsed = timedelta(seconds=max(time.monotonic() - self._began[0], time.time() - self._began[1]))
        updated = [at for row in rows if (at := parse_time(row.get(self._column)))]
        with self._lock:
            if updated:
                before_start = shift(max(updated), -elapsed)
                self._latest = max(before_start, self._latest or before_start)
            if date:
                start = shift(date, -elapsed)
                self._limit = min(start, self._limit or start)

    @property
    def scan_start(self) -> datetime | None:
        """The server's clock when the scan began, in whole seconds; None without a `Date`."""
        with self._lock:
            return self._limit

    @property
    def value(self) -> datetime | None:
        """The time, or None until a row was read."""
        with self._lock:
            if self._latest is None or self._began is None:
                return None
            return min(self._latest, self._limit or datetime.fromtimestamp(self._began[1], UTC))
