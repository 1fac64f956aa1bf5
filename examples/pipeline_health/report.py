"""One self-contained HTML page about the health of pipelines, from the DuckDB file of a sync.

make report DATABASE=prefect.duckdb PAGE=report.html
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import jinja2
from plotly.offline import get_plotlyjs

from examples.pipeline_health import charts
from examples.pipeline_health.tables import open_health

Row = dict[str, Any]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Column:
    """A column of a table: `kind` says how its values are shown, `link` which column holds the address behind them."""

    key: str
    title: str
    kind: str = "name"
    link: str | None = None


@dataclass(frozen=True)
class Part:
    """A table, or a chart, which has a `figure`."""

    id: str
    caption: str = ""
    columns: Sequence[Column] = ()
    rows: Sequence[Row] = ()
    empty: str = "There is nothing to show."
    folded: bool = False
    title: str = ""
    alt: str = ""
    figure: Any = None


@dataclass(frozen=True)
class Section:
    id: str
    short: str
    title: str
    lead: str
    parts: Sequence[Part] = field(default_factory=list)


@dataclass(frozen=True)
class Tile:
    id: str
    title: str
    value: Any
    kind: str
    note: str
    url: str
    mood: str = ""


class Health:
    """What the views say."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.as_of: datetime | None = self.rows("SELECT as_of FROM health_period")[0]["as_of"]

    def rows(self, sql: str) -> list[Row]:
        answer = self._connection.execute(sql)
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", type=Path, help="the DuckDB file of a sync")
    parser.add_argument("page", type=Path, help="the HTML file to write")
    parser.add_argument("--schema", default="main", help="the schema of the tables in the file")
    options = parser.parse_args(arguments)
    with open_health(options.database, options.schema) as connection:
        options.page.write_text(render(Health(connection), options.database.name), encoding="utf-8")
    print(f"{options.page} is written: open it in a browser.")


def render(health: Health, database: str) -> str:
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE), autoescape=True)
    environment.filters |= {"shown": shown, "raw": raw, "json_text": json_text, "safe_url": safe_url}
    return environment.get_template("page.html.jinja").render(
        as_of=health.as_of,
        tiles=tiles(health),
        sections=sections(health),
        database=database,
        dark=charts.DARK,
        css=(HERE / "page.css").read_text(),
        js=(HERE / "page.js").read_text(),
        plotly=get_plotlyjs(),
    )


# What is on the page


def tiles(health: Health) -> list[Tile]:
    (runs,) = health.rows("""
        SELECT coalesce(sum(is_recent), 0) AS runs, coalesce(sum(is_recent * failed), 0) AS failed,
            CAST(sum(is_recent * succeeded) AS DOUBLE)
                / nullif(sum(is_recent * succeeded) + sum(is_recent * failed), 0) AS rate,
            CAST(sum(is_earlier * succeeded) AS DOUBLE)
                / nullif(sum(is_earlier * succeeded) + sum(is_earlier * failed), 0) AS earlier_rate
        FROM health_runs
    """)
    unresolved = health.rows("SELECT ui_url FROM health_unresolved ORDER BY end_time")
    now = health.rows("SELECT status, ui_url, seconds FROM health_now ORDER BY seconds DESC")
    running = [row for row in now if row["status"] == "running"]
    overdue = [row for row in now if row["status"] == "overdue"]
    stale = health.rows("SELECT destination FROM health_freshness WHERE status <> 'fresh'")
    if runs["rate"] is None or runs["earlier_rate"] is None:
        trend = "nothing to compare with"
    else:
        trend = f"{shown(runs['rate'] - runs['earlier_rate'], 'trend')} against the 30 days before"
    return [
        Tile("runs", "Runs ended", runs["runs"], "count", "in 30 days", "#days"),
        Tile("success-rate", "Success rate", runs["rate"], "rate", trend, "#success"),
        Tile("failed", "Runs failed", runs["failed"], "count", "failed or crashed", "#days"),
        Tile(
            "unresolved", "Unresolved", len(unresolved), "count", "failed, nothing succeeded since", "#unresolved",
            "bad" if unresolved else "good",
        ),
        Tile(
            "running", "Running now", len(running), "count",
            f"longest for {shown(running[0]['seconds'], 'seconds')}" if running else "at the last sync", "#now",
        ),
        Tile("overdue", "Overdue now", len(overdue), "count", "due, not begun", "#now", "bad" if overdue else "good"),
        Tile("stale", "Stale tables", len(stale), "count", "by lineage", "#freshness", "bad" if stale else "good"),
    ]  # fmt: skip


