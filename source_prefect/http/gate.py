"""A 429 applies to all requests to a server, not only to the one that it answered."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Gate:
    """Every request passes it. `close` makes all of them wait; then one request goes first, and the others follow it.

    Without the first one, each waiting thread would get its own refusal when the wait was too short.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        # When the next request may pass; None while the gate is open to all.
        self._closed_until: float | None = None
        self._one_is_ahead = False

    def close(self, seconds: float) -> bool:
        """Let no request pass for so long. Returns whether the gate was open."""
        with self._changed:
            was_open = self._closed_until is None
            self._closed_until = max(self._closed_until or 0.0, self._clock() + seconds)
            return was_open

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Wait until the gate lets a request pass; the request is sent inside the block."""
        ahead_until = self._enter()
        try:
            yield
        finally:
            if ahead_until is not None:
                self._come_back(ahead_until)

    def _enter(self) -> float | None:
        """Wait. The request that goes first gets the time until which the gate was closed."""
        with self._changed:
            while self._closed_until is not None:
                left = self._closed_until - self._clock()
                if not self._one_is_ahead and left <= 0:
                    self._one_is_ahead = True
                    return self._closed_until
                self._changed.wait(None if self._one_is_ahead else left)
            return None

    def _come_back(self, ahead_until: float) -> None:
        """Open the gate, unless it was closed again meanwhile."""
        with self._changed:
            self._one_is_ahead = False
            if self._closed_until == ahead_until:
                self._closed_until = None
            self._changed.notify_all()
