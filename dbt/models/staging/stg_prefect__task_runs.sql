with staged as (

{{ prefect_source.stage('task_runs', {
    'id': 'text',
    'created': 'time',
    'updated': 'time',
    'name': 'text',
    'flow_run_id': 'text',
    'task_key': 'text',
    'dynamic_key': 'text',
    'expected_start_time': 'time',
    'next_scheduled_start_time': 'time',
    'start_time': 'time',
    'end_time': 'time',
    'total_run_time': 'number',
    'estimated_run_time': 'number',
    'estimated_start_time_delta': 'number',
    'run_count': 'integer',
    'flow_run_run_count': 'integer',
    'state_id': 'text',
    'state_type': 'text',
    'state_name': 'text',
    'state_timestamp': 'time',
    'state_message': 'text',
    'state_data': 'text',
    'child_flow_run_id': 'text: state_state_details_child_flow_run_id',
    'state_scheduled_time': 'time: state_state_details_scheduled_time',
    'state_cache_key': 'text: state_state_details_cache_key',
    'state_cache_expiration': 'time: state_state_details_cache_expiration',
    'pause_timeout': 'time: state_state_details_pause_timeout',
    'is_suspended': 'boolean: state_state_details_pause_reschedule',
    'pause_key': 'text: state_state_details_pause_key',
    'is_retriable': 'boolean: state_state_details_retriable',
    'task_inputs': 'json',
    'tags': 'json',
    'labels': 'json',
    'task_version': 'text',
    'cache_key': 'text',
    'cache_expiration': 'time',
    'retries_allowed': 'integer: empirical_policy_retries',
    'retry_delay': 'text: empirical_policy_retry_delay',
    'retry_jitter_factor': 'number: empirical_policy_retry_jitter_factor',
    'ui_url': 'text',
}) }}

)

select
    staged.*,
    -- The task's function, without the hash that Prefect adds.
    {{ prefect_source.replace_pattern("task_key", "-[0-9a-f]+$", "") }} as task_name
from staged