FLOW = Column("flow", "Flow", link="subject_url")
RUN = Column("name", "Run", link="ui_url")


def sections(health: Health) -> list[Section]:
    return [
        Section(
            "unresolved",
            "Unresolved",
            "Unresolved failures",
            "The last run of these failed, and nothing has succeeded since.",
            [unresolved(health)],
        ),
        Section("now", "Now", "Running and overdue", "As Prefect was at the time of the last sync.", [now(health)]),
        Section("days", "Days", "Day by day", "How the runs of the last 30 days ended.", days(health)),
        Section(
            "success",
            "Success",
            "Success and its trend",
            "The share of runs that succeeded, cancelled ones left out, and the change against the 30 days before.",
            [success(health, "flow"), success(health, "deployment")],
        ),
        Section(
            "durations",
            "Durations",
            "How long runs take",
            "Runs that succeeded, by the time that they ran. Half of the runs took no longer than p50, 95 of 100 no "
            "longer than p95.",
            [*scatter(health), percentiles(health, "duration", "flow"), percentiles(health, "duration", "deployment")],
        ),
        Section(
            "lateness",
            "Lateness",
            "Late starts and queues",
            "Late is a scheduled run that began after it was due. In the queue was a run from when it was due and "
            "known until it began.",
            [percentiles(health, "lateness", "deployment"), percentiles(health, "queue", "flow")],
        ),
        Section(
            "owners",
            "Owners",
            "Owners",
            "By the tag owner:<name> of the deployment, or else of the flow.",
            [owners(health)],
        ),
        Section("hours", "Hours", "Busiest hours", "When runs begin, by weekday and hour in UTC.", hours(health)),
        Section(
            "freshness",
            "Freshness",
            "Freshness of tables",
            "Each table that a flow or deployment declares to write, and when it last did. Stale is a table that has "
            "waited for more than twice its usual time.",
            [freshness(health)],
        ),
        Section(
            "lineage",
            "Lineage",
            "Lineage",
            "Which table is made from which: declared by tags, observed as runs materialized assets.",
            lineage(health),
        ),
    ]


def unresolved(health: Health) -> Part:
    return Part(
        "unresolved-table",
        "What is broken, the longest first",
        [
            Column("flow", "Flow"),
            Column("deployment", "Deployment"),
            RUN,
            Column("state_name", "State"),
            Column("end_time", "Failed", "time", "ui_url"),
            Column("failures", "Failures in a row", "count", "ui_url"),
            Column("succeeded_at", "Last success", "time"),
            Column("state_message", "Message", "message"),
        ],
        health.rows("SELECT * FROM health_unresolved ORDER BY succeeded_at NULLS FIRST, end_time, flow"),
        "✓ Nothing: whatever failed has succeeded since.",
    )


def now(health: Health) -> Part:
    return Part(
        "now-table",
        "What runs or should run, the longest first",
        [
            Column("status", "Status", "status"),
            Column("flow", "Flow"),
            Column("deployment", "Deployment"),
            RUN,
            Column("state_name", "State"),
            Column("since", "Since", "time"),
            Column("seconds", "For", "seconds", "ui_url"),
        ],
        health.rows("SELECT * FROM health_now ORDER BY seconds DESC, name"),
        "Nothing was running, and nothing was overdue.",
    )


