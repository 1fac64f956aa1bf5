{{ prefect_source.stage('events', {
    'id': 'text',
    'occurred': 'time',
    'received': 'time',
    'event': 'text',
    'follows': 'text',
    'resource_id': 'text',
    'resource_name': 'text',
    'resource': 'text',
    'related': 'text',
    'payload': 'text',
}) }}
