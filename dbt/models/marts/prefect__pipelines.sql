{%- set text, time = 'cast(null as ' ~ dbt.type_string() ~ ')', 'cast(null as ' ~ prefect_source.type_time() ~ ')' %}

with described as (

    select
        'flow' as level,
        subject_id,
        workspace_id,
        source_relation,
        flow_id,
        flow_name,
        {{ text }} as deployment_id,
        {{ text }} as deployment_name,
        owner,
        {{ text }} as work_pool_name,
        false as is_paused,
        false as is_scheduled,
        {{ time }} as schedule_edited_at,
        {{ time }} as paused_at,
        deleted_at,
        deleted_at is not null as is_deleted,
        flow_url as pipeline_url
    from {{ ref('int_prefect__flows') }}
    where flow_id = subject_id

    union all

    select
        'deployment', subject_id, workspace_id, source_relation, flow_subject_id, flow_name, deployment_id, deployment_name,
        owner, work_pool_name, is_paused, is_scheduled, schedule_edited_at,
        case when is_paused then paused_at end, deleted_at, deleted_at is not null, deployment_url
    from {{ ref('int_prefect__deployments') }}
    where deployment_id = subject_id

),

met as (

    -- Of others only runs are known.
    select 'flow' as level, flow_subject_id as subject_id, flow_subject_id as flow_id, {{ text }} as deployment_id,
        max(workspace_id) as workspace_id, max(source_relation) as source_relation,
        max(coalesce(ended_at, started_at, due_at)) as last_met_at
    from {{ ref('prefect__runs') }}
    where flow_subject_id is not null
    group by flow_subject_id

    union all

    select 'deployment', subject_id, max(flow_subject_id), subject_id, max(workspace_id), max(source_relation),
        max(coalesce(ended_at, started_at, due_at))
    from {{ ref('prefect__runs') }}
    where deployment_id is not null
    group by subject_id

),

read as (

    select 'flow' as level, workspace_id, max(synced_at) as read_at
    from {{ ref('stg_prefect__flows') }}
    group by workspace_id

    union all

    select 'deployment', workspace_id, max(synced_at)
    from {{ ref('stg_prefect__deployments') }}
    group by workspace_id

),

pipelines as (

    select * from described

    union all

    select
        met.level, met.subject_id, met.workspace_id, met.source_relation, met.flow_id, flow.flow_name, met.deployment_id,
        {{ text }}, flow.owner, {{ text }}, false, null, {{ time }}, {{ time }}, {{ time }},
        -- A sync that replaces the table leaves out what is gone.
        coalesce(read.read_at > met.last_met_at, false),
        {{ text }}
    from met
    left join described on described.subject_id = met.subject_id
    left join described as flow on flow.subject_id = met.flow_id
    left join read on read.level = met.level and {{ prefect_source.same_workspace('read', 'met') }}
    where described.subject_id is null

),

planned as (

    select run.deployment_id as subject_id, min(run.due_at) as next_run_at
    from {{ ref('int_prefect__flow_runs') }} as run
    inner join {{ ref('prefect__workspaces') }} as workspace on {{ prefect_source.same_workspace('workspace', 'run') }}
    inner join {{ ref('int_prefect__deployments') }} as deployment on deployment.deployment_id = run.deployment_id
    where
        run.state_type = 'SCHEDULED' and run.started_at is null and run.due_at > workspace.as_of
        -- The rows of those that Prefect has dropped stay.
        and (
            not coalesce(run.is_scheduled, false)
            or (
                coalesce(deployment.is_scheduled, true)
                and (deployment.schedule_edited_at is null or run.created_at is null or run.created_at >= deployment.schedule_edited_at)
            )
        )
    group by run.deployment_id

)

select
    pipelines.subject_id,
    pipelines.level,
    pipelines.workspace_id,
    workspace.workspace_name,
    pipelines.source_relation,
    pipelines.flow_id,
    pipelines.flow_name,
    pipelines.deployment_id,
    pipelines.deployment_name,
    coalesce(pipelines.owner, '(no owner)') as owner,
    pipelines.work_pool_name,
    pipelines.is_paused,
    pipelines.is_scheduled,
    pipelines.schedule_edited_at,
    pipelines.paused_at,
    pipelines.is_deleted,
    pipelines.deleted_at,
    case when not pipelines.is_deleted then planned.next_run_at end as next_run_at,
    pipelines.pipeline_url
from pipelines
left join planned on planned.subject_id = pipelines.subject_id
left join {{ ref('prefect__workspaces') }} as workspace on {{ prefect_source.same_workspace('workspace', 'pipelines') }}
