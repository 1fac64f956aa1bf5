{{ prefect_source.stage('task_run_state_transitions', {
    'task_run_id': 'text',
    'task_run_name': 'text',
    'task_key': 'text',
}, prefect_source.transition_columns()) }}
