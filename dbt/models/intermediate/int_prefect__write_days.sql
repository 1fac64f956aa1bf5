{#- The days on which each table was written, as far as runs and materializations tell, with the last write of each. -#}
with writes as (

    select users.table_id, 'declared' as known, run.run_id, run.run_url, run.flow_name, run.ended_at as written_at
    from {{ ref('prefect__table_users') }} as users
    inner join {{ ref('prefect__runs') }} as run on run.subject_id = users.subject_id
    where users.role = 'writes' and users.is_declared and run.outcome = 'succeeded'

    union all

    -- Where the materializations were not synced, their edges tell of them.
    {% for model, column in [('asset_materializations', 'asset'), ('asset_lineage', 'destination')] %}
    select named.table_id, 'observed', made.flow_run_id, run.run_url, made.flow_name, made.occurred
    from {{ ref('stg_prefect__' ~ model) }} as made
    inner join {{ ref('int_prefect__table_names') }} as named
        on named.workspace_id = coalesce(made.workspace_id, '') and named.known = 'observed' and named.spelling = made.{{ column }}
    left join {{ ref('prefect__runs') }} as run on run.run_id = made.flow_run_id
    where coalesce(made.result, 'succeeded') = 'succeeded'
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

ranked as (

    select
        *,
        {{ prefect_source.utc_date('written_at') }} as written_on,
        row_number() over (
            partition by table_id, {{ prefect_source.utc_date('written_at') }} order by written_at desc, known, run_id
        ) as place
    from writes
    where written_at is not null

)

select table_id, written_on, written_at, known, run_id, run_url, flow_name
from ranked
where place = 1
