{{ prefect_source.stage('artifacts', {
    'id': 'text',
    'created': 'time',
    'updated': 'time',
    'key': 'text',
    'type': 'text',
    'description': 'text',
    'data': 'text',
    'metadata': 'text: metadata_',
    'flow_run_id': 'text',
    'task_run_id': 'text',
}) }}
