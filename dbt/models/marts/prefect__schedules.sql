{%- set months = {'jan': 1, 'feb': 2, 'mar': 3, 'apr': 4, 'may': 5, 'jun': 6, 'jul': 7, 'aug': 8, 'sep': 9, 'oct': 10, 'nov': 11, 'dec': 12} %}
{%- set days = {'sun': 0, 'mon': 1, 'tue': 2, 'wed': 3, 'thu': 4, 'fri': 5, 'sat': 6} %}
{%- set short_days = {'su': 0, 'mo': 1, 'tu': 2, 'we': 3, 'th': 4, 'fr': 5, 'sa': 6} %}
{%- set aliases = {
    '@hourly': '0 * * * *', '@daily': '0 0 * * *', '@midnight': '0 0 * * *', '@weekly': '0 0 * * 0',
    '@monthly': '0 0 1 * *', '@yearly': '0 0 1 1 *', '@annually': '0 0 1 1 *',
} %}
{%- set parts = {
    'FREQ': 'freq', 'INTERVAL': 'step', 'BYMINUTE': 'by_minute', 'BYHOUR': 'by_hour', 'BYMONTHDAY': 'by_month_day',
    'BYMONTH': 'by_month',
} %}
{#- `DTSTART:20200101T053000`, or `DTSTART;TZID=Europe/Berlin:20200101T053000`: Prefect reads both in the zone of the schedule. -#}
{%- set start = prefect_source.nth_part(prefect_source.nth_part(prefect_source.nth_part('rule', 'DTSTART', 2), ':', 2), ';', 1) %}
{%- set fields = 'minutes || hours || month_days || months || weekdays' %}
{%- set most_slots = 100000 %}
{%- set zones = prefect_source.time_zones() | trim %}

with spelled as (

    select
        *,
        trim({{ prefect_source.replace_pattern('lower(schedule_cron)', '[[:space:]]+', ' ') }}) as cron,
        replace({{ prefect_source.replace_pattern('upper(schedule_rrule)', '[[:space:]]+', ';') }}, 'RRULE:', '') as rule
    from {{ ref('stg_prefect__deployment_schedules') }}

),

started as (

    select
        *,
        {{ start }} as start_text,
        -- Prefect lets a rule without a start begin in 2020.
        case when {{ prefect_source.matches(start, '^[0-9]{8}(T[0-9]{6}Z?)?$') }} then {{ start }} else '20200101' end as start_at
    from spelled

),

read as (

    select
        *,
        case cron {% for alias, meaning in aliases.items() %}when '{{ alias }}' then '{{ meaning }}' {% endfor %}else replace(cron, '?', '*') end
            as plain_cron,
        {% for key, name in parts.items() %}
        {{ prefect_source.rrule_part('rule', key) }} as {{ name }},
        {% endfor %}
        {{ prefect_source.rrule_part('rule', 'BYDAY') }} || {{ prefect_source.rrule_part('rule', 'BYWEEKDAY') }} as by_day,
        coalesce(nullif(substr(start_at, 10, 2), ''), '00') as start_hour,
        coalesce(nullif(substr(start_at, 12, 2), ''), '00') as start_minute,
        coalesce(nullif(substr(start_at, 14, 2), ''), '00') as start_second,
        cast(substr(start_at, 1, 4) || '-' || substr(start_at, 5, 2) || '-' || substr(start_at, 7, 2) as date) as start_on
    from started

),

fielded as (

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
            when freq in ('MONTHLY', 'YEARLY') and by_day = '' then substr(start_at, 7, 2)
            else '*'
        end as month_days,
        case
            when plain_cron is not null then {{ prefect_source.numbered(prefect_source.cron_field('plain_cron', 4), months) }}
            when by_month <> '' then by_month
            when freq = 'YEARLY' and by_month_day = '' and by_day = '' then substr(start_at, 5, 2)
            else '*'
        end as months,
        case
            when plain_cron is not null then {{ prefect_source.numbered(prefect_source.cron_field('plain_cron', 5), days) }}
            when by_day <> '' then {{ prefect_source.numbered('lower(by_day)', short_days) }}
            when freq = 'WEEKLY' and by_month_day = '' then cast({{ prefect_source.weekday('start_on') }} as {{ dbt.type_string() }})
            else '*'
        end as weekdays
    from read

),

placed as (

    select
        fielded.*,
        deployment.subject_id,
        deployment.deployment_name as known_deployment_name,
        deployment.flow_subject_id,
        deployment.flow_name,
        deployment.owner,
        workspace.workspace_name,
        workspace.as_of,
        workspace.since,
        {% if zones %}
        zone.name is not null as is_zone_known,
        case when zone.name is not null then coalesce(fielded.schedule_timezone, 'UTC') else 'UTC' end as known_zone
        {% else %}
        true as is_zone_known,
        coalesce(fielded.schedule_timezone, 'UTC') as known_zone
        {% endif %}
    from fielded
    left join {{ ref('int_prefect__deployments') }} as deployment on deployment.deployment_id = fielded.deployment_id
    left join {{ ref('prefect__workspaces') }} as workspace on {{ prefect_source.same_workspace('workspace', 'fielded') }}
    {% if zones %}
    left join ({{ zones }}) as zone on zone.name = coalesce(fielded.schedule_timezone, 'UTC')
    {% endif %}

)

select
    id as schedule_id,
    workspace_id,
    workspace_name,
    source_relation,
    subject_id,
    deployment_id,
    known_deployment_name as deployment_name,
    flow_subject_id as flow_id,
    flow_name,
    coalesce(owner, '(no owner)') as owner,
    coalesce(is_active, false) as is_active,
    case when schedule_interval is not null then 'interval' when schedule_cron is not null then 'cron' else 'rrule' end as kind,
    coalesce(
        schedule_cron,
        'every ' || cast(cast(floor(schedule_interval) as {{ dbt.type_bigint() }}) as {{ dbt.type_string() }}) || ' s',
        schedule_rrule
    ) as schedule,
    coalesce(schedule_timezone, 'UTC') as time_zone,
    schedule_interval as interval_seconds,
    schedule_anchor_date as anchor_at,
    -- Where an rrule names both, a day must be both.
    schedule_cron is not null and coalesce(schedule_day_or, true) as is_day_or,
    -- Why the slots of the schedule are not known; null if they are.
    case
        when not is_zone_known then 'a time zone that the database does not know'
        when schedule_interval * {{ most_slots }} < {{ (var('period_days') + 1) * 86400 }}
        then 'an interval with more than {{ most_slots }} slots in the period'
        when schedule_interval >= 86400 and not (
            {% for days in range(0, var('period_days'), 60) -%}
            {{ prefect_source.offset_at(prefect_source.add_seconds('since', days * 86400), 'known_zone') }} =
            {{ prefect_source.offset_at('as_of', 'known_zone') }}
            {{- ' and ' if not loop.last }}
            {%- endfor %}
        )
        -- For some days it plans runs at the old hour and at the new one.
        then 'an interval of days while the clocks were changed'
        when schedule_interval is not null then null
        when plain_cron is not null then
            case
                when {{ prefect_source.cron_field('plain_cron', 5) }} = '' or {{ prefect_source.cron_field('plain_cron', 6) }} <> ''
                then 'a cron expression without five fields'
                when {{ prefect_source.matches(fields, '[^0-9*,/-]') }} then 'a cron expression with L, # or the like'
            end
        when rule is null then 'no schedule'
        when {{ prefect_source.nth_part('rule', 'FREQ=', 3) }} <> '' or {{ prefect_source.nth_part('rule', 'DTSTART', 3) }} <> ''
        then 'several rrules in one'
        when start_text <> '' and substr(start_at, 1, 8) <> substr(start_text, 1, 8) then 'an rrule with another form of DTSTART'
        when freq not in ('HOURLY', 'DAILY', 'WEEKLY', 'MONTHLY', 'YEARLY') then 'an rrule of a frequency beyond hours'
        when coalesce(nullif(step, ''), '1') <> '1' then 'an rrule with an interval'
        when {{ prefect_source.matches('rule', '(COUNT|UNTIL|BYSETPOS|BYWEEKNO|BYYEARDAY|BYEASTER|BYSECOND|EXDATE|RDATE|EXRULE)') }}
        then 'an rrule with an end, a position or exceptions'
        when {{ prefect_source.matches('by_day', '[^A-Z,]') }} or {{ prefect_source.matches(fields, '[^0-9*,]') }}
        then 'an rrule that counts days from the end, or within the month'
    end as not_expanded_because,
    minutes,
    hours,
    month_days,
    months,
    weekdays,
    -- The second of its minute that an rrule began in is that of all its slots.
    case when schedule_cron is null then cast(start_second as {{ dbt.type_int() }}) else 0 end as at_second,
    case when rule is not null then {{ prefect_source.from_local(
        prefect_source.at_second('start_on', 'cast(start_hour as integer) * 3600 + cast(start_minute as integer) * 60 + cast(start_second as integer)'),
        'known_zone',
    ) }} end as starts_at,
    updated as edited_at
from placed
