with tagged as (

    {{ prefect_source.owners_by_tag('stg_prefect__deployments') }}

),

schedules as (

    select
        deployment_id,
        max(updated) as edited_at,
        count(*) as schedules,
        sum(case when is_active then 1 else 0 end) as active_schedules
    from {{ ref('stg_prefect__deployment_schedules') }}
    group by deployment_id

)

select
    deployment.id as deployment_id,
    -- Made again under its name, it is the same deployment.
    first_value(deployment.id) over (
        partition by coalesce(flow.subject_id, deployment.flow_id), coalesce(deployment.name, deployment.id)
        order by {{ prefect_source.newest_first('deployment', 'change') }}
    ) as subject_id,
    deployment.workspace_id,
    deployment.source_relation,
    deployment.name as deployment_name,
    deployment.flow_id,
    coalesce(flow.subject_id, deployment.flow_id) as flow_subject_id,
    flow.flow_name,
    coalesce(tagged.owner, flow.owner) as owner,
    deployment.work_pool_name,
    coalesce(deployment.paused, false) as is_paused,
    -- Without the table of schedules, the deployment itself says whether one is active; null if neither does.
    case
        when deployment.paused then false
        when schedules.schedules is not null then schedules.active_schedules > 0
        else deployment.is_schedule_active
    end as is_scheduled,
    schedules.edited_at as schedule_edited_at,
    coalesce(change.paused_at, deployment.updated) as paused_at,
    coalesce(change.deleted_at, flow.deleted_at) as deleted_at,
    deployment.ui_url as deployment_url
from {{ ref('stg_prefect__deployments') }} as deployment
left join tagged on tagged.id = deployment.id
left join schedules on schedules.deployment_id = deployment.id
left join {{ ref('int_prefect__flows') }} as flow on flow.flow_id = deployment.flow_id
left join {{ ref('int_prefect__changes') }} as change on change.object_id = deployment.id
