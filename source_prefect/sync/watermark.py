"""How far a stream's cursor may go."""

import threading
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from source_prefect.times import parse_time


class Watermark:
    """The latest time of the *server's* clock that lies, for certain, before the scan began.

    Whatever changes during a scan may be missed by it, and is then `updated` after the scan's start. So the cursor may
    come as far as that start, measured on the clock that wrote `updated`; the connector's own clock says nothing about
    it. A row's `updated` is a reading of that clock, taken no later than the row's page. Less the time since the scan
    began (a duration, on which clocks agree) it lies before the start. `limit` takes the `Date` of the first answer, so
    that a row dated in the future, written while a server's clock was wrong, cannot carry the cursor with it.

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
        """Never pass this time. The first call counts; whether this was the first."""
        with self._lock:
            first = self._limit is None
            if first:
                self._limit = server_time
            return first

    @property
    def scan_start(self) -> datetime | None:
        """The server's clock at the scan's first answer, to the second below; None where no answer had a `Date`."""
        with self._lock:
            return self._limit

    def observe(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take in the rows of a page that has just arrived."""
        updated = [at for row in rows if (at := parse_time(row.get(self._column)))]
        if updated:
            before_start = max(updated) - self._elapsed()
            with self._lock:
                if self._latest is None or before_start > self._latest:
                    self._latest = before_start

    @property
    def value(self) -> datetime | None:
        """The time, or None as long as no row was seen."""
        with self._lock:
            if self._latest and self._limit:
                return min(self._latest, self._limit)
            return self._latest

    def _elapsed(self) -> timedelta:
        if self._began is None:
            raise RuntimeError("rows came before the scan began")
        monotonic, wall = self._began
        # A machine that slept stops its monotonic clock; too long a time is safe, too short is not.
        return timedelta(seconds=max(time.monotonic() - monotonic, time.time() - wall))
