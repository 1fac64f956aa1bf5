{{ prefect_source.stage('block_documents', {
    'id': 'text',
    'created': 'time',
    'updated': 'time',
    'name': 'text',
    'is_anonymous': 'boolean',
    'block_type_id': 'text',
    'block_type_name': 'text',
    'block_type_slug': 'text',
    'block_schema_id': 'text',
    'block_schema_version': 'text',
    'capabilities': 'json',
    'used_block_documents': 'json',
}) }}
