{{ config(materialized='incremental', unique_key='task_run_id', indexes=prefect_source.indexes(['task_run_id'])) }}

with task_runs as (

    select task.*, period.as_of
    from {{ ref('stg_prefect__task_runs') }} as task
    cross join {{ ref('int_prefect__period') }} as period
    {{ prefect_source.join_what_is_built('task', 'task_run_id') }}
    where (task.start_time is not null or task.end_time is not null)
    {{ prefect_source.and_changed_since_last_build('task', 'task_run_id') }}

),

measured as (

    select
        task.*,
        run.run_name,
        run.workspace_name,
        run.flow_id,
        run.flow_name,
        run.deployment_id,
        run.deployment_name,
        run.work_pool_name,
        run.owner,
        run.run_url,
        usual.runs as usual_runs,
        usual.p50_seconds as usual_p50_seconds,
        usual.p95_seconds as usual_p95_seconds,
        {{ prefect_source.stuck_after('usual') }} as stuck_after_seconds,
        case when task.end_time is null then {{ prefect_source.seconds_between('task.start_time', 'task.as_of') }} end
            as open_seconds
    from task_runs as task
    left join {{ ref('prefect__runs') }} as run on run.run_id = task.flow_run_id
    left join {{ ref('int_prefect__usual_durations') }} as usual
        on usual.flow_id = run.flow_id and usual.task_name = task.task_name

)

select
    id as task_run_id,
    name as task_run_name,
    task_name,
    flow_run_id as run_id,
    run_name,
    workspace_id,
    workspace_name,
    flow_id,
    flow_name,
    deployment_id,
    deployment_name,
    work_pool_name,
    coalesce(owner, '(no owner)') as owner,
    tags,
    state_type,
    state_name,
    state_message,
    case when end_time is not null then 'ended' else lower(state_type) end as status,
    {{ prefect_source.outcome('state_type') }} as outcome,
    case when state_type in ('FAILED', 'CRASHED') then {{ prefect_source.error_class('state_message') }} end as error_class,
    run_count as attempt,
    flow_run_run_count as run_attempt,
    greatest(coalesce(run_count, 0) - 1, 0) as retries,
    created as created_at,
    expected_start_time as due_at,
    start_time as started_at,
    end_time as ended_at,
    {{ prefect_source.utc_date('end_time') }} as ended_on,
    case when end_time is not null then total_run_time else open_seconds end as duration_seconds,
    usual_runs,
    usual_p50_seconds,
    usual_p95_seconds,
    state_type in ('RUNNING', 'PENDING') and coalesce(open_seconds > stuck_after_seconds, false) as is_stuck,
    ui_url as task_run_url,
    run_url,
    coalesce(synced_at, updated) as synced_at
from measured
