-- The health of pipelines, as views over the tables that source-prefect fills.
--
-- Written for DuckDB in SQL that most warehouses take. Where dialects differ:
--
--   here (DuckDB)                         Snowflake                                BigQuery
--   epoch(b) - epoch(a)                   datediff(microsecond, a, b) / 1e6        timestamp_diff(b, a, microsecond) / 1e6
--   t - INTERVAL 30 DAY                   t - INTERVAL '30 days'                   the same as here
--   EXTRACT(dayofweek FROM t), 0: Sunday  the same as here                         EXTRACT(dayofweek FROM t) - 1
--   split_part(text, separator, n)        the same as here                         split(text, separator)[safe_offset(n - 1)]
--   CAST(x AS DOUBLE)                     the same as here                         CAST(x AS FLOAT64)
--
-- Rates are between 0 and 1, durations in seconds, times in UTC. Percentiles are nearest-rank: each is the value of one
-- run, and `..._url` is the page of that run in Prefect.


-- The time that all views speak of: that of the last sync, the 30 days before it, and the 30 days before those.
CREATE VIEW health_period AS
SELECT
    max(_airbyte_extracted_at) AS as_of,
    max(_airbyte_extracted_at) - INTERVAL 30 DAY AS since,
    max(_airbyte_extracted_at) - INTERVAL 60 DAY AS earlier_since
FROM flow_runs;


-- Every run that has begun or ended, with what the other views ask of it. What is only scheduled is no run yet.
CREATE VIEW health_runs AS
SELECT
    run.id,
    run.name,
    run.ui_url,
    run.flow_id,
    flow.name AS flow,
    flow.ui_url AS flow_url,
    run.deployment_id,
    deployment.name AS deployment,
    deployment.ui_url AS deployment_url,
    run.state_type,
    run.state_name,
    run.state_message,
    run.start_time,
    run.end_time,
    run.run_count,
    run.total_run_time AS seconds,
    CASE WHEN run.state_type = 'COMPLETED' THEN 1 ELSE 0 END AS succeeded,
    CASE WHEN run.state_type IN ('FAILED', 'CRASHED') THEN 1 ELSE 0 END AS failed,
    CASE WHEN run.end_time >= period.since THEN 1 ELSE 0 END AS is_recent,
    CASE WHEN run.end_time >= period.earlier_since AND run.end_time < period.since THEN 1 ELSE 0 END AS is_earlier,
    -- Late is what began after it was due by its schedule.
    CASE
        WHEN run.auto_scheduled AND run.start_time IS NOT NULL
        THEN greatest(epoch(run.start_time) - epoch(run.expected_start_time), 0)
    END AS late_seconds,
    -- In the queue was a run from when it was both due and known to Prefect until it began.
    CASE
        WHEN run.start_time IS NOT NULL
        THEN greatest(epoch(run.start_time) - greatest(epoch(run.expected_start_time), epoch(run.created)), 0)
    END AS queue_seconds
FROM flow_runs AS run
CROSS JOIN health_period AS period
LEFT JOIN flows AS flow ON flow.id = run.flow_id
LEFT JOIN deployments AS deployment ON deployment.id = run.deployment_id
WHERE run.state_type <> 'SCHEDULED' OR run.start_time IS NOT NULL;


-- Each run twice: as one of its flow, and as one of its deployment.
CREATE VIEW health_subjects AS
SELECT 'flow' AS level, flow_id AS subject_id, flow, CAST(NULL AS VARCHAR) AS deployment, flow_url AS subject_url,
    id, ui_url, state_type, seconds, succeeded, failed, is_recent, is_earlier, late_seconds, queue_seconds, run_count,
    end_time
FROM health_runs
UNION ALL
SELECT 'deployment', deployment_id, flow, deployment, deployment_url,
    id, ui_url, state_type, seconds, succeeded, failed, is_recent, is_earlier, late_seconds, queue_seconds, run_count,
    end_time
FROM health_runs
WHERE deployment_id IS NOT NULL;


