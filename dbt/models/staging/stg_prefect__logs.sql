{{ prefect_source.stage('logs', {
    'id': 'text',
    'created': 'time',
    'updated': 'time',
    'timestamp': 'time',
    'level': 'integer',
    'name': 'text',
    'message': 'text',
    'flow_run_id': 'text',
    'task_run_id': 'text',
}) }}
