{#- The time that all models speak of. A sync that brings no new run still reads the other tables. -#}
{% set tables = ['flow_runs', 'task_runs', 'flows', 'deployments', 'deployment_schedules', 'lineage', 'asset_materializations'] %}

with seen as (

    {% for table in tables %}
    select
        workspace_id,
        max(source_relation) as source_relation,
        max(coalesce(synced_at{{ ', updated' if table != 'asset_materializations' }})) as last_seen,
        {{ 'min(expected_start_time)' if table == 'flow_runs' else 'cast(null as ' ~ prefect_source.type_time() ~ ')' }} as first_due
    from {{ ref('stg_prefect__' ~ table) }}
    group by workspace_id
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

grouped as (

    select
        workspace_id,
        max(source_relation) as source_relation,
        max(last_seen) as as_of,
        min(first_due) as first_due
    from seen
    group by workspace_id
    having max(last_seen) is not null

),

synced as (

    select max(as_of) as as_of from grouped

)

select
    grouped.workspace_id,
    -- Of a server that is one of several connections, its schema.
    coalesce(named.name, case when grouped.workspace_id = grouped.source_relation then grouped.source_relation end) as workspace_name,
    grouped.source_relation,
    grouped.as_of,
    grouped.first_due,
    -- The same for all. Whole days: what is counted by day and what is counted by run are the same runs.
    {{ prefect_source.start_of_day('synced.as_of', var('period_days')) }} as since,
    {{ prefect_source.start_of_day('synced.as_of', var('period_days') * 2) }} as earlier_since
from grouped
cross join synced
left join {{ ref('stg_prefect__workspaces') }} as named on named.id = grouped.workspace_id