-- Success and its trend, per flow and per deployment. Cancelled runs are neither successes nor failures.
CREATE VIEW health_success AS
WITH task_retries AS (
    SELECT flow_run_id, sum(run_count - 1) AS retries FROM task_runs WHERE run_count > 1 GROUP BY flow_run_id
),
counted AS (
    SELECT
        run.level, run.subject_id, run.flow, run.deployment, run.subject_url,
        sum(run.is_recent) AS runs,
        sum(run.is_recent * run.succeeded) AS succeeded,
        sum(run.is_recent * run.failed) AS failed,
        sum(run.is_earlier * run.succeeded) AS earlier_succeeded,
        sum(run.is_earlier * run.failed) AS earlier_failed,
        sum(CASE WHEN run.is_recent = 1 AND run.run_count > 1 THEN run.run_count - 1 ELSE 0 END) AS flow_retries,
        sum(run.is_recent * coalesce(task_retries.retries, 0)) AS task_retries
    FROM health_subjects AS run
    LEFT JOIN task_retries ON task_retries.flow_run_id = run.id
    GROUP BY run.level, run.subject_id, run.flow, run.deployment, run.subject_url
),
last_failures AS (
    SELECT level, subject_id, ui_url,
        row_number() OVER (PARTITION BY level, subject_id ORDER BY end_time DESC, id) AS place
    FROM health_subjects
    WHERE failed = 1 AND is_recent = 1
)
SELECT
    counted.level, counted.subject_id, counted.flow, counted.deployment, counted.subject_url,
    counted.runs, counted.succeeded, counted.failed,
    CAST(counted.succeeded AS DOUBLE) / nullif(counted.succeeded + counted.failed, 0) AS success_rate,
    CAST(counted.earlier_succeeded AS DOUBLE)
        / nullif(counted.earlier_succeeded + counted.earlier_failed, 0) AS earlier_rate,
    CAST(counted.succeeded AS DOUBLE) / nullif(counted.succeeded + counted.failed, 0)
        - CAST(counted.earlier_succeeded AS DOUBLE)
        / nullif(counted.earlier_succeeded + counted.earlier_failed, 0) AS trend,
    counted.flow_retries, counted.task_retries,
    last_failures.ui_url AS last_failure_url
FROM counted
LEFT JOIN last_failures
    ON last_failures.level = counted.level AND last_failures.subject_id = counted.subject_id AND last_failures.place = 1
WHERE counted.runs > 0;


-- How each flow did on each day.
CREATE VIEW health_days AS
WITH ended AS (
    SELECT
        CAST(end_time AS DATE) AS ended_on, flow, flow_id, state_type, ui_url, failed, succeeded,
        row_number() OVER (
            PARTITION BY CAST(end_time AS DATE), flow_id ORDER BY failed DESC, end_time DESC, id
        ) AS place
    FROM health_runs
    WHERE is_recent = 1
)
SELECT
    ended_on, flow, flow_id,
    count(*) AS runs,
    sum(succeeded) AS succeeded,
    sum(CASE WHEN state_type = 'FAILED' THEN 1 ELSE 0 END) AS failed,
    sum(CASE WHEN state_type = 'CRASHED' THEN 1 ELSE 0 END) AS crashed,
    sum(CASE WHEN state_type = 'CANCELLED' THEN 1 ELSE 0 END) AS cancelled,
    CAST(sum(succeeded) AS DOUBLE) / nullif(sum(succeeded) + sum(failed), 0) AS success_rate,
    -- The day's last failure, or else its last run.
    max(CASE WHEN place = 1 THEN ui_url END) AS run_url
FROM ended
GROUP BY ended_on, flow, flow_id;


-- How long runs took (those that succeeded), how late they began and how long they queued: p50, p95 and p99.
CREATE VIEW health_percentiles AS
WITH measured AS (
    SELECT 'duration' AS measure, level, subject_id, flow, deployment, subject_url, id, ui_url, seconds
    FROM health_subjects WHERE is_recent = 1 AND succeeded = 1 AND seconds IS NOT NULL
    UNION ALL
    SELECT 'lateness', level, subject_id, flow, deployment, subject_url, id, ui_url, late_seconds
    FROM health_subjects WHERE is_recent = 1 AND late_seconds IS NOT NULL
    UNION ALL
    SELECT 'queue', level, subject_id, flow, deployment, subject_url, id, ui_url, queue_seconds
    FROM health_subjects WHERE is_recent = 1 AND queue_seconds IS NOT NULL
),
ranked AS (
    SELECT *,
        row_number() OVER (PARTITION BY measure, level, subject_id ORDER BY seconds, id) AS place,
        count(*) OVER (PARTITION BY measure, level, subject_id) AS runs
    FROM measured
)
SELECT
    measure, level, subject_id, flow, deployment, subject_url, runs,
    max(CASE WHEN place = ceil(50 * runs / 100.0) THEN seconds END) AS p50,
    max(CASE WHEN place = ceil(50 * runs / 100.0) THEN ui_url END) AS p50_url,
    max(CASE WHEN place = ceil(95 * runs / 100.0) THEN seconds END) AS p95,
    max(CASE WHEN place = ceil(95 * runs / 100.0) THEN ui_url END) AS p95_url,
    max(CASE WHEN place = ceil(99 * runs / 100.0) THEN seconds END) AS p99,
    max(CASE WHEN place = ceil(99 * runs / 100.0) THEN ui_url END) AS p99_url
