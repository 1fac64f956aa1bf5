{#- The time that all models speak of. A sync that brings no new run still reads the other tables. -#}
{% set tables = ['flow_runs', 'task_runs', 'flows', 'deployments', 'deployment_schedules', 'lineage', 'asset_materializations'] %}

with seen as (

    {% for table in tables %}
    select
        max(coalesce(synced_at{{ ', updated' if table != 'asset_materializations' }})) as last_seen,
        {{ 'min(expected_start_time)' if table == 'flow_runs' else 'cast(null as ' ~ prefect_source.type_time() ~ ')' }} as first_due
    from {{ ref('stg_prefect__' ~ table) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

synced as (

    select max(last_seen) as as_of, min(first_due) as first_due from seen

)

select
    as_of,
    -- Whole days: what is counted by day and what is counted by run are the same runs.
    {{ prefect_source.start_of_day('as_of', var('period_days')) }} as since,
    {{ prefect_source.start_of_day('as_of', var('period_days') * 2) }} as earlier_since,
    first_due
from synced
