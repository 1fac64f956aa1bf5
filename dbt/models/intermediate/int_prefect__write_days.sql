{#- The days on which each table was written, as far as runs and materializations tell, with the last write of each. -#}
with writers as (

    select
        users.table_name,
        users.flow_id,
        users.deployment_id,
        count(*) over (partition by users.table_name, users.flow_id) as writers_of_flow
    from {{ ref('int_prefect__table_users') }} as users
    where users.role = 'writes' and users.declared = 1

),

writes as (

    select writers.table_name, 'declared' as known, run.run_id, run.run_url, run.flow_name, run.ended_at as written_at
    from writers
    inner join {{ ref('prefect__runs') }} as run
        on run.flow_id = writers.flow_id
        and (
            writers.deployment_id is null
            or writers.deployment_id = run.deployment_id
            -- A run by hand writes what the flow's only deployment does.
            or (run.deployment_id is null and writers.writers_of_flow = 1)
        )
    where run.outcome = 'succeeded'

    union all

    select
        {{ prefect_source.observed_table('made.asset') }}, 'observed', made.flow_run_id, run.ui_url, made.flow_name, made.occurred
    from {{ ref('stg_prefect__asset_materializations') }} as made
    left join {{ ref('stg_prefect__flow_runs') }} as run on run.id = made.flow_run_id
    where made.result = 'succeeded'

    union all

    -- Where the materializations were not synced, their edges tell of them.
    select {{ prefect_source.observed_table('edge.destination') }}, 'observed', edge.flow_run_id, run.ui_url, edge.flow_name, edge.occurred
    from {{ ref('stg_prefect__asset_lineage') }} as edge
    left join {{ ref('stg_prefect__flow_runs') }} as run on run.id = edge.flow_run_id
    where coalesce(edge.result, 'succeeded') = 'succeeded'

),

ranked as (

    select
        *,
        {{ prefect_source.utc_date('written_at') }} as written_on,
        row_number() over (
            partition by table_name, {{ prefect_source.utc_date('written_at') }} order by written_at desc, known, run_id
        ) as place
    from writes
    where written_at is not null

)

select table_name, written_on, written_at, known, run_id, run_url, flow_name
from ranked
where place = 1
