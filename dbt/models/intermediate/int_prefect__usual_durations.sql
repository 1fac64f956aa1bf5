{#- What the runs of each flow, and of each of its tasks, usually take: of those that succeeded in the period. -#}
{%- set measures %}
    count(*) as runs,
    {{ prefect_source.percentile(0.5, 'total_run_time') }} as p50_seconds,
    {{ prefect_source.percentile(0.95, 'total_run_time') }} as p95_seconds
{%- endset %}

with period as (

    select min(since) as since from {{ ref('prefect__workspaces') }}

),

task_runs as (

    select run.flow_id, task.task_name, task.total_run_time
    from {{ ref('stg_prefect__task_runs') }} as task
    cross join period
    inner join {{ ref('int_prefect__flow_runs') }} as run on run.run_id = task.flow_run_id
    where
        task.state_type = 'COMPLETED' and task.ended_at >= period.since and task.total_run_time is not null
        and task.task_name is not null

)

select run.flow_id, cast(null as {{ dbt.type_string() }}) as task_name, {{ measures }}
from {{ ref('int_prefect__flow_runs') }} as run
cross join period
where run.state_type = 'COMPLETED' and run.ended_at >= period.since and run.total_run_time is not null
group by run.flow_id

union all

select flow_id, task_name, {{ measures }}
from task_runs
group by flow_id, task_name
