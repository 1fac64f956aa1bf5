{#- How each table stood at the end of each day of the period, and today at the time of the last sync. -#}
with tables as (

    select distinct users.table_id, users.table_name, named.table_workspace_id as workspace_id
    from {{ ref('prefect__table_users') }} as users
    inner join {{ ref('int_prefect__table_names') }} as named on named.table_id = users.table_id

),

numbers as (

    {{ prefect_source.integers(5) }}

),

days as (

    select
        tables.*,
        workspace.workspace_name,
        workspace.source_relation,
        {{ prefect_source.utc_date('workspace.since') }} as first_day,
        {{ prefect_source.add_days(prefect_source.utc_date('workspace.since'), 'numbers.n') }} as day,
        case
            when {{ prefect_source.add_days(prefect_source.utc_date('workspace.since'), 'numbers.n') }} = {{ prefect_source.utc_date('workspace.as_of') }}
            then workspace.as_of
            else {{ prefect_source.add_seconds('workspace.since', '(numbers.n + 1) * 86400') }}
        end as seen_at
    from tables
    inner join {{ ref('prefect__workspaces') }} as workspace on {{ prefect_source.same_workspace('workspace', 'tables') }}
    inner join numbers
        on numbers.n <= {{ prefect_source.days_between(prefect_source.utc_date('workspace.since'), prefect_source.utc_date('workspace.as_of')) }}

),

writes as (

    select
        *,
        lead(written_on) over (partition by table_id order by written_on) as next_written_on,
        {{ prefect_source.days_between('lag(written_on) over (partition by table_id order by written_on)', 'written_on') }} as gap_days
    from {{ ref('int_prefect__write_days') }}

),

paces as (

    select
        table_id,
        -- Of days, not of writes: a table written in bursts would seem to be due again a moment later.
        case when count(*) >= {{ var('pace_minimum_days') }} then {{ prefect_source.percentile(0.5, 'gap_days') }} end as usual_days
    from writes
    group by table_id

),

slots as (

    select distinct users.table_id, slots.slot_at, {{ prefect_source.utc_date('slots.slot_at') }} as day
    from {{ ref('prefect__table_users') }} as users
    inner join {{ ref('prefect__schedules') }} as schedule on schedule.subject_id = users.subject_id
    inner join {{ ref('int_prefect__slots') }} as slots on slots.schedule_id = schedule.schedule_id
    where users.role = 'writes'

),

slots_by_day as (

    select
        slots.table_id,
        slots.day,
        count(*) as slots,
        {{ prefect_source.count_if('slots.slot_at > writes.written_at') }} as slots_after_write
    from slots
    left join writes on writes.table_id = slots.table_id and writes.written_on = slots.day
    group by slots.table_id, slots.day

),

passed as (

    select
        days.*,
        sum(coalesce(slots_by_day.slots, 0)) over (
            partition by days.table_id order by days.day rows between unbounded preceding and current row
        ) as slots_until,
        coalesce(slots_by_day.slots_after_write, 0) as slots_after_write
    from days
    left join slots_by_day on slots_by_day.table_id = days.table_id and slots_by_day.day = days.day

),

scheduled as (

    select distinct table_id from slots

),

written as (

    select
        passed.table_id,
        passed.table_name,
        passed.workspace_id,
        passed.workspace_name,
        passed.source_relation,
        passed.day,
        passed.seen_at,
        writes.written_at,
        writes.known,
        writes.flow_name,
        writes.run_url,
        coalesce(writes.written_on = passed.day, false) as is_written,
        paces.usual_days,
        {{ prefect_source.seconds_between('writes.written_at', 'passed.seen_at') }} as age_seconds,
        -- The pace of a table is that of its schedule, where its slots since the last write are known.
        case
            when scheduled.table_id is not null
            then passed.slots_until - at_write.slots_until + at_write.slots_after_write
        end as slots_passed
    from passed
    left join writes
        on writes.table_id = passed.table_id
        and writes.written_on <= passed.day
        and (writes.next_written_on is null or writes.next_written_on > passed.day)
    left join passed as at_write on at_write.table_id = writes.table_id and at_write.day = writes.written_on
    left join paces on paces.table_id = passed.table_id
    left join scheduled on scheduled.table_id = passed.table_id

),

failing as (

    select written.table_id, written.day
    from written
    inner join {{ ref('prefect__table_users') }} as users on users.table_id = written.table_id and users.role = 'writes'
    inner join {{ ref('prefect__incidents') }} as incident
        on incident.subject_id = users.subject_id
        and incident.began_at <= written.seen_at
        and (incident.ended_at is null or incident.ended_at > written.seen_at)
        -- Another one may have written it since.
        and (written.written_at is null or incident.last_failed_at > written.written_at)
    group by written.table_id, written.day

),

judged as (

    select
        written.*,
        failing.table_id is not null as is_failing,
        case
            when written_at is null then 'unknown'
            when
                age_seconds > 86400 * {{ var('dead_minimum_days') }}
                and coalesce(slots_passed >= {{ var('dead_factor') }}, age_seconds > 86400 * {{ var('dead_factor') }} * coalesce(usual_days, 0))
            then 'dead'
            when age_seconds <= 86400 then 'fresh'
            when slots_passed is null and usual_days is null then 'unknown'
            when coalesce(slots_passed >= {{ var('stale_factor') }}, age_seconds > 86400 * {{ var('stale_factor') }} * usual_days) then 'stale'
            else 'fresh'
        end as status
    from written
    left join failing on failing.table_id = written.table_id and failing.day = written.day

)

select
    table_id || '/' || cast(day as {{ dbt.type_string() }}) as table_day_id,
    workspace_id,
    workspace_name,
    source_relation,
    table_id,
    table_name,
    day,
    case when is_failing and status in ('fresh', 'unknown') then 'failing' else status end as status,
    is_failing,
    is_written,
    written_at as last_written_at,
    known as last_write_known,
    flow_name as last_written_by,
    run_url as last_write_url,
    age_seconds,
    cast(usual_days as {{ dbt.type_bigint() }}) as usual_days,
    cast(slots_passed as {{ dbt.type_bigint() }}) as slots_passed
from judged
