"""What Prefect's automations cannot tell: the figures behind the exit code of prefect-health."""

from datetime import datetime

from prefect_health.marts import Marts

# The bit of the exit code, what it says, and the query that counts it: those of
# docs/pipeline_health.md.
ALERTS = (
    (4, "pipelines are broken", "SELECT count(*) AS found FROM prefect__incidents WHERE is_open"),
    (
        8,
        "slots were missed since the last that was kept",
        """
        SELECT count(*) AS found
        FROM prefect__schedule_slots AS slot
        LEFT JOIN (
            SELECT schedule_id, max(slot_at) AS kept_at FROM prefect__schedule_slots
            WHERE status <> 'missed' GROUP BY schedule_id
        ) AS kept ON kept.schedule_id = slot.schedule_id
        WHERE slot.status = 'missed' AND (kept.kept_at IS NULL OR slot.slot_at > kept.kept_at)
        """,
    ),
    (16, "tables are stale or dead", "SELECT count(*) AS found FROM prefect__tables WHERE status IN ('stale', 'dead')"),
)
OLD_SYNC = 32


def alerts(marts: Marts, now: datetime, old_after_hours: float) -> dict[int, str]:
    """What is the matter, by the bit of the exit code that says so."""
    found = {}
    for bit, what, query in ALERTS:
        (row,) = marts.rows(query)
        if row["found"]:
            found[bit] = f"{row['found']:,} {what}"
    if marts.as_of is None or (now - marts.as_of).total_seconds() > old_after_hours * 3600:
        found[OLD_SYNC] = f"the last sync was {'never' if marts.as_of is None else f'{marts.as_of:%Y-%m-%d %H:%M} UTC'}"
    return found
