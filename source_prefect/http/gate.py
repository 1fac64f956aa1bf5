"""When a request may be sent: the only place where requests wait for each other."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_MINUTE = 60.0


class SessionClosedError(Exception):
    """The command that the request belongs to has ended."""


class Gate:
    """Every request to an account passes it, at most `per_minute` in any minute.

    `close` makes all of them wait; then one request goes first, and the others follow it. Without
    the first one, each waiting thread would get its own refusal when the wait was too short.
    `shut` refuses all requests from now on.
    """

    def __init__(self, per_minute: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        # When the next request may pass; None while the gate is open to all.
        self._closed_until: float | None = None
        self._one_is_ahead = False
        self._is_shut = False
        # When the last requests passed. Without a limit, there is no room for any.
        self._passed: deque[float] = deque(maxlen=per_minute or 0)

    def close(self, seconds: float) -> bool:
        """Let no request pass for so long. Returns whether the gate was open."""
        with self._changed:
            was_open = self._closed_until is None
            self._closed_until = max(self._closed_until or 0.0, self._clock() + seconds)
            return was_open

    def shut(self) -> None:
        """Refuse every request: those that wait, and all later ones."""
        with self._changed:
            self._is_shut = True
            self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Wait so long before a request is repeated. Raises SessionClosedError."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_shut, seconds)
            self._raise_if_shut()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Wait until a request may pass; send it inside the block. Raises SessionClosedError."""
        with self._changed:
            while not self._is_shut and ((left := self._left()) > 0 or self._one_is_ahead):
                self._changed.wait(left or None)
            self._raise_if_shut()
            self._passed.append(self._clock())
            ahead_until = self._closed_until
            self._one_is_ahead = ahead_until is not None
        try:
            yield
        finally:
            if ahead_until is not None:
                with self._changed:
                    self._one_is_ahead = False
                    # Open the gate, unless it was closed again meanwhile.
                    if self._closed_until == ahead_until:
                        self._closed_until = None
                    self._changed.notify_all()

    def _left(self) -> float:
        """The seconds until a request may pass; 0 if only the one ahead must come back first."""
        until = self._closed_until or 0.0
        if self._passed and len(self._passed) == self._passed.maxlen:
            until = max(until, self._passed[0] + _MINUTE)
        return max(0.0, until - self._clock())

    def _raise_if_shut(self) -> None:
        if self._is_shut:
            raise SessionClosedError("The command has ended.")
