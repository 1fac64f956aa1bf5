{{ config(indexes=prefect_source.indexes(['run_id'])) }}

with runs as (

    select
        run.*,
        workspace.workspace_name,
        workspace.as_of,
        {{ prefect_source.add_seconds('run.expected_start_time', var('late_after_seconds')) }} as late_from,
        {{ prefect_source.add_seconds('run.expected_start_time', var('ghost_after_seconds')) }} as ghost_from
    from {{ ref('stg_prefect__flow_runs') }} as run
    left join {{ ref('prefect__workspaces') }} as workspace on {{ prefect_source.same_workspace('workspace', 'run') }}
    -- What is scheduled for later is no run yet.
    where (run.start_time is not null or run.ended_at is not null or run.expected_start_time <= workspace.as_of)

),

left_behind as (

    -- What runs inside another run cannot go on when that has ended.
    select run.run_id, parent.ended_at as left_at
    from {{ ref('int_prefect__flow_runs') }} as run
    inner join {{ ref('stg_prefect__task_runs') }} as task on task.id = run.parent_task_run_id
    inner join {{ ref('int_prefect__flow_runs') }} as parent on parent.run_id = task.flow_run_id
    where run.ended_at is null and run.deployment_id is null and parent.ended_at >= run.started_at

),

judged as (

    select
        run.*,
        coalesce(deployment.subject_id, run.deployment_id, flow.subject_id, run.flow_id) as subject_id,
        coalesce(flow.subject_id, run.flow_id) as flow_subject_id,
        flow.flow_name,
        flow.flow_url,
        deployment.deployment_name,
        deployment.deployment_url,
        coalesce(deployment.owner, flow.owner) as owner,
        coalesce(run.work_pool_name, deployment.work_pool_name) as pool_name,
        usual.runs as usual_runs,
        usual.p50_seconds as usual_p50_seconds,
        usual.p95_seconds as usual_p95_seconds,
        {{ prefect_source.stuck_after('usual') }} as stuck_after_seconds,
        left_behind.left_at,
        -- Prefect deletes the coming runs of a schedule that is paused or edited; their last rows stay.
        case
            when not (run.auto_scheduled and run.state_type = 'SCHEDULED' and run.start_time is null) then null
            when deployment.is_paused then 'deployment paused'
            when not deployment.is_scheduled then 'no active schedule'
            when run.created < deployment.schedule_edited_at and run.expected_start_time > deployment.schedule_edited_at
            then 'schedule edited'
            -- A run that is there becomes Late, and the next sync brings it again.
            when run.state_name = 'Scheduled' and run.ghost_from < run.as_of and run.synced_at < run.ghost_from
            then 'not seen since it was due'
        end as ghost_reason
    from runs as run
    left join {{ ref('int_prefect__flows') }} as flow on flow.flow_id = run.flow_id
    left join {{ ref('int_prefect__deployments') }} as deployment on deployment.deployment_id = run.deployment_id
    left join {{ ref('int_prefect__usual_durations') }} as usual
        on usual.flow_id = run.flow_id and usual.task_name is null
    left join left_behind on left_behind.run_id = run.id

),

stated as (

    select
        judged.*,
        case
            when ended_at is not null then 'ended'
            when ghost_reason is not null then 'ghost'
            when left_at is not null then 'abandoned'
            when state_type = 'SCHEDULED' and start_time is null and late_from <= as_of then 'late'
            when state_type = 'SCHEDULED' and start_time is null then 'due'
            when state_type = 'SCHEDULED' then 'waiting'
            else lower(state_type)
        end as status,
        case
            when ended_at is null and start_time is not null
            then {{ prefect_source.seconds_between('start_time', 'coalesce(left_at, as_of)') }}
        end as open_seconds
    from judged

)

select
    id as run_id,
    name as run_name,
    workspace_id,
    workspace_name,
    source_relation,
    subject_id,
    flow_id,
    flow_subject_id,
    flow_name,
    deployment_id,
    deployment_name,
    pool_name as work_pool_name,
    work_queue_name,
    coalesce(owner, '(no owner)') as owner,
    tags,
    parent_task_run_id is not null as is_subflow,
    parent_task_run_id is not null and deployment_id is null as is_inline,
    coalesce(auto_scheduled, false) as is_scheduled,
    state_type,
    state_name,
    state_message,
    status,
    {{ prefect_source.outcome('state_type') }} as outcome,
    case when state_type in ('FAILED', 'CRASHED') then {{ prefect_source.error_class('state_message') }} end as error_class,
    run_count as attempt,
    greatest(coalesce(run_count, 0) - 1, 0) as retries,
    created as created_at,
    expected_start_time as due_at,
    start_time as started_at,
    ended_at,
    {{ prefect_source.utc_date('ended_at') }} as ended_on,
    case when ended_at is not null then total_run_time else open_seconds end as duration_seconds,
    -- Only what a schedule has planned can be late.
    case
        when auto_scheduled and start_time is not null
        then greatest({{ prefect_source.seconds_between('expected_start_time', 'start_time') }}, 0)
        when status = 'late' then {{ prefect_source.seconds_between('expected_start_time', 'as_of') }}
    end as lateness_seconds,
    -- In the queue was a run from when it was both due and known to Prefect until it began.
    case
        when start_time is not null
        then greatest({{ prefect_source.seconds_between('greatest(expected_start_time, coalesce(created, expected_start_time))', 'start_time') }}, 0)
    end as queue_seconds,
    usual_runs,
    usual_p50_seconds,
    usual_p95_seconds,
    status in ('running', 'pending', 'cancelling')
    and coalesce(open_seconds, {{ prefect_source.seconds_between('expected_start_time', 'as_of') }}) > stuck_after_seconds as is_stuck,
    ghost_reason is not null as is_ghost,
    ghost_reason,
    ui_url as run_url,
    flow_url,
    deployment_url,
    coalesce(synced_at, updated) as synced_at
from stated
