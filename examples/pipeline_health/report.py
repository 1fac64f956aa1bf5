"""One self-contained HTML page about the health of pipelines, from the DuckDB file of a sync.

make report DATABASE=prefect.duckdb PAGE=report.html
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from plotly.offline import get_plotlyjs

from examples.pipeline_health import catalog, charts, dependencies, history, present
from examples.pipeline_health.build import build_duckdb
from examples.pipeline_health.formats import json_text, raw, safe_url, shown, trend
from examples.pipeline_health.marts import Marts
from examples.pipeline_health.parts import Tile

HERE = Path(__file__).parent

# What the page can be narrowed down to, and the words of its boxes.
FILTERS = {"flow": "Flow", "owner": "Owner", "tag": "Tag", "pool": "Work pool"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", type=Path, help="the DuckDB file of a sync, which gets the models as well")
    parser.add_argument("page", type=Path, help="the HTML file to write")
    parser.add_argument("--schema", default="main", help="the schema of the tables in the file")
    parser.add_argument("--catalog", type=catalog.template, help="the address of a job in a data catalog, with {name}")
    options = parser.parse_args(arguments)
    build_duckdb(options.database, options.schema)
    with Marts(options.database, options.schema) as marts:
        options.page.write_text(render(marts, options.database.name, options.catalog), encoding="utf-8")
    print(f"{options.page} is written: open it in a browser.")


def render(marts: Marts, database: str, job_address: str | None = None) -> str:
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE), autoescape=True)
    environment.filters |= {"shown": shown, "raw": raw, "json_text": json_text, "safe_url": safe_url}
    found = subjects(marts)
    sections = [*present.sections(marts), *history.sections(marts), *dependencies.sections(marts)]
    return environment.get_template("page.html.jinja").render(
        as_of=marts.as_of,
        tiles=tiles(marts),
        sections=catalog.linked(sections, job_address),
        filters={key: (title, choices(found, key)) for key, title in FILTERS.items()},
        subjects=found,
        database=database,
        dark=charts.DARK,
        css=(HERE / "page.css").read_text(),
        js=(HERE / "page.js").read_text(),
        plotly=get_plotlyjs(),
    )


def tiles(marts: Marts) -> list[Tile]:
    (runs,) = marts.rows("""
        SELECT count(*) FILTER (recent) AS runs,
            count(*) FILTER (recent AND outcome IN ('failed', 'crashed')) AS failed,
            count(*) FILTER (recent AND outcome IN ('succeeded', 'failed', 'crashed')) AS n,
            count(*) FILTER (recent AND outcome = 'succeeded') / nullif(n, 0) AS rate,
            count(*) FILTER (NOT recent AND outcome IN ('succeeded', 'failed', 'crashed')) AS earlier_n,
            count(*) FILTER (NOT recent AND outcome = 'succeeded') / nullif(earlier_n, 0) AS earlier_rate
        FROM (
            SELECT outcome, ended_at >= since AS recent FROM prefect__runs CROSS JOIN int_prefect__period
            WHERE ended_at >= earlier_since
        )
    """)
    (now,) = marts.rows("""
        SELECT count(*) FILTER (status = 'running') AS running, count(*) FILTER (is_stuck) AS stuck,
            count(*) FILTER (status = 'late') AS late, max(duration_seconds) FILTER (status = 'running') AS longest
        FROM prefect__runs WHERE status NOT IN ('ended', 'ghost')
    """)
    (counts,) = marts.rows("""
        SELECT (SELECT count(*) FROM prefect__incidents WHERE is_open) AS unresolved,
            (SELECT count(*) FROM prefect__schedule_slots WHERE status = 'missed') AS missed,
            (SELECT count(*) FROM prefect__schedule_slots) AS slots,
            (SELECT count(*) FROM prefect__tables WHERE writers > 0 AND status IN ('stale', 'dead')) AS stale,
            (SELECT count(*) FROM prefect__tables WHERE writers > 0 AND status = 'unknown') AS unknown
    """)
    change = trend(runs["rate"], runs["n"], runs["earlier_rate"], runs["earlier_n"])
    if change is None:
        compared = f"of {runs['n']} runs; {runs['earlier_n']} before are too few to compare"
    else:
        compared = f"{shown(change, 'trend')} against {runs['earlier_n']:,} runs before"

    def mood(broken: int) -> str:
        return "bad" if broken else "good"

    return [
        Tile("runs", "Runs ended", runs["runs"], "count", "in 30 days", "#days"),
        Tile("success-rate", "Success rate", runs["rate"], "rate", compared, "#success"),
        Tile("failed", "Runs failed", runs["failed"], "count", "failed or crashed", "#errors"),
        Tile("unresolved", "Unresolved", counts["unresolved"], "count", "failed, nothing succeeded since",
             "#unresolved", mood(counts["unresolved"])),
        Tile("running", "Running now", now["running"], "count",
             f"longest for {shown(now['longest'], 'seconds')}" if now["running"] else "at the last sync", "#now"),
        Tile("stuck", "Stuck now", now["stuck"], "count", "much longer than usual", "#now", mood(now["stuck"])),
        Tile("late", "Late now", now["late"], "count", "due, not begun", "#now", mood(now["late"])),
        Tile("missed", "Missed slots", counts["missed"], "count", f"of {counts['slots']:,} in 30 days", "#slots",
             mood(counts["missed"])),
        Tile("stale", "Stale tables", counts["stale"], "count", f"or dead; {counts['unknown']} unknown", "#freshness",
             mood(counts["stale"])),
    ]  # fmt: skip


def subjects(marts: Marts) -> list[dict[str, Any]]:
    """Each flow and deployment with what the page can be filtered by."""
    return marts.rows("""
        WITH tags AS (SELECT object_id, list(tag ORDER BY tag) AS tags FROM prefect__tags GROUP BY ALL),
        pools AS (
            SELECT flow_id, deployment_id, list(DISTINCT work_pool_name) AS pools FROM prefect__runs
            WHERE work_pool_name IS NOT NULL GROUP BY ALL
        ), subject AS (
            SELECT DISTINCT flow_id, deployment_id FROM prefect__runs
            UNION SELECT flow_id, deployment_id FROM int_prefect__deployments
            UNION SELECT flow_id, NULL FROM int_prefect__flows
        )
        SELECT flow.flow_name AS flow, deployment.deployment_name AS deployment,
            coalesce(deployment.owner, flow.owner, '(no owner)') AS owner,
            list_distinct(coalesce(of_flow.tags, []) || coalesce(of_deployment.tags, [])) AS tag,
            list_distinct(coalesce(pools.pools, []) || [work_pool_name]) AS pool
        FROM subject
        JOIN int_prefect__flows AS flow USING (flow_id)
        LEFT JOIN int_prefect__deployments AS deployment ON deployment.deployment_id = subject.deployment_id
        LEFT JOIN tags AS of_flow ON of_flow.object_id = subject.flow_id
        LEFT JOIN tags AS of_deployment ON of_deployment.object_id = subject.deployment_id
        LEFT JOIN pools ON pools.flow_id = subject.flow_id
            AND pools.deployment_id IS NOT DISTINCT FROM subject.deployment_id
        ORDER BY flow, deployment
    """)


def choices(found: list[dict[str, Any]], key: str) -> list[str]:
    values = {
        value for subject in found for value in (subject[key] if isinstance(subject[key], list) else [subject[key]])
    }
    return sorted(value for value in values if value)


if __name__ == "__main__":
    main()
