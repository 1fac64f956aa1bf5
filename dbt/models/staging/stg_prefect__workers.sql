{{ prefect_source.stage('workers', {
    'id': 'text',
    'created': 'time',
    'updated': 'time',
    'name': 'text',
    'work_pool_id': 'text',
    'work_pool_name': 'text',
    'last_heartbeat_time': 'time',
    'heartbeat_interval_seconds': 'integer',
    'status': 'text',
}) }}
