"""The clock of the server, from the `Date` of its answers."""

import threading
import time
from datetime import datetime, timedelta

from source_prefect.times import shift


class ServerClock:
    """Shows the server's time, whatever the connector's clock says, which may be wrong or be set in mid-sync.

    `Date` is in whole seconds, and an answer takes a moment: the clock is up to some seconds behind. Of several API
    servers, the one whose clock is behind counts.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # What the server's clock showed when the monotonic clock was at zero.
        self._zero: datetime | None = None

    def read(self, date: datetime | None) -> None:
        """Learn from the `Date` of an answer that has just come."""
        if date is not None:
            zero = shift(date, -timedelta(seconds=time.monotonic()))
            with self._lock:
                self._zero = min(zero, self._zero or zero)

    @property
    def now(self) -> datetime | None:
        """The server's time; None where no answer had a `Date`."""
        return shift(self._zero, timedelta(seconds=time.monotonic())) if self._zero else None
