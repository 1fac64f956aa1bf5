with owned as (

    select
        run.owner,
        run.flow_id,
        run.deployment_id,
        run.run_url,
        run.outcome,
        row_number() over (
            partition by run.owner
            order by case when run.outcome in ('failed', 'crashed') then 0 else 1 end, run.ended_at desc, run.run_id
        ) as place
    from {{ ref('prefect__runs') }} as run
    cross join {{ ref('int_prefect__period') }} as period
    where run.ended_at >= period.since

),

incidents as (

    select owner, count(*) as open_incidents
    from {{ ref('prefect__incidents') }}
    where is_open
    group by owner

)

select
    owned.owner,
    count(distinct owned.flow_id) as flows,
    count(distinct owned.deployment_id) as deployments,
    count(*) as runs,
    sum(case when owned.outcome = 'succeeded' then 1 else 0 end) as succeeded,
    sum(case when owned.outcome in ('failed', 'crashed') then 1 else 0 end) as failed,
    cast(sum(case when owned.outcome = 'succeeded' then 1 else 0 end) as {{ prefect_source.type_double() }})
        / nullif(sum(case when owned.outcome in ('succeeded', 'failed', 'crashed') then 1 else 0 end), 0) as success_rate,
    coalesce(max(incidents.open_incidents), 0) as open_incidents,
    -- The last failure, or else the last run.
    max(case when owned.place = 1 then owned.run_url end) as run_url
from owned
left join incidents on incidents.owner = owned.owner
group by owned.owner
