{{ prefect_source.stage('task_dependencies', {
    'id': 'text',
    'updated': 'time',
    'flow_run_id': 'text',
    'task_run_id': 'text',
    'task_run_name': 'text',
    'task_key': 'text',
    'input_name': 'text',
    'input_type': 'text',
    'upstream_task_run_id': 'text',
    'upstream_flow_run_id': 'text',
    'parameter_name': 'text',
    'constant_type': 'text',
}) }}
