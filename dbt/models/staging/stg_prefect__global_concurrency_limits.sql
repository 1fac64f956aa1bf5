{{ prefect_source.stage('global_concurrency_limits', {
    'id': 'text',
    'created': 'time',
    'updated': 'time',
    'active': 'boolean',
    'name': 'text',
    'slots': 'integer: limit',
    'active_slots': 'integer',
    'slot_decay_per_second': 'number',
}) }}
