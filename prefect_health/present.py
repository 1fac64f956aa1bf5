"""The sections for whoever is on call: what is broken, late or stuck, and what has been."""

from prefect_health.headline import listed
from prefect_health.marts import Marts
from prefect_health.parts import DEPLOYMENT, FLOW, Column, Part, Section

# Nobody reads more of them; all are in the models.
MOST_INCIDENTS = 400


def sections(marts: Marts) -> list[Section]:
    return [
        Section(
            "unresolved",
            "Unresolved",
            "Unresolved failures",
            "The last run of these failed, nothing has succeeded since, and they are still there: not deleted, paused "
            "or left alone for a month.",
            [unresolved(marts)],
        ),
        Section(
            "now",
            "Now",
            "Running and late",
            "As Prefect was at the time of the last sync. Late is what should have begun more than a minute before; "
            "stuck is what runs three times as long as 95 of 100 runs of its flow. Usual is the median of the flow's "
            "runs that succeeded.",
            [now(marts)],
        ),
        Section(
            "errors",
            "Errors",
            "Errors",
            "The failures of the last 30 days and today, by their message without its numbers and ids.",
            [errors(marts)],
        ),
        Section(
            "incidents",
            "Incidents",
            "Incidents",
            "From the first failed run of a deployment to the next that succeeded, and what was changed last about the "
            "deployment before it began. One that nothing can end any more says why.",
            [incidents(marts)],
        ),
        Section(
            "slots",
            "Slots",
            "Missed and late slots",
            "What active schedules promised in the last 30 days and today, since they were edited last, and what "
            "became of it.",
            [slots(marts), *unknown_schedules(marts)],
        ),
    ]


def unresolved(marts: Marts) -> Part:
    return Part(
        "unresolved-table",
        "What is broken, the longest first",
        [
            FLOW,
            DEPLOYMENT,
            Column("run", "Run", link="url"),
            Column("state_name", "State"),
            Column("failed", "Failed", "time"),
            Column("runs_lost", "Failures in a row", "count"),
            Column("succeeded", "Last success", "time"),
            Column("tables_hit", "Tables hit", "count"),
            Column("message", "Message", "message"),
        ],
        marts.rows("""
            SELECT workspace, flow_name AS flow, deployment_name AS deployment, last_run_name AS run,
                last_run_url AS url, state_name,
                last_failed_at AS failed, runs_lost, last_success_at AS succeeded, tables_hit, state_message AS message
            FROM prefect__incidents LEFT JOIN labels USING (workspace_id) WHERE is_open
            ORDER BY began_at, incident_id
        """),
        marts.unless_idle("✓ Nothing: whatever failed has succeeded since, or is gone."),
    )


def now(marts: Marts) -> Part:
    return Part(
        "now-table",
        "What runs or should run: stuck and late first",
        [
            Column("status", "Status", "status"),
            FLOW,
            DEPLOYMENT,
            Column("run", "Run", link="url"),
            Column("state_name", "State"),
            Column("since", "Since", "time"),
            Column("seconds", "For", "seconds"),
            Column("usual", "Usually", "seconds"),
            Column("usual_runs", "By runs", "count"),
            Column("times_usual", "Against usual", "times"),
        ],
        marts.rows("""
            SELECT workspace, CASE WHEN is_stuck THEN 'stuck' ELSE status END AS status, flow_name AS flow,
                deployment_name AS deployment,
                run_name AS run, run_url AS url, state_name, coalesce(started_at, due_at) AS since,
                coalesce(CASE WHEN status = 'late' THEN lateness_seconds ELSE duration_seconds END,
                    epoch(as_of) - epoch(coalesce(started_at, due_at))) AS seconds,
                CASE WHEN status <> 'late' THEN usual_p50_seconds END AS usual,
                CASE WHEN status <> 'late' THEN usual_runs END AS usual_runs,
                CASE WHEN status <> 'late' THEN duration_seconds / nullif(usual_p50_seconds, 0) END AS times_usual
            FROM prefect__runs JOIN prefect__workspaces AS seen ON seen.workspace_id IS NOT DISTINCT FROM
                prefect__runs.workspace_id LEFT JOIN labels ON labels.workspace_id = prefect__runs.workspace_id
            WHERE status NOT IN ('ended', 'ghost', 'due', 'abandoned') AND NOT is_inline
            ORDER BY is_stuck DESC, status = 'late' DESC, seconds DESC, run_id
        """),
        "Nothing was running, and nothing was late.",
    )


