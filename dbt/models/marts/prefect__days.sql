{#- A spine: each day from the first run that ended until the last sync. -#}
with numbers as (

    {{ prefect_source.integers(5) }}

),

bounds as (

    select
        (select min(ended_on) from {{ ref('prefect__runs') }}) as first_day,
        (select {{ prefect_source.utc_date('max(as_of)') }} from {{ ref('prefect__workspaces') }}) as last_day

),

days as (

    select {{ prefect_source.add_days('bounds.last_day', 'numbers.n * -1') }} as day
    from bounds
    inner join numbers on numbers.n <= {{ prefect_source.days_between('bounds.first_day', 'bounds.last_day') }}

)

select
    day,
    {{ prefect_source.first_day_of('week', 'day') }} as week,
    {{ prefect_source.first_day_of('month', 'day') }} as month
from days
