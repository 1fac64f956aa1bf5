with tables as (

    select distinct table_name from {{ ref('int_prefect__table_users') }}

),

gaps as (

    select
        table_name,
        written_on,
        written_at,
        known,
        run_url,
        flow_name,
        {{ prefect_source.days_between('lag(written_on) over (partition by table_name order by written_on)', 'written_on') }} as gap_days,
        row_number() over (partition by table_name order by written_on desc) as place
    from {{ ref('int_prefect__write_days') }}

),

paces as (

    select
        table_name,
        count(*) as days_written,
        -- Of days, not of writes: a table written in bursts would seem to be due again a moment later.
        {{ prefect_source.percentile(0.5, 'gap_days') }} as median_gap_days
    from gaps
    group by table_name

),

users as (

    select
        table_name,
        count(distinct case when role = 'writes' then subject_id end) as writers,
        {{ prefect_source.join_distinct("case when role = 'writes' then flow_name || coalesce('/' || deployment_name, '') end") }} as writer_names,
        count(distinct case when role = 'reads' then subject_id end) as readers,
        {{ prefect_source.join_distinct("case when role = 'reads' then flow_name || coalesce('/' || deployment_name, '') end") }} as reader_names
    from {{ ref('int_prefect__table_users') }}
    group by table_name

),

failing as (

    select distinct users.table_name
    from {{ ref('int_prefect__table_users') }} as users
    inner join {{ ref('prefect__incidents') }} as incident on incident.subject_id = users.subject_id and incident.is_open
    where users.role = 'writes'

),

blocked as (

    select closure.downstream_table as table_name, {{ prefect_source.join_distinct('closure.upstream_table') }} as blocked_by
    from {{ ref('prefect__lineage_closure') }} as closure
    inner join failing on failing.table_name = closure.upstream_table
    group by closure.downstream_table

),

downstream as (

    select upstream_table as table_name, count(*) as downstream_tables
    from {{ ref('prefect__lineage_closure') }}
    group by upstream_table

),

aged as (

    select
        tables.table_name,
        users.writers,
        users.writer_names,
        users.readers,
        users.reader_names,
        last_write.written_at as last_written_at,
        last_write.known as last_write_known,
        last_write.flow_name as last_written_by,
        last_write.run_url as last_write_url,
        coalesce(paces.days_written, 0) as days_written,
        case when paces.days_written >= {{ var('pace_minimum_days') }} then paces.median_gap_days end as usual_days,
        {{ prefect_source.seconds_between('last_write.written_at', 'period.as_of') }} as age_seconds,
        failing.table_name is not null as is_failing,
        blocked.blocked_by,
        coalesce(downstream.downstream_tables, 0) as downstream_tables
    from tables
    cross join {{ ref('int_prefect__period') }} as period
    left join users on users.table_name = tables.table_name
    left join gaps as last_write on last_write.table_name = tables.table_name and last_write.place = 1
    left join paces on paces.table_name = tables.table_name
    left join failing on failing.table_name = tables.table_name
    left join blocked on blocked.table_name = tables.table_name
    left join downstream on downstream.table_name = tables.table_name

),

judged as (

    select
        *,
        case
            when last_written_at is null then 'unknown'
            when age_seconds > 86400 * greatest({{ var('dead_factor') }} * coalesce(usual_days, 0), {{ var('dead_minimum_days') }}) then 'dead'
            when age_seconds <= 86400 then 'fresh'
            when usual_days is null then 'unknown'
            when age_seconds > 86400 * {{ var('stale_factor') }} * usual_days then 'stale'
            else 'fresh'
        end as status
    from aged

)

select
    table_name,
    status,
    case
        when status = 'unknown' and writers = 0 then 'nothing that Prefect knows writes it'
        when status = 'unknown' and last_written_at is null then 'no write is known'
        when days_written = 1 then 'written on one day: too few to tell what is usual'
        when usual_days is null then 'written on ' || cast(days_written as {{ dbt.type_string() }}) || ' days: too few to tell what is usual'
        when usual_days = 1 then 'usually written every day'
        else 'usually written every ' || cast(usual_days as {{ dbt.type_string() }}) || ' days'
    end as reason,
    is_failing,
    case when status in ('stale', 'dead') then blocked_by end as blocked_by,
    last_written_at,
    last_write_known,
    last_written_by,
    last_write_url,
    age_seconds,
    usual_days,
    days_written,
    writers,
    writer_names,
    readers,
    reader_names,
    downstream_tables
from judged
