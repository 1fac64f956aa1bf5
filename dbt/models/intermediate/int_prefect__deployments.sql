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
    deployment.name as deployment_name,
    deployment.flow_id,
    flow.flow_name,
    coalesce(tagged.owner, flow.owner) as owner,
    deployment.work_pool_name,
    coalesce(deployment.paused, false) as is_paused,
    -- Without the table of schedules, the deployment itself says whether one is active.
    case
        when deployment.paused then false
        when schedules.schedules is not null then schedules.active_schedules > 0
        else coalesce(deployment.is_schedule_active, true)
    end as is_scheduled,
    schedules.edited_at as schedule_edited_at,
    deployment.ui_url as deployment_url
from {{ ref('stg_prefect__deployments') }} as deployment
left join tagged on tagged.id = deployment.id
left join schedules on schedules.deployment_id = deployment.id
left join {{ ref('int_prefect__flows') }} as flow on flow.flow_id = deployment.flow_id
