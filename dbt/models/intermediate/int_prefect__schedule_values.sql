{#- The values that each field of a schedule allows, one a row: `1-5/2` are 1, 3 and 5. -#}
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
        {{ prefect_source.nth_part(prefect_source.nth_part('written.text', ',', 'numbers.n + 1'), '/', 1) }} as range_text,
        {{ prefect_source.nth_part(prefect_source.nth_part('written.text', ',', 'numbers.n + 1'), '/', 2) }} as step_text
    from written
    cross join numbers
    where {{ prefect_source.nth_part('written.text', ',', 'numbers.n + 1') }} <> ''

),

ranges as (

    select
        schedule_id,
        field,
        low,
        high,
        case when range_text = '*' then low else cast({{ prefect_source.nth_part('range_text', '-', 1) }} as {{ dbt.type_int() }}) end as first_value,
        case
            when range_text = '*' then high
            when {{ prefect_source.nth_part('range_text', '-', 2) }} <> '' then cast({{ prefect_source.nth_part('range_text', '-', 2) }} as {{ dbt.type_int() }})
            -- `5/15` goes on to the end, `5` does not.
            when step_text <> '' then high
            else cast({{ prefect_source.nth_part('range_text', '-', 1) }} as {{ dbt.type_int() }})
        end as last_value,
        cast(coalesce(nullif(step_text, ''), '1') as {{ dbt.type_int() }}) as step
    from items

)

select distinct
    ranges.schedule_id,
    ranges.field,
    -- Sunday is 0 and 7.
    case when ranges.field = 'weekdays' and numbers.n = 7 then 0 else numbers.n end as allowed
from ranges
inner join numbers
    on numbers.n between ranges.first_value and ranges.last_value
    and mod(numbers.n - ranges.first_value, ranges.step) = 0
