{#- What the runs of each flow, and of each of its tasks, usually take: of those that succeeded in the period. -#}
with flow_runs as (

    select flow_id, total_run_time
    from {{ ref('stg_prefect__flow_runs') }}
    cross join {{ ref('int_prefect__period') }} as period
    where state_type = 'COMPLETED' and end_time >= period.since and total_run_time is not null

),

task_runs as (

    select run.flow_id, task.task_name, task.total_run_time
    from {{ ref('stg_prefect__task_runs') }} as task
    cross join {{ ref('int_prefect__period') }} as period
    inner join {{ ref('stg_prefect__flow_runs') }} as run on run.id = task.flow_run_id
    where task.state_type = 'COMPLETED' and task.end_time >= period.since and task.total_run_time is not null

)

select
    flow_id,
    cast(null as {{ dbt.type_string() }}) as task_name,
    count(*) as runs,
    {{ prefect_source.percentile(0.5, 'total_run_time') }} as p50_seconds,
    {{ prefect_source.percentile(0.95, 'total_run_time') }} as p95_seconds
from flow_runs
group by flow_id

union all

select
    flow_id,
    task_name,
    count(*) as runs,
    {{ prefect_source.percentile(0.5, 'total_run_time') }} as p50_seconds,
    {{ prefect_source.percentile(0.95, 'total_run_time') }} as p95_seconds
from task_runs
where task_name is not null
group by flow_id, task_name
