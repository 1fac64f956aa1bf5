"""What Prefect deletes before a sync can read it."""

import logging
import threading
from bisect import bisect_left
from collections.abc import Callable
from datetime import datetime, timedelta

from source_prefect.times import shift

LOGGER = logging.getLogger("airbyte")

# How long a Prefect Server keeps events by default, and Prefect Cloud's smallest plan keeps runs.
SHORTEST_RETENTION = timedelta(days=7)
# No server is asked how long it keeps younger rows.
_NEVER_DELETED = timedelta(hours=1)
# Skip rows that are about to expire, because a request takes time.
MARGIN = timedelta(minutes=1)
# How often the retention is searched for again where the answers contradict each other.
_SEARCHES = 3


def warn_of_gap(
    stream: str,
    since: datetime,
    now: datetime,
    plan_days: int | None,
    of_server: Callable[[], timedelta | None] = lambda: None,
) -> None:
    """Warn that rows may be lost if the last cursor is older than the retention.

    That is `plan_days` in Prefect Cloud, and `of_server` where a server knows it; or else the
    shortest.
    """
    age = now - since
    if age < _NEVER_DELETED:
        return
    kept = timedelta(days=plan_days) if plan_days else of_server()
    if age > (kept or SHORTEST_RETENTION):
        if kept:
            who = "This plan of Prefect Cloud keeps runs and events" if plan_days else "This server keeps events"
            sentence = f"{who} for {_shown(kept)}"
        else:
            sentence = (
                "A Prefect Server keeps events for 7 days by default, Prefect Cloud runs for 7 to 30 days by plan"
            )
        LOGGER.warning(
            f"{stream}: read so far up to {since:%Y-%m-%d %H:%M} UTC, {_shown(age)} ago. {sentence}: what was "
            "deleted since then, before this sync, is missing. Sync more often than Prefect deletes."
        )


def _shown(time: timedelta) -> str:
    return f"{time.days} days" if time.days > 1 else f"{time / timedelta(hours=1):.3g} hours"


class KeptEvents:
    """How many `days` back Prefect Cloud accepts requests for events.

    This is an upper limit until a request is refused. Then `find` searches for the oldest age that
    is accepted, because a refusal does not show which part of the requested time is still kept.
    """

    def __init__(self, days: int) -> None:
        self.days = days
        self._is_found = False
        self._lock = threading.Lock()

    def since(self, now: datetime) -> datetime:
        """The oldest time to request."""
        return shift(now, MARGIN - timedelta(days=self.days))

    def find(self, is_accepted: Callable[[int], bool]) -> bool:
        """Whether events older than `days` are refused, and nothing else. Searches once for all
        threads.

        Each refusal must be repeated, because Cloud may also refuse for other reasons.
        """

        def is_kept(days: int) -> bool:
            return is_accepted(days) or is_accepted(days)

        with self._lock:
            for _ in range(0 if self._is_found else _SEARCHES):
                days = bisect_left(range(1, self.days + 1), True, key=lambda age: not is_kept(age))
                if not days:
                    break  # All is refused, so age is not the reason.
                # Acceptance between two refusals: no burst of refusals for another reason lasts
                # that long.
                self._is_found = days == self.days or (is_kept(days) and not is_kept(days + 1))
                if self._is_found:
                    if days < self.days:
                        LOGGER.info(
                            f"Prefect Cloud refuses to look for events of more than {days} days ago: no longer kept."
                        )
                    self.days = days
                    break
            return self._is_found
