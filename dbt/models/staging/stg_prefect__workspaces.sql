{{ prefect_source.stage('workspaces', {
    'id': 'text',
    'name': 'text',
    'handle': 'text',
    'description': 'text',
    'account_name': 'text',
    'account_handle': 'text',
    'ui_url': 'text',
}) }}
