with owned as (

    select
        run.workspace_id,
        run.owner,
        run.flow_subject_id,
        case when run.deployment_id is not null then run.subject_id end as deployment_id,
        run.run_url,
        run.outcome,
        row_number() over (
            partition by run.workspace_id, run.owner
            order by case when run.outcome in ('failed', 'crashed') then 0 else 1 end, run.ended_at desc, run.run_id
        ) as place
    from {{ ref('prefect__runs') }} as run
    inner join {{ ref('prefect__workspaces') }} as workspace on {{ prefect_source.same_workspace('workspace', 'run') }}
    where run.ended_at >= workspace.since and not run.is_inline

),

ran as (

    select
        workspace_id,
        owner,
        count(distinct flow_subject_id) as flows,
        count(distinct deployment_id) as deployments,
        count(*) as runs,
        {{ prefect_source.count_if("outcome = 'succeeded'") }} as succeeded,
        {{ prefect_source.count_if("outcome in ('failed', 'crashed')") }} as failed,
        {{ prefect_source.success_rate() }} as success_rate,
        -- The last failure, or else the last run.
        max(case when place = 1 then run_url end) as run_url
    from owned
    group by workspace_id, owner

),

incidents as (

    select workspace_id, owner, count(*) as open_incidents, max(last_run_url) as run_url
    from {{ ref('prefect__incidents') }}
    where is_open
    group by workspace_id, owner

),

owners as (

    select workspace_id, owner from ran
    union all
    select workspace_id, owner from incidents
    union all
    select workspace_id, owner from {{ ref('prefect__pipelines') }}

)

select
    coalesce(owners.workspace_id || '/', '') || owners.owner as owner_id,
    owners.workspace_id,
    max(workspace.workspace_name) as workspace_name,
    max(workspace.source_relation) as source_relation,
    owners.owner,
    {% for figure in ['flows', 'deployments', 'runs', 'succeeded', 'failed'] %}
    coalesce(max(ran.{{ figure }}), 0) as {{ figure }},
    {% endfor %}
    max(ran.success_rate) as success_rate,
    coalesce(max(incidents.open_incidents), 0) as open_incidents,
    coalesce(max(ran.run_url), max(incidents.run_url)) as run_url
from owners
left join ran on ran.owner = owners.owner and {{ prefect_source.same_workspace('ran', 'owners') }}
left join incidents on incidents.owner = owners.owner and {{ prefect_source.same_workspace('incidents', 'owners') }}
left join {{ ref('prefect__workspaces') }} as workspace on {{ prefect_source.same_workspace('workspace', 'owners') }}
group by owners.workspace_id, owners.owner
