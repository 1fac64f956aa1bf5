{#- What other models ask of runs, without their JSON. -#}
select
    id as run_id,
    workspace_id,
    flow_id,
    deployment_id,
    parent_task_run_id,
    auto_scheduled as is_scheduled,
    created as created_at,
    state_type,
    expected_start_time as due_at,
    start_time as started_at,
    ended_at,
    total_run_time
from {{ ref('stg_prefect__flow_runs') }}