FROM ranked
GROUP BY measure, level, subject_id, flow, deployment, subject_url, runs;


-- What is broken: the last run failed, and nothing has succeeded since.
CREATE VIEW health_unresolved AS
WITH last_success AS (
    SELECT flow_id, coalesce(deployment_id, '') AS deployment_key, max(end_time) AS succeeded_at
    FROM health_runs WHERE succeeded = 1
    GROUP BY flow_id, coalesce(deployment_id, '')
),
failures AS (
    SELECT
        run.*,
        last_success.succeeded_at,
        row_number() OVER (
            PARTITION BY run.flow_id, coalesce(run.deployment_id, '') ORDER BY run.end_time DESC, run.id
        ) AS place,
        count(*) OVER (PARTITION BY run.flow_id, coalesce(run.deployment_id, '')) AS failures
    FROM health_runs AS run
    LEFT JOIN last_success
        ON last_success.flow_id = run.flow_id AND last_success.deployment_key = coalesce(run.deployment_id, '')
    WHERE run.failed = 1 AND (last_success.succeeded_at IS NULL OR run.end_time > last_success.succeeded_at)
)
SELECT flow, deployment, name, ui_url, state_name, state_message, end_time, failures, succeeded_at
FROM failures
WHERE place = 1;


-- What is on its way: running now, and due by now but not begun.
CREATE VIEW health_now AS
SELECT
    'running' AS status, run.flow, run.deployment, run.name, run.ui_url, run.state_name, run.start_time AS since,
    epoch(period.as_of) - epoch(run.start_time) AS seconds
FROM health_runs AS run
CROSS JOIN health_period AS period
WHERE run.start_time IS NOT NULL AND run.end_time IS NULL
UNION ALL
SELECT
    'overdue', flow.name, deployment.name, run.name, run.ui_url, run.state_name, run.expected_start_time,
    epoch(period.as_of) - epoch(run.expected_start_time)
FROM flow_runs AS run
CROSS JOIN health_period AS period
LEFT JOIN flows AS flow ON flow.id = run.flow_id
LEFT JOIN deployments AS deployment ON deployment.id = run.deployment_id
WHERE run.start_time IS NULL AND run.end_time IS NULL AND run.expected_start_time < period.as_of;


-- Who owns what: the tag `owner:<name>` of the deployment, or else of the flow. `tags` is a JSON list of texts.
CREATE VIEW health_owners AS
WITH owned AS (
    SELECT
        coalesce(
            nullif(split_part(split_part(deployment.tags, '"owner:', 2), '"', 1), ''),
            nullif(split_part(split_part(flow.tags, '"owner:', 2), '"', 1), ''),
            '(no owner)'
        ) AS owner,
        run.*
    FROM health_runs AS run
    LEFT JOIN flows AS flow ON flow.id = run.flow_id
    LEFT JOIN deployments AS deployment ON deployment.id = run.deployment_id
    WHERE run.is_recent = 1
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY owner ORDER BY failed DESC, end_time DESC, id) AS place FROM owned
)
SELECT
    owner,
    count(DISTINCT flow_id) AS flows,
    count(*) AS runs,
    sum(failed) AS failed,
    CAST(sum(succeeded) AS DOUBLE) / nullif(sum(succeeded) + sum(failed), 0) AS success_rate,
    -- The last failure, or else the last run.
    max(CASE WHEN place = 1 THEN ui_url END) AS run_url
FROM ranked
GROUP BY owner;


