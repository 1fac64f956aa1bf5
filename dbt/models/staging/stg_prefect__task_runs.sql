with staged as (

{{ prefect_source.stage('task_runs', {
    'flow_run_id': 'text',
    'task_key': 'text',
    'dynamic_key': 'text',
    'flow_run_run_count': 'integer',
    'task_inputs': 'json',
    'task_version': 'text',
    'cache_key': 'text',
    'cache_expiration': 'time',
    'retry_jitter_factor': 'number: empirical_policy_retry_jitter_factor',
}, prefect_source.run_columns()) }}

)

select
    staged.*,
    -- The task's function, without the hash that Prefect adds.
    {{ prefect_source.replace_pattern("task_key", "-[0-9a-f]+$", "") }} as task_name,
    {{ prefect_source.end_of_run() }} as ended_at
from staged
