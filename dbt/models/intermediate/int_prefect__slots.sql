{#- Slots of active schedules in the period, as the schedules are now. -#}
with schedules as (

    select
        schedule.schedule_id, schedule.kind, schedule.time_zone, schedule.interval_seconds, schedule.anchor_at, schedule.is_day_or,
        schedule.month_days, schedule.weekdays, schedule.at_second, schedule.starts_at,
        workspace.since as from_time,
        {{ prefect_source.add_seconds('workspace.as_of', var('late_after_seconds') * -1) }} as to_time
    from {{ ref('prefect__schedules') }} as schedule
    inner join {{ ref('prefect__workspaces') }} as workspace on {{ prefect_source.same_workspace('workspace', 'schedule') }}
    where schedule.is_active and schedule.not_expanded_because is null

),

numbers as (

    {{ prefect_source.integers(5) }}

),

intervals as (

    select
        schedule_id,
        time_zone,
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

counted as (

    select
        schedule_id,
        {{ prefect_source.count_if("field = 'month_days'") }} as month_days,
        {{ prefect_source.count_if("field = 'weekdays'") }} as weekdays
    from {{ ref('int_prefect__schedule_values') }}
    group by schedule_id

),

limits as (

    -- A field that names all days limits nothing, unless the other has no star: Prefect takes it for a choice of days then.
    select
        schedules.schedule_id,
        not (
            ',' || schedules.month_days || ',' like '%,*,%' or (counted.month_days = 31 and schedules.weekdays like '%*%')
        ) as limits_month_days,
        not (
            ',' || schedules.weekdays || ',' like '%,*,%' or (counted.weekdays = 7 and schedules.month_days like '%*%')
        ) as limits_weekdays
    from schedules
    inner join counted on counted.schedule_id = schedules.schedule_id

),

days as (

    select
        schedules.schedule_id,
        {{ prefect_source.add_days('cast(' ~ prefect_source.local_time('schedules.from_time', 'schedules.time_zone') ~ ' as date)', 'numbers.n') }} as day
    from schedules
    inner join numbers on numbers.n <= {{ var('period_days') }} + 1
    where schedules.kind <> 'interval'

),

chosen_days as (

    select days.schedule_id, days.day
    from days
    inner join schedules on schedules.schedule_id = days.schedule_id
    inner join limits on limits.schedule_id = days.schedule_id
    inner join {{ ref('int_prefect__schedule_values') }} as month
        on month.schedule_id = days.schedule_id and month.field = 'months' and month.allowed = extract(month from days.day)
    left join {{ ref('int_prefect__schedule_values') }} as month_day
        on month_day.schedule_id = days.schedule_id and month_day.field = 'month_days' and month_day.allowed = extract(day from days.day)
    left join {{ ref('int_prefect__schedule_values') }} as weekday
        on weekday.schedule_id = days.schedule_id and weekday.field = 'weekdays' and weekday.allowed = {{ prefect_source.weekday('days.day') }}
    where
        case
            -- Cron takes a day that either field names, where both do.
            when limits.limits_month_days and limits.limits_weekdays and schedules.is_day_or
            then month_day.allowed is not null or weekday.allowed is not null
            else month_day.allowed is not null and weekday.allowed is not null
        end

),

clock as (

    select
        schedules.schedule_id,
        schedules.time_zone,
        {{ prefect_source.at_second('chosen_days.day', 'hours.allowed * 3600 + minutes.allowed * 60 + schedules.at_second') }} as local_slot
    from chosen_days
    inner join schedules on schedules.schedule_id = chosen_days.schedule_id
    inner join {{ ref('int_prefect__schedule_values') }} as hours on hours.schedule_id = chosen_days.schedule_id and hours.field = 'hours'
    inner join {{ ref('int_prefect__schedule_values') }} as minutes on minutes.schedule_id = chosen_days.schedule_id and minutes.field = 'minutes'

),

read as (

    select
        clock.*,
        {{ prefect_source.from_local('local_slot', 'time_zone') }} as read_at,
        {{ prefect_source.from_local('local_slot', "'UTC'") }} as wall
    from clock

),

shifted as (

    select
        read.*,
        {{ prefect_source.wall_clock('read_at', 'time_zone') }} as read_wall,
        -- By how much the clocks were put back in the day before.
        {{ prefect_source.offset_at(prefect_source.add_seconds('read_at', -86400), 'time_zone') }}
        - {{ prefect_source.offset_at('read_at', 'time_zone') }} as put_back
    from read

),

calendar as (

    select
        schedule_id,
        case
            -- A time that the clocks leave out, Prefect takes for as much earlier.
            when read_wall <> wall
            then {{ prefect_source.add_seconds('read_at', prefect_source.seconds_between('read_wall', 'wall')) }}
            -- Of a time that comes twice, Prefect takes the first.
            when put_back > 0 and {{ prefect_source.wall_clock(prefect_source.add_seconds('read_at', 'put_back * -1'), 'time_zone') }} = wall
            then {{ prefect_source.add_seconds('read_at', 'put_back * -1') }}
            else read_at
        end as slot_at
    from shifted

),

slots as (

    select schedule_id, min(slot_at) as slot_at
    from intervals
    -- Here as well the first.
    group by schedule_id, {{ prefect_source.wall_clock('slot_at', 'time_zone') }}
    union all
    select schedule_id, slot_at from calendar

)

select distinct slots.schedule_id, slots.slot_at
from slots
inner join schedules on schedules.schedule_id = slots.schedule_id
where
    slots.slot_at >= schedules.from_time
    and slots.slot_at <= schedules.to_time
    and (schedules.starts_at is null or slots.slot_at >= schedules.starts_at)
