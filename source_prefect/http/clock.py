"""The clock of the server, from the `Date` of its answers."""

import threading
import time
from datetime import datetime, timedelta

from source_prefect.times import shift


class ServerClock:
    """Shows the server's time, whatever the connector's clock says: that may be wrong, or be set in mid-sync.

    `Date` is in whole seconds, and an answer takes a moment: the clock is up to some seconds behind. Of several API
    servers, the one whose clock is behind counts.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = time.monotonic()
        # What the server's clock showed when this one was started.
        self._then: datetime | None = None

    def read(self, date: datetime | None) -> None:
        """Learn from the `Date` of an answer that has just come."""
        if date is not None:
            then = shift(date, -self._elapsed())
            with self._lock:
                self._then = min(then, self._then or then)

    @property
    def now(self) -> datetime | None:
        """The server's time; None where no answer had a `Date`."""
        return None if self._then is None else shift(self._then, self._elapsed())

    def _elapsed(self) -> timedelta:
        return timedelta(seconds=time.monotonic() - self._started)
