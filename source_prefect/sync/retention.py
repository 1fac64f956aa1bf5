"""What Prefect deletes before a sync comes to read it."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

LOGGER = logging.getLogger("airbyte")

# A Prefect Server keeps events so long unless it is told otherwise, and Prefect Cloud's smallest plan runs.
SHORTEST_RETENTION = timedelta(days=7)

# A request takes its time: what is deleted within the next minute is not asked for any more.
MARGIN = timedelta(minutes=1)


def warn_of_gap(stream: str, since: datetime | None, plan_days: int | None) -> None:
    """Say that rows may be lost where the cursor of the last sync is older than what Prefect keeps for certain.

    `plan_days` is how long a plan of Prefect Cloud keeps them, where that is known.
    """
    age = datetime.now(timezone.utc) - since if since else timedelta(0)
    if age > (timedelta(days=plan_days) if plan_days else SHORTEST_RETENTION):
        kept = (
            f"This plan of Prefect Cloud keeps runs and events for {plan_days} days"
            if plan_days
            else "A Prefect Server keeps events for 7 days by default, Prefect Cloud runs for 7 to 30 days by plan"
        )
        LOGGER.warning(
            f"{stream}: the last sync came to {since:%Y-%m-%d %H:%M} UTC, {age.days} days ago. {kept}: what was "
            "deleted since then, before this sync, is missing. Sync more often than Prefect deletes."
        )


class KeptEvents:
    """How far back Prefect Cloud lets anybody ask for events, in whole days.

    `days` is the most that it can be, until a request is refused. Then `find` tries which age is the oldest that is
    not: a refused request alone says nothing about the newer part of the time that it asked for.
    """

    def __init__(self, days: int) -> None:
        self.days = days
        self._is_found = False
        self._lock = threading.Lock()

    def since(self, now: datetime) -> datetime:
        """The oldest time to ask for."""
        return now - timedelta(days=self.days) + MARGIN

    def find(self, is_kept: Callable[[int], bool]) -> None:
        """Learn `days` by asking whether events of an age are kept, once for all threads; as it was if none are."""
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
