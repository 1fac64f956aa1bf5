with staged as (

{{ prefect_source.stage('flow_runs', {
    'flow_id': 'text',
    'deployment_id': 'text',
    'deployment_version': 'text',
    'flow_version': 'text',
    'auto_scheduled': 'boolean',
    'work_pool_id': 'text',
    'work_pool_name': 'text',
    'work_queue_id': 'text',
    'work_queue_name': 'text',
    'parent_task_run_id': 'text',
    'parameters': 'json',
    'context': 'json',
    'job_variables': 'json',
    'idempotency_key': 'text',
    'infrastructure_document_id': 'text',
    'infrastructure_pid': 'text',
    'is_resuming': 'boolean: empirical_policy_resuming',
    'retry_type': 'text: empirical_policy_retry_type',
    'created_by_id': 'text',
    'created_by_type': 'text',
    'created_by_display_value': 'text',
}, prefect_source.run_columns()) }}

)

select staged.*, {{ prefect_source.end_of_run() }} as ended_at
from staged
