import threading
import time
from collections.abc import Callable


class RateLimit:
    """So many requests a minute and account. The first request after a minute begins the next."""

    def __init__(self, requests: int, minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._requests = requests
        self._minute = minute
        self._clock = clock
        self._lock = threading.Lock()
        self._minutes: dict[str, tuple[float, int]] = {}

    def wait(self, account_id: str) -> float:
        """How many seconds too early a request comes; 0 where it may pass."""
        with self._lock:
            now = self._clock()
            began, count = self._minutes.get(account_id, (now, 0))
            if now >= began + self._minute:
                began, count = now, 0
            if count >= self._requests:
                return began + self._minute - now
            self._minutes[account_id] = began, count + 1
            return 0.0
