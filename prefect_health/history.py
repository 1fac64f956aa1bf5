"""The sections about the last 30 days: success, durations, lateness, tasks, owners, hours."""

from dataclasses import replace
from datetime import timedelta

from prefect_health import charts
from prefect_health.formats import shown, trend
from prefect_health.marts import Marts
from prefect_health.parts import Column, Part, Row, Section, subject

# More points than this tell nothing more, and make a page slow.
MOST_POINTS = 3_000


def sections(marts: Marts) -> list[Section]:
    return [
        Section(
            "days",
            "Days",
            "Day by day",
            "How the runs of the last 30 days and today ended, by day in UTC. Runs inside other runs count with those.",
            days(marts),
        ),
        Section(
            "success",
            "Success",
            "Success and its trend",
            "The share of runs that succeeded, cancelled ones left out, and the change against the 30 days before, "
            "where both have at least ten runs.",
            [success(marts, "flow"), success(marts, "deployment"), *subflows(marts)],
        ),
        Section(
            "durations",
            "Durations",
            "How long runs take",
            "Runs that succeeded, by the time that they ran. Half of the runs took no longer than p50, 95 of 100 no "
            "longer than p95.",
            [*scatter(marts), percentiles(marts, "duration", "flow"), percentiles(marts, "duration", "deployment")],
        ),
        Section(
            "lateness",
            "Lateness",
            "Late starts and queues",
            "How long after it was due a scheduled run began. A run is in the queue from when it is both due and known "
            "to Prefect until it begins.",
            [percentiles(marts, "lateness", "deployment"), percentiles(marts, "queue", "flow")],
        ),
        Section(
            "tasks",
            "Tasks",
            "Task hot spots",
            "Where failures, retries and time go, by task.",
            [tasks(marts)],
        ),
        Section(
            "owners",
            "Owners",
            "Owners",
            "By the tag owner:<name> of the deployment, or else of the flow.",
            [owners(marts)],
        ),
        Section(
            "hours",
            "Hours",
            "Busiest hours",
            "How many runs begin in an hour of the week, in UTC, on average of the weeks that are known.",
            hours(marts),
        ),
    ]


def days(marts: Marts) -> list[Part]:
    rows = marts.rows("""
        SELECT day, sum(runs) AS runs, sum(succeeded) AS succeeded, sum(failed) AS failed, sum(crashed) AS crashed,
            sum(cancelled) AS cancelled, sum(succeeded) / nullif(sum(success_rate_n), 0) AS success_rate,
            max_by(flow_name, row(failed + crashed, flow_name)) FILTER (failed + crashed > 0) AS worst,
            -- The page of a day is that of a failure, where there was one.
            max_by(run_url, row(failed + crashed, run_url)) AS run_url
        FROM prefect__reliability
        WHERE level = 'flow' AND day >= (SELECT first_day FROM period)
        GROUP BY day ORDER BY day DESC
    """)
    table = Part(
        "days-table",
        "Runs by day",
        [
            Column("day", "Day", "day", "run_url"),
            Column("runs", "Runs", "count"),
            *(Column(end, end.capitalize(), "count") for end in charts.ENDS),
            Column("success_rate", "Succeeded", "rate"),
            Column("worst", "Most failures"),
        ],
        rows,
        "No run has ended in these days.",
        folded=True,
    )
    if not rows:
        return [table]
    worst = max(rows, key=lambda row: row["failed"] + row["crashed"])
    broken = worst["failed"] + worst["crashed"]
    story = f"{sum(row['runs'] for row in rows):,.0f} runs ended; " + (
        f"most failures on {worst['day']:%d %B}: {broken:,.0f}, the most of {worst['worst']}."
        if broken
        else "none failed."
    )
    return [
        Part("days-chart", title="Runs by day", alt=f"Stacked bars of the runs of each day by how they ended. {story}",
             figure=charts.bars_of_days(rows)),
        table,
    ]  # fmt: skip


