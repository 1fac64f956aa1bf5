{{ prefect_source.stage('work_queue_status', {
    'id': 'text',
    'name': 'text',
    'work_pool_id': 'text',
    'work_pool_name': 'text',
    'healthy': 'boolean',
    'late_runs_count': 'integer',
    'last_polled': 'time',
    'health_check_policy_maximum_late_runs': 'integer',
    'health_check_policy_maximum_seconds_since_last_polled': 'integer',
}) }}