-- When runs begin: the weekday (0 is Sunday) and the hour, in UTC, and the longest of the runs that began then.
CREATE VIEW health_hours AS
WITH begun AS (
    SELECT
        EXTRACT(dayofweek FROM start_time) AS weekday, EXTRACT(hour FROM start_time) AS hour, ui_url,
        row_number() OVER (
            PARTITION BY EXTRACT(dayofweek FROM start_time), EXTRACT(hour FROM start_time) ORDER BY seconds DESC, id
        ) AS place
    FROM health_runs
    WHERE is_recent = 1 AND start_time IS NOT NULL
)
SELECT weekday, hour, count(*) AS runs, max(CASE WHEN place = 1 THEN ui_url END) AS longest_url
FROM begun
GROUP BY weekday, hour;


-- How fresh each table is, by declared lineage: the last success of what writes it, and how often it is usually written.
-- Stale is what was not written for more than twice the usual time.
CREATE VIEW health_freshness AS
WITH writers AS (
    SELECT DISTINCT destination, flow_id, deployment_id FROM lineage WHERE destination IS NOT NULL
),
writes AS (
    SELECT DISTINCT writers.destination, run.id, run.ui_url, run.flow, run.end_time, run.is_recent
    FROM writers
    JOIN health_runs AS run
        ON run.flow_id = writers.flow_id
        AND (writers.deployment_id IS NULL OR writers.deployment_id = run.deployment_id)
        AND run.succeeded = 1
),
last_writes AS (
    SELECT *, row_number() OVER (PARTITION BY destination ORDER BY end_time DESC, id) AS place FROM writes
),
paces AS (
    SELECT destination, (max(epoch(end_time)) - min(epoch(end_time))) / nullif(count(*) - 1, 0) AS usual_seconds
    FROM writes WHERE is_recent = 1
    GROUP BY destination
),
tables AS (
    SELECT DISTINCT destination FROM writers
)
SELECT
    tables.destination,
    last_writes.flow, last_writes.end_time AS written_at, last_writes.ui_url,
    epoch(period.as_of) - epoch(last_writes.end_time) AS age_seconds,
    paces.usual_seconds,
    CASE
        WHEN last_writes.end_time IS NULL THEN 'never written'
        WHEN epoch(period.as_of) - epoch(last_writes.end_time) > 2 * paces.usual_seconds THEN 'stale'
        ELSE 'fresh'
    END AS status
FROM tables
CROSS JOIN health_period AS period
LEFT JOIN last_writes ON last_writes.destination = tables.destination AND last_writes.place = 1
LEFT JOIN paces ON paces.destination = tables.destination;


-- Which table is made from which: declared by tags (`lineage`), observed as assets were materialized (`asset_lineage`).
-- Both name tables as `[service.]database.schema.table`, where service or host are left out: they differ between the two.
CREATE VIEW health_edges AS
WITH edges AS (
    SELECT
        coalesce(source_database || '.' || source_schema || '.' || source_table, source) AS source,
        coalesce(destination_database || '.' || destination_schema || '.' || destination_table, destination)
            AS destination,
        1 AS declared, 0 AS observed, flow_name AS flow, ui_url AS declared_url,
        CAST(NULL AS VARCHAR) AS run_url, CAST(NULL AS TIMESTAMP) AS occurred
    FROM lineage
    UNION ALL
    SELECT
        CASE
            WHEN length(edge.source_table) - length(replace(edge.source_table, '.', '')) = 3
            THEN split_part(edge.source_table, '.', 2) || '.' || split_part(edge.source_table, '.', 3)
                || '.' || split_part(edge.source_table, '.', 4)
            ELSE edge.source
        END,
        CASE
            WHEN length(edge.destination_table) - length(replace(edge.destination_table, '.', '')) = 3
            THEN split_part(edge.destination_table, '.', 2) || '.' || split_part(edge.destination_table, '.', 3)
                || '.' || split_part(edge.destination_table, '.', 4)
            ELSE edge.destination
        END,
        0, 1, edge.flow_name, NULL, run.ui_url, edge.occurred
    FROM asset_lineage AS edge
    LEFT JOIN flow_runs AS run ON run.id = edge.flow_run_id
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY source, destination ORDER BY observed DESC, occurred DESC) AS place
    FROM edges
)
SELECT
    source, destination,
    max(declared) AS declared,
    max(observed) AS observed,
    min(flow) AS flow,
    max(occurred) AS last_observed,
    min(declared_url) AS declared_url,
    max(CASE WHEN place = 1 THEN run_url END) AS run_url
FROM ranked
GROUP BY source, destination;
