"""The page: its sections, its tiles, and what it can be narrowed down to."""

from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2

from prefect_health import catalog, dependencies, history, present, tiles
from prefect_health.formats import TREND_MINIMUM, json_text, raw, safe_url, shown
from prefect_health.headline import listed, troubles
from prefect_health.marts import Marts

HERE = Path(__file__).parent

# What the page can be narrowed down to, and the words of its boxes.
FILTERS = {"workspace": "Workspace", "flow": "Flow", "owner": "Owner", "tag": "Tag", "pool": "Work pool"}


# What other parts of the page tell is no tag to choose.
OTHER_TAGS = ("om-source", "om-destination", "source", "destination", "owner")

# So many rows of a table are on the page from the beginning.
FIRST_ROWS = 10


def render(
    marts: Marts, database: str, job_address: str | None = None, *, now: datetime, old_after_hours: float = 24
) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"shown": shown, "raw": raw, "json_text": json_text, "safe_url": safe_url, "listed": listed}
    found = subjects(marts)
    sections = [*present.sections(marts), *history.sections(marts), *dependencies.sections(marts)]
    if marts.has_workspaces:
        sections = [replace(section, parts=[part.with_workspaces() for part in section.parts]) for section in sections]
    return environment.get_template("page.html.jinja").render(
        as_of=marts.as_of,
        age=(now - marts.as_of).total_seconds() if marts.as_of else None,
        old_after=old_after_hours * 3600,
        since=marts.since,
        troubles=troubles(marts),
        good_news=marts.unless_idle("✓ Nothing is broken: whatever failed has succeeded since, or is gone."),
        tiles=tiles.filled(found),
        tile_rules=[asdict(tile) for tile in tiles.TILES],
        summed=tiles.SUMMED,
        trend_minimum=TREND_MINIMUM,
        first_rows=FIRST_ROWS,
        sections=catalog.linked(sections, job_address),
        filters={
            key: (title, choices(found, key))
            for key, title in FILTERS.items()
            if key != "workspace" or marts.has_workspaces
        },
        subjects=found,
        database=database,
        css=(HERE / "page.css").read_text(),
        js=(HERE / "page.js").read_text(),
    )


def subjects(marts: Marts) -> list[dict[str, Any]]:
    """Each deployment, and each flow without one: what the page filters by, and the figures."""
    found = marts.rows("""
        WITH tags AS (SELECT object_id, list(tag ORDER BY tag) AS tags FROM prefect__tags GROUP BY ALL),
        runs AS (
            SELECT coalesce(subject_id, '') AS subject_id,
                list(DISTINCT work_pool_name) FILTER (work_pool_name IS NOT NULL) AS pools,
                count(*) FILTER (recent) AS runs,
                count(*) FILTER (recent AND outcome = 'succeeded') AS succeeded,
                count(*) FILTER (recent AND outcome IN ('failed', 'crashed')) AS failed,
                count(*) FILTER (earlier AND outcome = 'succeeded') AS earlier_succeeded,
                count(*) FILTER (earlier AND outcome IN ('failed', 'crashed')) AS earlier_failed,
                count(*) FILTER (status = 'running') AS running, count(*) FILTER (is_stuck) AS stuck,
                count(*) FILTER (status = 'late') AS late, max(duration_seconds) FILTER (status = 'running') AS longest
            FROM (
                SELECT *, coalesce(ended_at >= since, false) AS recent,
                    coalesce(ended_at >= earlier_since AND ended_at < since, false) AS earlier
                FROM prefect__runs CROSS JOIN period WHERE NOT is_inline
            ) GROUP BY ALL
        ), incidents AS (
            SELECT subject_id, count(*) AS unresolved FROM prefect__incidents WHERE is_open GROUP BY ALL
        ), kept AS (
            SELECT schedule_id, max(slot_at) FILTER (status <> 'missed') AS last_kept
            FROM prefect__schedule_slots GROUP BY ALL
        ), slots AS (
            SELECT subject_id, count(*) AS slots, count(*) FILTER (status = 'missed') AS missed_ever,
                count(*) FILTER (last_kept IS NULL OR slot_at > last_kept) AS missed
            FROM prefect__schedule_slots JOIN kept USING (schedule_id) GROUP BY ALL
        ), written AS (
            SELECT coalesce(subject_id, '') AS subject_id,
                map_from_entries(list((table_id, status) ORDER BY table_id)) AS tables
            FROM (SELECT DISTINCT subject_id, table_id FROM prefect__table_users WHERE role = 'writes')
            JOIN prefect__tables USING (table_id) GROUP BY ALL
        ), pipelines AS (
            SELECT subject_id, workspace_id, flow_id, flow_name, deployment_id, deployment_name, owner, work_pool_name
            FROM prefect__pipelines
            UNION ALL
            -- What is known of neither a flow nor a deployment.
            SELECT '', NULL, NULL, NULL, NULL, NULL, '(no owner)', NULL
            WHERE '' IN (SELECT subject_id FROM runs UNION ALL SELECT subject_id FROM written)
        )
        SELECT workspace, flow_name AS flow, deployment_name AS deployment, owner,
            list_sort(list_distinct(coalesce(of_flow.tags, []) || coalesce(of_deployment.tags, []))) AS tag,
            list_sort(list_distinct(coalesce(runs.pools, []) || [work_pool_name])) AS pool,
            runs.* EXCLUDE (subject_id, pools), unresolved, slots, missed, missed_ever, tables
        FROM pipelines
        LEFT JOIN labels USING (workspace_id)
        LEFT JOIN tags AS of_flow ON of_flow.object_id = pipelines.flow_id
        LEFT JOIN tags AS of_deployment ON of_deployment.object_id = pipelines.deployment_id
        LEFT JOIN runs USING (subject_id)
        LEFT JOIN incidents USING (subject_id)
        LEFT JOIN slots USING (subject_id)
        LEFT JOIN written USING (subject_id)
        ORDER BY workspace, flow, deployment, subject_id
    """)
    for subject in found:
        subject["label"] = marts.named(subject)
        subject["longest_shown"] = shown(subject["longest"], "seconds")
    return found


def choices(found: list[dict[str, Any]], key: str) -> list[str]:
    values = {
        value for subject in found for value in (subject[key] if isinstance(subject[key], list) else [subject[key]])
    }
    told = OTHER_TAGS if key == "tag" else ()
    return sorted(value for value in values if value and value.partition(":")[0].strip().lower() not in told)
