"""What Prefect deletes before a sync can read it."""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

LOGGER = logging.getLogger("airbyte")

# The default of a Prefect Server for events, and of Prefect Cloud's smallest plan for runs.
SHORTEST_RETENTION = timedelta(days=7)

# A request takes time: rows that are deleted within the next minute are not requested.
MARGIN = timedelta(minutes=1)


def warn_of_gap(stream: str, since: datetime | None, plan_days: int | None) -> None:
    """Warn that rows may be lost where the last cursor is older than the shortest retention.

    `plan_days` is the retention of the plan of Prefect Cloud, where that is known.
    """
    age = datetime.now(UTC) - since if since else timedelta(0)
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

    `days` is an upper limit until a request is refused. Then `find` searches for the oldest age that is not: a
    refusal does not show which part of the requested time is still kept.
    """

    def __init__(self, days: int) -> None:
        self.days = days
        self._is_found = False
        self._lock = threading.Lock()

    def since(self, now: datetime) -> datetime:
        """The oldest time to request."""
        return now - timedelta(days=self.days) + MARGIN

    def find(self, is_kept: Callable[[int], bool]) -> None:
        """Find `days` by asking which ages are kept, once for all threads. Unchanged if none are."""
        with self._lock:
            if self._is_found:
                return
            least, most = 0, self.days
            while least < most:
                days = (least + most + 1) // 2
                least, most = (days, most) if is_kept(days) else (least, days - 1)
            if least:
                self.days = least
                LOGGER.info(f"Prefect Cloud refuses to look for events of more than {least} days ago: no longer kept.")
            self._is_found = True
