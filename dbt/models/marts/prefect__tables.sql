with users as (

    select
        table_id,
        count(distinct case when role = 'writes' then subject_id end) as writers,
        {{ prefect_source.join_distinct("case when role = 'writes' then flow_name || coalesce('/' || deployment_name, '') end") }} as writer_names,
        count(distinct case when role = 'reads' then subject_id end) as readers,
        {{ prefect_source.join_distinct("case when role = 'reads' then flow_name || coalesce('/' || deployment_name, '') end") }} as reader_names
    from {{ ref('prefect__table_users') }}
    where not is_inferred
    group by table_id

),

written as (

    select table_id, count(*) as days_written
    from {{ ref('int_prefect__write_days') }}
    group by table_id

),

latest as (

    select days.*
    from {{ ref('prefect__table_days') }} as days
    inner join {{ ref('prefect__workspaces') }} as workspace on {{ prefect_source.same_workspace('workspace', 'days') }}
    where days.day = {{ prefect_source.utc_date('workspace.as_of') }}

),

blocked as (

    select closure.downstream_id as table_id, {{ prefect_source.join_distinct('closure.upstream_table') }} as blocked_by
    from {{ ref('prefect__lineage_closure') }} as closure
    inner join latest as failing on failing.table_id = closure.upstream_id and failing.is_failing
    group by closure.downstream_id

),

downstream as (

    select upstream_id as table_id, count(*) as downstream_tables
    from {{ ref('prefect__lineage_closure') }}
    group by upstream_id

)

select
    latest.table_id,
    latest.workspace_id,
    latest.workspace_name,
    latest.source_relation,
    latest.table_name,
    latest.status,
    case
        when latest.status = 'failing' then 'what writes it has failed since'
        when latest.last_written_at is null and coalesce(users.writers, 0) = 0 then 'nothing that Prefect knows writes it'
        when latest.last_written_at is null then 'no write is known'
        when latest.slots_passed = 0 then 'no slot of its schedule has passed since'
        when latest.slots_passed = 1 then 'one slot of its schedule has passed since'
        when latest.slots_passed is not null
        then cast(latest.slots_passed as {{ dbt.type_string() }}) || ' slots of its schedule have passed since'
        when latest.usual_days = 1 then 'usually written every day'
        when latest.usual_days is not null
        then 'usually written every ' || cast(latest.usual_days as {{ dbt.type_string() }}) || ' days'
        when written.days_written = 1 then 'written on one day: too few to tell what is usual'
        else 'written on ' || cast(written.days_written as {{ dbt.type_string() }}) || ' days: too few to tell what is usual'
    end as reason,
    latest.is_failing,
    case when latest.status in ('stale', 'dead', 'failing') then blocked.blocked_by end as blocked_by,
    latest.last_written_at,
    latest.last_write_known,
    latest.last_written_by,
    latest.last_write_url,
    latest.age_seconds,
    latest.usual_days,
    latest.slots_passed,
    coalesce(written.days_written, 0) as days_written,
    coalesce(users.writers, 0) as writers,
    users.writer_names,
    coalesce(users.readers, 0) as readers,
    users.reader_names,
    coalesce(downstream.downstream_tables, 0) as downstream_tables
from latest
left join users on users.table_id = latest.table_id
left join written on written.table_id = latest.table_id
left join blocked on blocked.table_id = latest.table_id
left join downstream on downstream.table_id = latest.table_id
