{%- set months = {'jan': 1, 'feb': 2, 'mar': 3, 'apr': 4, 'may': 5, 'jun': 6, 'jul': 7, 'aug': 8, 'sep': 9, 'oct': 10, 'nov': 11, 'dec': 12} %}
{%- set days = {'sun': 0, 'mon': 1, 'tue': 2, 'wed': 3, 'thu': 4, 'fri': 5, 'sat': 6} %}
{%- set short_days = {'su': 0, 'mo': 1, 'tu': 2, 'we': 3, 'th': 4, 'fr': 5, 'sa': 6} %}
{%- set aliases = {
    '@hourly': '0 * * * *', '@daily': '0 0 * * *', '@midnight': '0 0 * * *', '@weekly': '0 0 * * 0',
    '@monthly': '0 0 1 * *', '@yearly': '0 0 1 1 *', '@annually': '0 0 1 1 *',
} %}
{%- set start = prefect_source.nth_part("rule", 'DTSTART:', 2) %}

with spelled as (

    select
        *,
        trim({{ prefect_source.replace_pattern('lower(schedule_cron)', '[[:space:]]+', ' ') }}) as cron,
        -- Prefect puts the start on a line of its own.
        replace(replace(replace(upper(schedule_rrule), 'RRULE:', ''), chr(10), ';'), ' ', ';') as rule
    from {{ ref('stg_prefect__deployment_schedules') }}

),

read as (

    select
        *,
        case cron {% for alias, meaning in aliases.items() %}when '{{ alias }}' then '{{ meaning }}' {% endfor %}else replace(cron, '?', '*') end
            as plain_cron,
        {{ prefect_source.rrule_part('rule', 'FREQ') }} as freq,
        {{ prefect_source.rrule_part('rule', 'INTERVAL') }} as step,
        {{ prefect_source.rrule_part('rule', 'BYMINUTE') }} as by_minute,
        {{ prefect_source.rrule_part('rule', 'BYHOUR') }} as by_hour,
        {{ prefect_source.rrule_part('rule', 'BYMONTHDAY') }} as by_month_day,
        {{ prefect_source.rrule_part('rule', 'BYMONTH') }} as by_month,
        {{ prefect_source.rrule_part('rule', 'BYDAY') }} as by_day,
        -- DTSTART:20200101T053000
        coalesce(nullif(substr({{ start }}, 10, 2), ''), '00') as start_hour,
        coalesce(nullif(substr({{ start }}, 12, 2), ''), '00') as start_minute,
        coalesce(nullif(substr({{ start }}, 14, 2), ''), '00') as start_second,
        coalesce(nullif(substr({{ start }}, 7, 2), ''), '01') as start_day,
        coalesce(nullif(substr({{ start }}, 5, 2), ''), '01') as start_month
    from spelled

),

fields as (

    select
        *,
        case
            when plain_cron is not null then {{ prefect_source.cron_field('plain_cron', 1) }}
            else coalesce(nullif(by_minute, ''), start_minute)
        end as minutes,
        case
            when plain_cron is not null then {{ prefect_source.cron_field('plain_cron', 2) }}
            when by_hour <> '' then by_hour
            when freq = 'HOURLY' then '*'
            else start_hour
        end as hours,
        case
            when plain_cron is not null then {{ prefect_source.cron_field('plain_cron', 3) }}
            when by_month_day <> '' then by_month_day
            when freq in ('MONTHLY', 'YEARLY') and by_day = '' then start_day
            else '*'
        end as month_days,
        case
            when plain_cron is not null then {{ prefect_source.numbered(prefect_source.cron_field('plain_cron', 4), months) }}
            when by_month <> '' then by_month
            when freq = 'YEARLY' then start_month
            else '*'
        end as months,
        case
            when plain_cron is not null then {{ prefect_source.numbered(prefect_source.cron_field('plain_cron', 5), days) }}
            when by_day <> '' then {{ prefect_source.numbered('lower(by_day)', short_days) }}
            else '*'
        end as weekdays
    from read

)

select
    fields.id as schedule_id,
    fields.deployment_id,
    deployment.deployment_name,
    deployment.flow_id,
    deployment.flow_name,
    deployment.owner,
    coalesce(fields.is_active, false) as is_active,
    case
        when fields.schedule_interval is not null then 'interval'
        when fields.schedule_cron is not null then 'cron'
        else 'rrule'
    end as kind,
    coalesce(
        fields.schedule_cron,
        'every ' || cast(cast(fields.schedule_interval as {{ dbt.type_bigint() }}) as {{ dbt.type_string() }}) || ' s',
        fields.schedule_rrule
    ) as schedule,
    coalesce(fields.schedule_timezone, 'UTC') as time_zone,
    fields.schedule_interval as interval_seconds,
    fields.schedule_anchor_date as anchor_at,
    coalesce(fields.schedule_day_or, true) as is_day_or,
    -- Why the slots of the schedule are not known; null if they are.
    case
        when fields.schedule_interval is not null then null
        when fields.plain_cron is not null then
            case
                when {{ prefect_source.cron_field('fields.plain_cron', 5) }} = '' or {{ prefect_source.cron_field('fields.plain_cron', 6) }} <> ''
                then 'a cron expression without five fields'
                when {{ prefect_source.matches("fields.minutes || fields.hours || fields.month_days || fields.months || fields.weekdays", '[^0-9*,/-]') }}
                then 'a cron expression with L, # or the like'
            end
        when fields.rule is null then 'no schedule'
        when fields.freq not in ('HOURLY', 'DAILY', 'WEEKLY', 'MONTHLY', 'YEARLY') then 'an rrule of a frequency beyond hours'
        when coalesce(nullif(fields.step, ''), '1') <> '1' then 'an rrule with an interval'
        when fields.freq = 'WEEKLY' and fields.by_day = '' then 'an rrule for the weekday that it began on'
        when fields.start_second <> '00' then 'an rrule that starts within a minute'
        when {{ prefect_source.matches('fields.rule', '(COUNT|UNTIL|BYSETPOS|BYWEEKNO|BYYEARDAY|BYEASTER|BYSECOND|EXDATE|RDATE)') }}
        then 'an rrule with an end, a position or exceptions'
        when {{ prefect_source.matches("fields.minutes || fields.hours || fields.month_days || fields.months || fields.weekdays", '[^0-9*,]') }}
        then 'an rrule that counts days from the end, or within the month'
        when fields.by_month_day <> '' and fields.by_day <> '' then 'an rrule with days of the week and of the month'
    end as not_expanded_because,
    fields.minutes,
    fields.hours,
    fields.month_days,
    fields.months,
    fields.weekdays,
    fields.updated as edited_at
from fields
left join {{ ref('int_prefect__deployments') }} as deployment on deployment.deployment_id = fields.deployment_id