def days(health: Health) -> list[Part]:
    rows = health.rows("SELECT * FROM health_days ORDER BY ended_on DESC, flow")
    counts = [Column(end, end.capitalize(), "count", "run_url") for end in charts.ENDS]
    table = Part(
        "days-table",
        "Runs by day and flow",
        [
            Column("ended_on", "Day", "day"),
            Column("flow", "Flow"),
            Column("runs", "Runs", "count", "run_url"),
            *counts,
            Column("success_rate", "Succeeded", "rate", "run_url"),
        ],
        rows,
        "No run has ended in these days.",
        folded=bool(rows),
    )
    if not rows:
        return [table]
    worst = max(rows, key=lambda row: row["failed"] + row["crashed"])
    broken = worst["failed"] + worst["crashed"]
    story = f"{sum(row['runs'] for row in rows)} runs ended; " + (
        f"most failures on {worst['ended_on']:%d %B}, with {broken} of {worst['flow']}." if broken else "none failed."
    )
    return [
        Part("days-chart", title="Runs by day", alt=f"Stacked bars of the runs of each day by how they ended. {story}",
             figure=charts.bars_of_days(rows)),
        Part("calendar-chart", title="Success by flow and day, in percent where it is not 100",
             alt=f"A grid of flows and days, coloured and labelled by the share of runs that succeeded. {story}",
             figure=charts.calendar(rows)),
        table,
    ]  # fmt: skip


def success(health: Health, level: str) -> Part:
    return Part(
        f"success-{level}",
        f"By {level}, the worst first",
        [
            Column("flow", "Flow", link="subject_url" if level == "flow" else None),
            *([Column("deployment", "Deployment", link="subject_url")] if level == "deployment" else []),
            Column("runs", "Runs", "count", "subject_url"),
            Column("success_rate", "Succeeded", "rate", "subject_url"),
            Column("trend", "Trend", "trend", "subject_url"),
            Column("failed", "Failed", "count", "last_failure_url"),
            Column("flow_retries", "Retries of the flow", "count", "subject_url"),
            Column("task_retries", "Retries of tasks", "count", "subject_url"),
        ],
        health.rows(f"SELECT * FROM health_success WHERE level = '{level}' ORDER BY success_rate, flow, deployment"),
        f"No run of a {level} has ended in these days.",
    )


def percentiles(health: Health, measure: str, level: str) -> Part:
    names = {"duration": "Durations", "lateness": "Late starts", "queue": "Time in the queue"}
    return Part(
        f"{measure}-{level}",
        f"{names[measure]} by {level}",
        [
            Column("flow", "Flow", link="subject_url" if level == "flow" else None),
            *([Column("deployment", "Deployment", link="subject_url")] if level == "deployment" else []),
            Column("runs", "Runs", "count", "subject_url"),
            Column("p50", "p50", "seconds", "p50_url"),
            Column("p95", "p95", "seconds", "p95_url"),
            Column("p99", "p99", "seconds", "p99_url"),
        ],
        health.rows(
            f"SELECT * FROM health_percentiles WHERE measure = '{measure}' AND level = '{level}' "
            "ORDER BY p95 DESC, flow, deployment"
        ),
        "No run of these days tells.",
    )


# More points than this tell nothing more, and make a page slow.
MOST_POINTS = 3_000


def scatter(health: Health) -> list[Part]:
    rows = health.rows(
        "SELECT flow, end_time, seconds, ui_url FROM health_runs WHERE is_recent = 1 AND succeeded = 1 AND seconds > 0 "
        f"ORDER BY end_time DESC, id LIMIT {MOST_POINTS}"
    )
    if not rows:
        return []
    longest = max(rows, key=lambda row: row["seconds"])
    return [
        Part(
            "durations-chart",
            title=f"The last {len(rows)} runs: a click on a point opens the run",
            alt=f"A point for each run by when it ended and how long it took. The longest, of {longest['flow']}, "
            f"took {shown(longest['seconds'], 'seconds')}.",
            figure=charts.durations(rows),
        )
    ]


def owners(health: Health) -> Part:
    return Part(
        "owners-table",
        "By owner, the most failures first",
        [
            Column("owner", "Owner"),
            Column("flows", "Flows", "count", "run_url"),
            Column("runs", "Runs", "count", "run_url"),
            Column("failed", "Failed", "count", "run_url"),
            Column("success_rate", "Succeeded", "rate", "run_url"),
        ],
        health.rows("SELECT * FROM health_owners ORDER BY failed DESC, owner"),
        "No run has ended in these days.",
    )


