"""How far a stream's cursor may move."""

import threading
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from source_prefect.times import parse_time


class Watermark:
    """The latest time of the *server's* clock that is certainly before the scan began.

    A scan may miss a change that happens while it runs; the row is then `updated` after the scan's start. So the cursor
    may move up to that start, on the clock that wrote `updated`; the connector's clock may differ. A row's `updated`
    is a reading of the server's clock, no later than the row's page. Less the time since the scan began (a duration, on
    which clocks agree) it lies before the start. `limit` takes the `Date` of each answer, so that a row dated in the
    future, written while a server's clock was wrong, cannot move the cursor. Where the clocks of the server's replicas
    differ, the one that is behind decides. Without any `Date` the connector's clock is the limit: where it is behind,
    rows are sent again, and none is lost.

    `column` is the one that the server's clock writes.
    """

    def __init__(self, column: str = "updated") -> None:
        self._column = column
        self._lock = threading.Lock()
        self._began: tuple[float, float] | None = None
        self._latest: datetime | None = None
        self._limit: datetime | None = None

    def begin(self) -> None:
        """The scan's first request is about to be sent. The first call counts."""
        with self._lock:
            if self._began is None:
                self._began = time.monotonic(), time.time()

    def limit(self, server_time: datetime) -> bool:
        """Limit the value to the scan's start on a clock that shows this now. Returns whether it was the first call."""
        start = server_time - self._elapsed()
        with self._lock:
            first = self._limit is None
            self._limit = min(start, self._limit or start)
            return first

    @property
    def scan_start(self) -> datetime | None:
        """The server's clock when the scan began, rounded down to the second; None where no answer had a `Date`."""
        with self._lock:
            return self._limit

    def observe(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Read the times of a page that was just received."""
        updated = [at for row in rows if (at := parse_time(row.get(self._column)))]
        if updated:
            before_start = max(updated) - self._elapsed()
            with self._lock:
                if self._latest is None or before_start > self._latest:
                    self._latest = before_start

    @property
    def value(self) -> datetime | None:
        """The time, or None until a row was read."""
        with self._lock:
            if self._latest is None or self._began is None:
                return None
            return min(self._latest, self._limit or datetime.fromtimestamp(self._began[1], UTC))

    def _elapsed(self) -> timedelta:
        if self._began is None:
            raise RuntimeError("rows came before the scan began")
        monotonic, wall = self._began
        # A machine that sleeps stops its monotonic clock; too long a time is safe, too short is not.
        return timedelta(seconds=max(time.monotonic() - monotonic, time.time() - wall))
