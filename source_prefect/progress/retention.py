"""What Prefect deletes before a sync can read it."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from source_prefect.times import shift

LOGGER = logging.getLogger("airbyte")

# The default of a Prefect Server for events, and of Prefect Cloud's smallest plan for runs.
SHORTEST_RETENTION = timedelta(days=7)

# A request takes time: skip rows that are about to expire.
MARGIN = timedelta(minutes=1)

# How often the retention is searched for again where the answers contradict each other.
_SEARCHES = 3


def warn_of_gap(stream: str, since: datetime, now: datetime, plan_days: int | None) -> None:
    """Warn that rows may be lost where the last cursor is older than the shortest retention.

    `plan_days` is the retention of the plan of Prefect Cloud, where that is known.
    """
    age = now - since
    if age > (timedelta(days=plan_days) if plan_days else SHORTEST_RETENTION):
        kept = (
            f"This plan of Prefect Cloud keeps runs and events for {plan_days} days"
            if plan_days
            else "A Prefect Server keeps events for 7 days by default, Prefect Cloud runs for 7 to 30 days by plan"
        )
        LOGGER.warning(
            f"{stream}: read so far up to {since:%Y-%m-%d %H:%M} UTC, {age.days} days ago. {kept}: what was "
            "deleted since then, before this sync, is missing. Sync more often than Prefect deletes."
        )


class KeptEvents:
    """How far back Prefect Cloud accepts requests for events, in whole days.

    `days` is an upper limit until a request is refused. Then `find` searches for the oldest age that is accepted: a
    refusal does not show which part of the requested time is still kept.
    """

    def __init__(self, days: int) -> None:
        self.days = days
        self._is_found = False
        self._lock = threading.Lock()

    def since(self, now: datetime) -> datetime:
        """The oldest time to request."""
        return shift(now, MARGIN - timedelta(days=self.days))

    def find(self, is_accepted: Callable[[int], bool]) -> bool:
        """Whether events older than `days` are refused, and nothing else. Searches once for all threads.

        Each refusal must be repeated, and the next younger age accepted: Cloud may also refuse for other reasons.
        """

        def is_kept(days: int) -> bool:
            return is_accepted(days) or is_accepted(days)

        with self._lock:
            for _ in range(0 if self._is_found else _SEARCHES):
                least, most = 0, self.days
                while least < most:
                    days = (least + most + 1) // 2
                    least, most = (days, most) if is_kept(days) else (least, days - 1)
                if not least or (least < self.days and is_kept(least + 1)):
                    continue
                if least < self.days:
                    self.days = least
                    LOGGER.info(
                        f"Prefect Cloud refuses to look for events of more than {least} days ago: no longer kept."
                    )
                self._is_found = True
                break
            return self._is_found