def hours(health: Health) -> list[Part]:
    rows = health.rows("SELECT * FROM health_hours ORDER BY runs DESC, weekday, hour")
    for row in rows:
        row["day"] = charts.WEEKDAYS[row["weekday"]]
    table = Part(
        "hours-table",
        "Runs by hour of the week",
        [
            Column("day", "Day"),
            Column("hour", "Hour (UTC)", "hour"),
            Column("runs", "Runs begun", "count", "longest_url"),
        ],
        rows,
        "No run has begun in these days.",
        folded=bool(rows),
    )
    if not rows:
        return [table]
    busiest = rows[0]
    alt = (
        f"A grid of weekdays and hours. The busiest is {busiest['day']} {busiest['hour']}:00, with {busiest['runs']} "
        "runs."
    )
    return [Part("hours-chart", title="Runs begun", alt=alt, figure=charts.hours(rows)), table]


def freshness(health: Health) -> Part:
    return Part(
        "freshness-table",
        "By table, the oldest first",
        [
            Column("destination", "Table"),
            Column("status", "Status", "status"),
            Column("written_at", "Last written", "time", "ui_url"),
            Column("age_seconds", "Age", "seconds", "ui_url"),
            Column("usual_seconds", "Usually every", "seconds", "ui_url"),
            Column("flow", "By"),
        ],
        health.rows("SELECT * FROM health_freshness ORDER BY age_seconds DESC NULLS FIRST, destination"),
        "No flow or deployment declares a table that it writes. The tags are om-source:<table> and "
        "om-destination:<table>.",
    )


def lineage(health: Health) -> list[Part]:
    rows = health.rows("SELECT * FROM health_edges ORDER BY source NULLS FIRST, destination NULLS FIRST")
    for row in rows:
        row["known"] = " and ".join(word for word in ("declared", "observed") if row[word])
    table = Part(
        "lineage-table",
        "Edges between tables",
        [
            Column("source", "From"),
            Column("destination", "To"),
            Column("known", "Known because", link="declared_url"),
            Column("flow", "By"),
            Column("last_observed", "Last observed", "time", "run_url"),
        ],
        rows,
        "No tag declares lineage, and no asset was observed.",
        folded=bool(rows),
    )
    if not rows:
        return [table]
    both = sum(row["declared"] * row["observed"] for row in rows)
    alt = (
        f"A graph of tables with {len(rows)} edges: {both} declared and observed, "
        f"{sum(row['declared'] for row in rows) - both} only declared, {sum(row['observed'] for row in rows) - both} "
        "only observed. The table below lists them."
    )
    return [Part("lineage-chart", title="Tables, each right of what it is made from", alt=alt,
                 figure=charts.lineage(rows)), table]  # fmt: skip


# How values are shown


def shown(value: Any, kind: str) -> str:
    """The value as a person reads it."""
    if value is None:
        return "—"
    if kind == "rate":
        return f"{100 * value:.1f} %"
    if kind == "trend":
        return "= 0.0 points" if abs(value) < 0.0005 else f"{'▲' if value > 0 else '▼'} {100 * value:+.1f} points"
    if kind == "seconds":
        return _duration(float(value))
    if kind == "time":
        return f"{value:%Y-%m-%d %H:%M}"
    if kind == "day":
        return f"{value:%a %d %b}"
    if kind == "hour":
        return f"{value:02}:00"
    if kind == "count":
        return f"{int(value):,}"
    if kind == "status":
        return {"fresh": "✓ fresh", "running": "▶ running"}.get(value, f"⚠ {value}")
    return str(value)


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    for size, large, small in ((3600, "min", "s"), (86400, "h", "min"), (float("inf"), "d", "h")):
        if seconds < size:
            unit = {"min": 60, "h": 3600, "d": 86400}[large]
            rest = {"s": 1, "min": 60, "h": 3600}[small]
            return f"{seconds // unit:.0f} {large} {seconds % unit // rest:.0f} {small}"
    raise AssertionError(seconds)


def raw(value: Any) -> str:
    """The value itself, for sorting by it and for whoever reads the page with a program."""
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, date) else str(value)


def json_text(value: Any) -> str:
    """JSON that may stand in a <script>: nothing in it can end the element."""
    text: str = value.to_json() if hasattr(value, "to_json") else json.dumps(value)
    return text.replace("<", "\\u003c")


def safe_url(url: str) -> str:
    """The address, where it is one that a link may have."""
    return url if url.startswith(("http://", "https://", "#")) else "#"


if __name__ == "__main__":
    main()
