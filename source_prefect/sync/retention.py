"""What Prefect deletes before a sync comes to read it."""

import logging
from datetime import datetime, timedelta, timezone

LOGGER = logging.getLogger("airbyte")

# A Prefect Server keeps events so long unless it is told otherwise, and Prefect Cloud's smallest plan runs.
SHORTEST_RETENTION = timedelta(days=7)


def warn_of_gap(stream: str, since: datetime | None) -> None:
    """Say that rows may be lost where the cursor of the last sync is older than what Prefect keeps for certain."""
    age = datetime.now(timezone.utc) - since if since else timedelta(0)
    if age > SHORTEST_RETENTION:
        LOGGER.warning(
            f"{stream}: the last sync came to {since:%Y-%m-%d %H:%M} UTC, {age.days} days ago. A Prefect Server keeps "
            "events for 7 days by default, Prefect Cloud keeps runs for 7 to 30 days by plan: what was deleted since "
            "then, before this sync, is missing. Sync more often than Prefect deletes."
        )