def errors(marts: Marts) -> Part:
    """One cause is one row, however many flows it hits."""
    rows = marts.rows("""
        SELECT workspace, coalesce(nullif(error_class, ''), '(no message)') AS error,
            list(DISTINCT coalesce(flow_name, '(unknown)') ORDER BY coalesce(flow_name, '(unknown)')) AS of_flows,
            count(*) AS runs, min(ended_at) AS first, max(ended_at) AS last,
            max_by(run_url, row(ended_at, run_url)) AS url
        FROM prefect__runs LEFT JOIN labels USING (workspace_id)
        WHERE outcome IN ('failed', 'crashed') AND NOT is_inline AND PERIOD
        GROUP BY workspace, error ORDER BY runs DESC, last DESC, error, workspace
    """)
    for row in rows:
        row["names"] = listed(row["of_flows"])
    return Part(
        "errors-table",
        "By error, the most frequent first",
        [
            Column("error", "Error", "message"),
            Column("names", "Flows", link="url"),
            Column("runs", "Runs", "count"),
            Column("first", "First", "time"),
            Column("last", "Last", "time"),
        ],
        rows,
        marts.unless_idle("✓ No run has failed in these days."),
    )


def incidents(marts: Marts) -> Part:
    return Part(
        "incidents-table",
        f"Those that are open, then those of these days, the newest first; {MOST_INCIDENTS} at most",
        [
            Column("status", "Status", "status"),
            FLOW,
            DEPLOYMENT,
            Column("run", "Last failure", link="url"),
            Column("began_at", "Began", "time"),
            Column("recovery", "Time to recovery", "seconds"),
            Column("runs_lost", "Runs lost", "count"),
            Column("tables_hit", "Tables hit", "count"),
            Column("change", "Changed before", "message"),
        ],
        marts.rows(f"""
            SELECT workspace,
                CASE WHEN is_open THEN 'open' WHEN closed_because = 'succeeded' THEN 'recovered' ELSE closed_because END
                    AS status,
                flow_name AS flow, deployment_name AS deployment, last_run_name AS run, last_run_url AS url, began_at,
                recovery_seconds AS recovery, runs_lost, tables_hit,
                strftime(last_changed_at AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M ') || last_change
                    || coalesce(' by ' || last_changed_by, '') AS change
            FROM prefect__incidents LEFT JOIN labels USING (workspace_id)
            WHERE is_open OR ended_at >= (SELECT since FROM period)
            ORDER BY is_open DESC, began_at DESC, incident_id LIMIT {MOST_INCIDENTS}
        """),
        marts.unless_idle("✓ No run has failed in these days."),
    )


def slots(marts: Marts) -> Part:
    return Part(
        "slots-table",
        "By schedule, the most missed first",
        [
            FLOW,
            Column("deployment", "Deployment", link="url"),
            Column("schedule", "Schedule"),
            Column("time_zone", "Its time zone"),
            Column("slots", "Slots", "count"),
            Column("met", "Met", "count"),
            Column("late", "Late", "count"),
            Column("missed", "Missed", "count"),
            Column("skipped", "Skipped", "count"),
            Column("last_missed", "Last missed", "time"),
        ],
        marts.rows("""
            SELECT workspace, slot.flow_name AS flow, slot.deployment_name AS deployment,
                any_value(pipeline_url) AS url, schedule, time_zone,
                count(*) AS slots, count(*) FILTER (status = 'met') AS met, count(*) FILTER (status = 'late') AS late,
                count(*) FILTER (status = 'missed') AS missed, count(*) FILTER (status = 'skipped') AS skipped,
                max(slot_at) FILTER (status = 'missed') AS last_missed
            FROM prefect__schedule_slots AS slot LEFT JOIN prefect__pipelines AS pipeline USING (subject_id)
                LEFT JOIN labels ON labels.workspace_id = slot.workspace_id
            GROUP BY schedule_id, workspace, slot.flow_name, slot.deployment_name, schedule, time_zone
            ORDER BY missed DESC, late DESC, workspace, flow, deployment, schedule
        """),
        "No active schedule has promised a run in these days.",
    )


def unknown_schedules(marts: Marts) -> list[Part]:
    rows = marts.rows("""
        SELECT workspace, flow_name AS flow, deployment_name AS deployment, schedule, not_expanded_because AS why
        FROM prefect__schedules LEFT JOIN labels USING (workspace_id)
        WHERE is_active AND not_expanded_because IS NOT NULL
        ORDER BY workspace, flow, deployment, schedule
    """)
    columns = [FLOW, DEPLOYMENT, Column("schedule", "Schedule"), Column("why", "Why")]
    caption = "Active schedules whose slots are not known, so that none of them counts as missed"
    return [Part("unknown-schedules-table", caption, columns, rows)] if rows else []
