{{ prefect_source.stage('variables', {
    'id': 'text',
    'created': 'time',
    'updated': 'time',
    'name': 'text',
    'value': 'text',
    'value_type': 'text',
    'tags': 'json',
}) }}
