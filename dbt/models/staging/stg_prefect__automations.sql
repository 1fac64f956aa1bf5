{{ prefect_source.stage('automations', {
    'id': 'text',
    'created': 'time',
    'updated': 'time',
    'name': 'text',
    'description': 'text',
    'enabled': 'boolean',
    'tags': 'json',
    'trigger': 'json',
    'actions': 'json',
    'actions_on_trigger': 'json',
    'actions_on_resolve': 'json',
}) }}
