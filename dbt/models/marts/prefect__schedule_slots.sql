{#- Slots of the period, as far back as the schedule was as it is now and runs are known. -#}
with schedules as (

    select
        schedule.*,
        period.as_of,
        greatest(period.since, period.first_due, schedule.edited_at) as from_time,
        {{ prefect_source.add_seconds('period.as_of', var('late_after_seconds') * -1) }} as to_time
    from {{ ref('prefect__schedules') }} as schedule
    cross join {{ ref('int_prefect__period') }} as period
    where schedule.is_active

),

numbers as (

    {{ prefect_source.integers(5) }}

),

intervals as (

    select
        schedule_id,
        {{ prefect_source.add_seconds('anchor_at', '(first_slot + numbers.n) * interval_seconds') }} as slot_at
    from (
        select
            *,
            ceil({{ prefect_source.seconds_between('anchor_at', 'from_time') }} / interval_seconds) as first_slot,
            floor({{ prefect_source.seconds_between('anchor_at', 'to_time') }} / interval_seconds) as last_slot
        from schedules
        where kind = 'interval' and interval_seconds > 0
    ) as counted
    inner join numbers on counted.first_slot + numbers.n <= counted.last_slot

),

counts as (

    select
        schedule_id,
        sum(case when field = 'month_days' then 1 else 0 end) < 31 as limits_month_days,
        sum(case when field = 'weekdays' then 1 else 0 end) < 7 as limits_weekdays
    from {{ ref('int_prefect__schedule_values') }}
    group by schedule_id

),

days as (

    select
        schedules.schedule_id,
        schedules.time_zone,
        {{ prefect_source.add_days('cast(' ~ prefect_source.local_time('schedules.from_time', 'schedules.time_zone') ~ ' as date)', 'numbers.n') }} as day
    from schedules
    inner join numbers on numbers.n <= {{ var('period_days') }} + 1
    where schedules.kind <> 'interval'

),

chosen_days as (

    select days.schedule_id, days.time_zone, days.day
    from days
    inner join schedules on schedules.schedule_id = days.schedule_id
    inner join counts on counts.schedule_id = days.schedule_id
    inner join {{ ref('int_prefect__schedule_values') }} as month
        on month.schedule_id = days.schedule_id and month.field = 'months' and month.allowed = extract(month from days.day)
    left join {{ ref('int_prefect__schedule_values') }} as month_day
        on month_day.schedule_id = days.schedule_id and month_day.field = 'month_days' and month_day.allowed = extract(day from days.day)
    left join {{ ref('int_prefect__schedule_values') }} as weekday
        on weekday.schedule_id = days.schedule_id and weekday.field = 'weekdays' and weekday.allowed = {{ prefect_source.weekday('days.day') }}
    where
        case
            -- Cron takes a day that either field names, where both do.
            when counts.limits_month_days and counts.limits_weekdays and schedules.is_day_or
            then month_day.allowed is not null or weekday.allowed is not null
            else month_day.allowed is not null and weekday.allowed is not null
        end

),

clock as (

    select
        chosen_days.schedule_id,
        chosen_days.time_zone,
        {{ prefect_source.at_minute('chosen_days.day', 'hours.allowed * 60 + minutes.allowed') }} as local_slot
    from chosen_days
    inner join {{ ref('int_prefect__schedule_values') }} as hours on hours.schedule_id = chosen_days.schedule_id and hours.field = 'hours'
    inner join {{ ref('int_prefect__schedule_values') }} as minutes on minutes.schedule_id = chosen_days.schedule_id and minutes.field = 'minutes'

),

calendar as (

    select
        schedule_id,
        -- Of an hour that comes twice, Prefect takes the first.
        case
            when {{ prefect_source.local_time(prefect_source.add_seconds(prefect_source.from_local('local_slot', 'time_zone'), '-3600'), 'time_zone') }} = local_slot
            then {{ prefect_source.add_seconds(prefect_source.from_local('local_slot', 'time_zone'), '-3600') }}
            else {{ prefect_source.from_local('local_slot', 'time_zone') }}
        end as slot_at
    from clock

),

slots as (

    select distinct schedule_id, slot_at
    from (
        select schedule_id, slot_at from intervals
        union all
        select schedule_id, slot_at from calendar
    ) as both_kinds

),

matched as (

    select
        schedules.schedule_id,
        schedules.deployment_id,
        schedules.deployment_name,
        schedules.flow_id,
        schedules.flow_name,
        schedules.owner,
        schedules.schedule,
        slots.slot_at,
        run.run_id,
        run.run_url,
        run.status as run_status,
        run.outcome,
        run.started_at,
        run.lateness_seconds,
        row_number() over (
            partition by slots.schedule_id, slots.slot_at order by case when run.started_at is null then 1 else 0 end, run.created_at desc, run.run_id
        ) as place
    from slots
    inner join schedules on schedules.schedule_id = slots.schedule_id
    left join {{ ref('prefect__runs') }} as run
        on run.deployment_id = schedules.deployment_id
        and run.is_scheduled
        and run.due_at = slots.slot_at
    where slots.slot_at >= schedules.from_time and slots.slot_at <= schedules.to_time

)

select
    schedule_id || '/' || cast({{ prefect_source.local_time('slot_at', "'UTC'") }} as {{ dbt.type_string() }}) as slot_id,
    schedule_id,
    deployment_id,
    deployment_name,
    flow_id,
    flow_name,
    coalesce(owner, '(no owner)') as owner,
    schedule,
    slot_at,
    case
        when started_at is not null and lateness_seconds > {{ var('late_after_seconds') }} then 'late'
        when started_at is not null then 'met'
        when outcome = 'cancelled' then 'skipped'
        when run_status in ('late', 'due', 'pending', 'paused') then 'late'
        else 'missed'
    end as status,
    lateness_seconds,
    outcome,
    run_id,
    run_url
from matched
where place = 1