def success(marts: Marts, level: str) -> Part:
    subject_id = "flow_subject_id" if level == "flow" else "subject_id"
    rows = marts.rows(
        f"""
        WITH counted AS (
            SELECT workspace, flow_name AS flow, deployment_name AS deployment,
                day >= (SELECT first_day FROM period) AS recent, reliability.*
            FROM prefect__reliability AS reliability LEFT JOIN labels USING (workspace_id)
            WHERE level = '{level}' AND day >= (SELECT earlier_first_day FROM period)
        ), task_retries AS (
            SELECT {subject_id} AS subject_id, sum(retries) AS task_retries
            FROM prefect__task_runs WHERE PERIOD GROUP BY ALL
        )
        SELECT workspace, flow, deployment, max(subject_url) AS subject_url, sum(runs) FILTER (recent) AS runs,
            sum(succeeded) FILTER (recent) / nullif(sum(success_rate_n) FILTER (recent), 0) AS success_rate,
            coalesce(sum(success_rate_n) FILTER (recent), 0) AS n,
            sum(succeeded) FILTER (NOT recent) / nullif(sum(success_rate_n) FILTER (NOT recent), 0) AS earlier_rate,
            coalesce(sum(success_rate_n) FILTER (NOT recent), 0) AS earlier_n,
            coalesce(sum(failed + crashed) FILTER (recent), 0) AS failed,
            coalesce(sum(retries) FILTER (recent), 0) AS retries,
            coalesce(any_value(task_retries), 0) AS task_retries,
            list(day) FILTER (recent) AS days, list(success_rate) FILTER (recent) AS rates
        FROM counted LEFT JOIN task_retries USING (subject_id)
        GROUP BY subject_id, workspace, flow, deployment HAVING sum(runs) FILTER (recent) > 0
        ORDER BY success_rate, workspace, flow, deployment
        """
    )
    for row in rows:
        row["trend"] = trend(row["success_rate"], row["n"], row["earlier_rate"], row["earlier_n"])
        row["spark"] = by_day(marts, row)
    return Part(
        f"success-{level}",
        f"By {level}, the worst first",
        [
            *subject(level, "subject_url"),
            Column("runs", "Runs", "count"),
            Column("success_rate", "Succeeded", "rate"),
            Column("spark", "By day", "spark"),
            Column("trend", "Trend", "trend"),
            Column("earlier_n", "Before", "count"),
            Column("failed", "Failed", "count"),
            Column("retries", "Flow retries", "count"),
            Column("task_retries", "Task retries", "count"),
        ],
        rows,
        f"No run of a {level} has ended in these days.",
    )


def subflows(marts: Marts) -> list[Part]:
    part = success(marts, "subflow")
    caption = "By flow that ran inside others, the worst first: these runs count with their parents"
    return [replace(part, caption=caption)] if part.rows else []


def by_day(marts: Marts, row: Row) -> list[float | None]:
    """The rate of each day of the period, oldest first."""
    assert marts.since is not None
    assert marts.as_of is not None
    rates = dict(zip(row["days"], row["rates"], strict=True))
    first = marts.since.date()
    return [rates.get(first + timedelta(days=n)) for n in range((marts.as_of.date() - first).days + 1)]


def percentiles(marts: Marts, measure: str, level: str) -> Part:
    names = {"duration": "Durations", "lateness": "Late starts", "queue": "Time in the queue"}
    only = "outcome = 'succeeded'" if measure == "duration" else "started_at IS NOT NULL"
    whose = {"flow": "NOT is_inline", "deployment": "deployment_id IS NOT NULL"}[level]
    subject_id = {"flow": "flow_subject_id", "deployment": "subject_id"}[level]
    name = "deployment_name" if level == "deployment" else "CAST(NULL AS VARCHAR)"
    value = f"{measure}_seconds"
    did = {"duration": "has succeeded", "lateness": "was scheduled and has begun", "queue": "has begun"}[measure]
    return Part(
        f"{measure}-{level}",
        f"{names[measure]} by {level}",
        [
            *subject(level, "url"),
            Column("runs", "Runs", "count"),
            Column("p50", "p50", "seconds"),
            Column("p95", "p95", "seconds"),
            Column("p99", "p99", "seconds"),
        ],
        marts.rows(f"""
            SELECT workspace, flow_name AS flow, {name} AS deployment, max({level}_url) AS url, count(*) AS runs,
                quantile_disc({value}, 0.5) AS p50, quantile_disc({value}, 0.95) AS p95,
                quantile_disc({value}, 0.99) AS p99
            FROM prefect__runs LEFT JOIN labels USING (workspace_id)
            WHERE {only} AND {whose} AND {value} IS NOT NULL AND PERIOD
            GROUP BY {subject_id}, workspace, flow, deployment ORDER BY p95 DESC, workspace, flow, deployment
        """),
        f"No run of a {level} {did} in these days.",
    )


