{{ config(indexes=prefect_source.indexes(['task_run_id'])) }}

with judged as (

    select
        task.*,
        run.workspace_name,
        run.run_name,
        run.subject_id,
        run.flow_id,
        run.flow_subject_id,
        run.flow_name,
        run.deployment_id,
        run.deployment_name,
        run.work_pool_name,
        run.owner,
        run.run_url,
        workspace.as_of,
        usual.runs as usual_runs,
        usual.p50_seconds as usual_p50_seconds,
        usual.p95_seconds as usual_p95_seconds,
        {{ prefect_source.stuck_after('usual') }} as stuck_after_seconds,
        -- What began before its run ended cannot go on after it; what began later runs in the background.
        case when task.ended_at is null and task.start_time <= run.ended_at then run.ended_at end as left_at
    from {{ ref('stg_prefect__task_runs') }} as task
    left join {{ ref('prefect__workspaces') }} as workspace on {{ prefect_source.same_workspace('workspace', 'task') }}
    left join {{ ref('prefect__runs') }} as run on run.run_id = task.flow_run_id
    left join {{ ref('int_prefect__usual_durations') }} as usual
        on usual.flow_id = run.flow_id and usual.task_name = task.task_name
    where task.start_time is not null or task.ended_at is not null

),

measured as (

    select
        judged.*,
        case
            when ended_at is not null then 'ended'
            when left_at is not null then 'abandoned'
            else lower(state_type)
        end as status,
        case when ended_at is null then {{ prefect_source.seconds_between('start_time', 'coalesce(left_at, as_of)') }} end
            as open_seconds
    from judged

)

select
    id as task_run_id,
    name as task_run_name,
    task_name,
    workspace_id,
    workspace_name,
    source_relation,
    flow_run_id as run_id,
    run_name,
    subject_id,
    flow_id,
    flow_subject_id,
    flow_name,
    deployment_id,
    deployment_name,
    work_pool_name,
    coalesce(owner, '(no owner)') as owner,
    tags,
    state_type,
    state_name,
    state_message,
    status,
    {{ prefect_source.outcome('state_type') }} as outcome,
    case when state_type in ('FAILED', 'CRASHED') then {{ prefect_source.error_class('state_message') }} end as error_class,
    run_count as attempt,
    flow_run_run_count as run_attempt,
    greatest(coalesce(run_count, 0) - 1, 0) as retries,
    created as created_at,
    expected_start_time as due_at,
    start_time as started_at,
    ended_at,
    {{ prefect_source.utc_date('ended_at') }} as ended_on,
    case when ended_at is not null then total_run_time else open_seconds end as duration_seconds,
    usual_runs,
    usual_p50_seconds,
    usual_p95_seconds,
    status in ('running', 'pending') and coalesce(open_seconds > stuck_after_seconds, false) as is_stuck,
    ui_url as task_run_url,
    run_url,
    coalesce(synced_at, updated) as synced_at
from measured
