"""Regular log lines that show the progress of a long sync."""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

LOGGER = logging.getLogger("airbyte")
EVERY_ROWS = 10_000
EVERY_SECONDS = 30.0


class Progress:
    """Counts the rows that a stream has read. A short read logs nothing."""

    def __init__(self, stream: str, direction: str = "back to") -> None:
        self._stream = stream
        self._direction = direction
        self._lock = threading.Lock()
        self._rows = self._said_rows = 0
        self._said_at = time.monotonic()

    def add(self, rows: Sequence[dict[str, Any]], column: str) -> None:
        """Count a page; `column` is the time that the stream is read by."""
        with self._lock:
            self._rows += len(rows)
            now = time.monotonic()
            if self._rows - self._said_rows < EVERY_ROWS and now - self._said_at < EVERY_SECONDS:
                return
            self._said_rows, self._said_at = self._rows, now
        place = f", {self._direction} {column} {rows[-1].get(column)}" if rows else ""
        LOGGER.info(f"{self._stream}: {self._rows} rows read so far{place}")