def scatter(marts: Marts) -> list[Part]:
    rows = marts.rows(f"""
        SELECT workspace, flow_name AS flow, ended_at, duration_seconds AS seconds, run_url
        FROM prefect__runs LEFT JOIN labels USING (workspace_id)
        WHERE outcome = 'succeeded' AND duration_seconds > 0 AND NOT is_inline AND PERIOD
        ORDER BY ended_at DESC, run_id LIMIT {MOST_POINTS}
    """)
    if not rows:
        return []
    for row in rows:
        row["label"] = marts.named(row)
    longest = max(rows, key=lambda row: row["seconds"])
    return [
        Part(
            "durations-chart",
            title=f"The last {len(rows):,} runs",
            alt=f"A point for each run by when it ended and how long it took. The longest, of {longest['label']}, "
            f"took {shown(longest['seconds'], 'seconds')}.",
            figure=charts.durations(rows),
            legend=charts.marks(rows),
        )
    ]


def tasks(marts: Marts) -> Part:
    return Part(
        "tasks-table",
        "The most failures, retries and time first",
        [
            Column("task", "Task", link="url"),
            Column("flow", "Flow"),
            Column("upstream", "Waits for"),
            Column("runs", "Runs", "count"),
            Column("failed", "Failed", "count"),
            Column("retries", "Retries", "count"),
            Column("saved", "Saved by a retry", "count"),
            Column("seconds", "Time", "seconds"),
            Column("p95", "Worst p95 of a day", "seconds"),
        ],
        marts.rows("""
            SELECT workspace, task_name AS task, flow_name AS flow, sum(runs) AS runs, sum(failed) AS failed,
                sum(retries) AS retries,
                sum(succeeded_after_retry) AS saved, sum(total_seconds) AS seconds, max(p95_seconds) AS p95,
                any_value(upstream_tasks) AS upstream,
                max_by(task_run_url, row(failed, total_seconds, task_run_url)) AS url
            FROM prefect__task_hotspots LEFT JOIN labels USING (workspace_id)
            WHERE day >= (SELECT first_day FROM period)
            GROUP BY workspace, task, flow_id, flow
            ORDER BY failed DESC, retries DESC, seconds DESC, task, workspace, flow LIMIT 25
        """),
        "No task run has ended in these days.",
    )


def owners(marts: Marts) -> Part:
    return Part(
        "owners-table",
        "By owner, the most failures first",
        [
            Column("owner", "Owner", link="run_url"),
            Column("flows", "Flows", "count"),
            Column("runs", "Runs", "count"),
            Column("failed", "Failed", "count"),
            Column("open_incidents", "Open incidents", "count"),
            Column("success_rate", "Succeeded", "rate"),
        ],
        marts.rows("""
            SELECT workspace, owners.* FROM prefect__owners AS owners LEFT JOIN labels USING (workspace_id)
            WHERE runs > 0 OR open_incidents > 0 ORDER BY failed DESC, open_incidents DESC, owner, workspace
        """),
        "No run has ended in these days.",
    )


def hours(marts: Marts) -> list[Part]:
    rows = marts.rows("""
        WITH begun AS (
            SELECT started_at AT TIME ZONE 'UTC' AS began, run_url, duration_seconds
            FROM prefect__runs WHERE started_at >= (SELECT since FROM period) AND NOT is_inline
        ), known AS (
            -- A weekday may have come five times in these days and another four, and the first run may be younger.
            SELECT unnest(generate_series(
                date_trunc('hour', (SELECT min(began) FROM begun)), as_of AT TIME ZONE 'UTC', INTERVAL 1 HOUR
            )) AS began FROM period
        ), weeks AS (
            SELECT dayofweek(began) AS weekday, hour(began) AS hour, count(*) AS weeks FROM known GROUP BY ALL
        )
        SELECT dayofweek(began) AS weekday, hour(began) AS hour, count(*) AS begun, max(weeks) AS weeks,
            count(*) / max(weeks) AS runs, max_by(run_url, row(coalesce(duration_seconds, 0), run_url)) AS longest_url
        FROM begun JOIN weeks ON dayofweek(began) = weekday AND hour(began) = hour
        GROUP BY ALL ORDER BY runs DESC, weekday, hour
    """)
    for row in rows:
        row["day"] = charts.WEEKDAYS[row["weekday"]]
    table = Part(
        "hours-table",
        "Runs by hour of the week",
        [
            Column("day", "Day"),
            Column("hour", "Hour (UTC)", "hour"),
            Column("runs", "Runs on average", "average", "longest_url"),
            Column("begun", "Runs begun", "count"),
            Column("weeks", "In weeks", "count"),
        ],
        rows,
        "No run has begun in these days.",
        folded=True,
    )
    if not rows:
        return [table]
    busiest = rows[0]
    alt = (
        f"A grid of weekdays and hours. The busiest is {busiest['day']} {busiest['hour']}:00, with "
        f"{shown(busiest['runs'], 'average')} runs on average."
    )
    return [Part("hours-chart", title="Runs begun, on average", alt=alt, figure=charts.hours(rows)), table]
