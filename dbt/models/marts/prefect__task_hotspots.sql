with ranked as (

    select
        task_runs.*,
        row_number() over (
            partition by flow_subject_id, task_name, ended_on
            order by case when outcome in ('failed', 'crashed') then 0 else 1 end, coalesce(duration_seconds, -1) desc, task_run_id
        ) as place
    from {{ ref('prefect__task_runs') }} as task_runs
    where ended_at is not null and task_name is not null

),

edges as (

    select distinct task.flow_subject_id, upstream.task_name as upstream_name, task.task_name
    from {{ ref('int_prefect__task_edges') }} as dependency
    inner join {{ ref('prefect__task_runs') }} as task on task.task_run_id = dependency.task_run_id
    inner join {{ ref('prefect__task_runs') }} as upstream on upstream.task_run_id = dependency.upstream_task_run_id

),

waiting as (

    select flow_subject_id, task_name, {{ prefect_source.join_distinct('upstream_name') }} as upstream_tasks
    from edges
    group by flow_subject_id, task_name

),

awaited as (

    select flow_subject_id, upstream_name as task_name, {{ prefect_source.join_distinct('task_name') }} as downstream_tasks
    from edges
    group by flow_subject_id, upstream_name

)

select
    coalesce(ranked.flow_subject_id, '') || '/' || ranked.task_name || '/' || cast(ranked.ended_on as {{ dbt.type_string() }})
        as hotspot_id,
    max(ranked.workspace_id) as workspace_id,
    max(ranked.workspace_name) as workspace_name,
    max(ranked.source_relation) as source_relation,
    ranked.task_name,
    ranked.flow_subject_id as flow_id,
    max(ranked.flow_name) as flow_name,
    ranked.ended_on as day,
    count(*) as runs,
    {{ prefect_source.count_if("ranked.outcome = 'succeeded'") }} as succeeded,
    {{ prefect_source.count_if("ranked.outcome in ('failed', 'crashed')") }} as failed,
    cast(sum(ranked.retries) as {{ dbt.type_bigint() }}) as retries,
    {{ prefect_source.count_if("ranked.outcome = 'succeeded' and ranked.retries > 0") }} as succeeded_after_retry,
    sum(ranked.duration_seconds) as total_seconds,
    {{ prefect_source.percentile(0.5, 'ranked.duration_seconds') }} as p50_seconds,
    {{ prefect_source.percentile(0.95, 'ranked.duration_seconds') }} as p95_seconds,
    max(waiting.upstream_tasks) as upstream_tasks,
    max(awaited.downstream_tasks) as downstream_tasks,
    -- The day's longest failure, or else its longest run.
    max(case when ranked.place = 1 then ranked.task_run_url end) as task_run_url
from ranked
left join waiting on waiting.flow_subject_id = ranked.flow_subject_id and waiting.task_name = ranked.task_name
left join awaited on awaited.flow_subject_id = ranked.flow_subject_id and awaited.task_name = ranked.task_name
group by ranked.flow_subject_id, ranked.task_name, ranked.ended_on
