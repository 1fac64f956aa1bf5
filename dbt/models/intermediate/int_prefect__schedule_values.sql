{#- The values that each field of a schedule allows, one a row, as Prefect's cron parser reads them: `1-5/2` are 1, 3 and 5. -#}
{%- set fields = [('minutes', 0, 59), ('hours', 0, 23), ('month_days', 1, 31), ('months', 1, 12), ('weekdays', 0, 6)] %}

with numbers as (

    {{ prefect_source.integers(2) }}

),

written as (

    {% for field, low, high in fields %}
    select schedule_id, '{{ field }}' as field, {{ field }} as text, {{ low }} as low, {{ high }} as high
    from {{ ref('prefect__schedules') }}
    where kind <> 'interval' and not_expanded_because is null
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

items as (

    select
        written.schedule_id,
        written.field,
        written.low,
        written.high,
        {{ prefect_source.nth_part('written.text', ',', 'numbers.n + 1') }} as item,
        {{ prefect_source.nth_part(prefect_source.nth_part('written.text', ',', 'numbers.n + 1'), '/', 1) }} as range_text,
        {{ prefect_source.nth_part(prefect_source.nth_part('written.text', ',', 'numbers.n + 1'), '/', 2) }} as step_text
    from written
    cross join numbers
    where {{ prefect_source.nth_part('written.text', ',', 'numbers.n + 1') }} <> ''

),

bounds as (

    select
        *,
        case when range_text = '*' then low else cast({{ prefect_source.nth_part('range_text', '-', 1) }} as {{ dbt.type_int() }}) end as first_value,
        case
            when range_text = '*' then high
            when {{ prefect_source.nth_part('range_text', '-', 2) }} <> '' then cast({{ prefect_source.nth_part('range_text', '-', 2) }} as {{ dbt.type_int() }})
            -- `5/15` goes on to the end, `5` does not.
            when step_text <> '' then high
            else cast({{ prefect_source.nth_part('range_text', '-', 1) }} as {{ dbt.type_int() }})
        end as last_value,
        cast(coalesce(nullif(step_text, ''), '1') as {{ dbt.type_int() }}) as step,
        range_text <> item or {{ prefect_source.nth_part('range_text', '-', 2) }} <> '' as is_range
    from items

),

aliased as (

    -- Sunday is 0 and 7.
    select
        schedule_id, field, low, high, step, is_range,
        case when field = 'weekdays' and first_value = 7 then 0 else first_value end as first_value,
        case when field = 'weekdays' and last_value = 7 then 0 else last_value end as last_value
    from bounds

),

ranges as (

    select schedule_id, field, first_value, last_value, step
    from aliased
    where first_value < last_value or (first_value = last_value and not is_range)

    union all

    -- From a value to itself is the whole round.
    select schedule_id, field, low, high, step
    from aliased
    where first_value = last_value and is_range

    union all

    -- `22-2` goes on at the beginning.
    select schedule_id, field, first_value, high, step
    from aliased
    where first_value > last_value

    union all

    select
        schedule_id,
        field,
        low + case when step - mod(high - first_value, step) > 1 then step - mod(high - first_value, step) else 0 end,
        last_value,
        step
    from aliased
    where first_value > last_value

)

select distinct ranges.schedule_id, ranges.field, numbers.n as allowed
from ranges
inner join numbers
    on numbers.n between ranges.first_value and ranges.last_value
    and mod(numbers.n - ranges.first_value, ranges.step) = 0
