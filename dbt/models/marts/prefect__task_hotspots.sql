with ranked as (

    select
        task_runs.*,
        row_number() over (
            partition by flow_id, task_name, ended_on
            order by case when outcome in ('failed', 'crashed') then 0 else 1 end, duration_seconds desc, task_run_id
        ) as place
    from {{ ref('prefect__task_runs') }} as task_runs
    where ended_at is not null and task_name is not null

),

edges as (

    select distinct task.flow_id, upstream.task_name as upstream_name, task.task_name
    from {{ ref('stg_prefect__task_dependencies') }} as dependency
    inner join {{ ref('prefect__task_runs') }} as task on task.task_run_id = dependency.task_run_id
    inner join {{ ref('prefect__task_runs') }} as upstream on upstream.task_run_id = dependency.upstream_task_run_id

),

waiting as (

    select flow_id, task_name, {{ prefect_source.join_distinct('upstream_name') }} as upstream_tasks
    from edges
    group by flow_id, task_name

),

awaited as (

    select flow_id, upstream_name as task_name, {{ prefect_source.join_distinct('task_name') }} as downstream_tasks
    from edges
    group by flow_id, upstream_name

)

select
    coalesce(ranked.flow_id, '') || '/' || ranked.task_name || '/' || cast(ranked.ended_on as {{ dbt.type_string() }}) as hotspot_id,
    ranked.task_name,
    ranked.flow_id,
    ranked.flow_name,
    ranked.ended_on as day,
    count(*) as runs,
    sum(case when ranked.outcome = 'succeeded' then 1 else 0 end) as succeeded,
    sum(case when ranked.outcome in ('failed', 'crashed') then 1 else 0 end) as failed,
    sum(ranked.retries) as retries,
    sum(case when ranked.outcome = 'succeeded' and ranked.retries > 0 then 1 else 0 end) as succeeded_after_retry,
    sum(ranked.duration_seconds) as total_seconds,
    {{ prefect_source.percentile(0.5, 'ranked.duration_seconds') }} as p50_seconds,
    {{ prefect_source.percentile(0.95, 'ranked.duration_seconds') }} as p95_seconds,
    max(waiting.upstream_tasks) as upstream_tasks,
    max(awaited.downstream_tasks) as downstream_tasks,
    -- The day's longest failure, or else its longest run.
    max(case when ranked.place = 1 then ranked.task_run_url end) as task_run_url
from ranked
left join waiting on waiting.flow_id = ranked.flow_id and waiting.task_name = ranked.task_name
left join awaited on awaited.flow_id = ranked.flow_id and awaited.task_name = ranked.task_name
group by ranked.flow_id, ranked.flow_name, ranked.task_name, ranked.ended_on
