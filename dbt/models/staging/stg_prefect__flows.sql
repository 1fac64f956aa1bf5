{{ prefect_source.stage('flows', {
    'id': 'text',
    'created': 'time',
    'updated': 'time',
    'name': 'text',
    'tags': 'json',
    'labels': 'json',
    'ui_url': 'text',
}) }}
