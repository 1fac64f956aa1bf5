with ranked as (

    select
        task_runs.*,
        row_number() over (
            partition by flow_id, task_name, ended_on
            order by case when outcome in ('failed', 'crashed') then 0 else 1 end, duration_seconds desc, task_run_id
        ) as place
    from {{ ref('prefect__task_runs') }} as task_runs
    where ended_at is not null and task_name is not null

)

select
    coalesce(flow_id, '') || '/' || task_name || '/' || cast(ended_on as {{ dbt.type_string() }}) as hotspot_id,
    task_name,
    flow_id,
    flow_name,
    ended_on as day,
    count(*) as runs,
    sum(case when outcome = 'succeeded' then 1 else 0 end) as succeeded,
    sum(case when outcome in ('failed', 'crashed') then 1 else 0 end) as failed,
    sum(retries) as retries,
    sum(case when outcome = 'succeeded' and retries > 0 then 1 else 0 end) as succeeded_after_retry,
    sum(duration_seconds) as total_seconds,
    {{ prefect_source.percentile(0.5, 'duration_seconds') }} as p50_seconds,
    {{ prefect_source.percentile(0.95, 'duration_seconds') }} as p95_seconds,
    -- The day's longest failure, or else its longest run.
    max(case when place = 1 then task_run_url end) as task_run_url
from ranked
group by flow_id, flow_name, task_name, ended_on
