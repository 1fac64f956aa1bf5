{{ prefect_source.stage('asset_materializations', {
    'asset': 'text',
    'asset_scheme': 'text',
    'asset_table': 'text',
    'asset_parts': 'json',
    'asset_name': 'text',
    'asset_description': 'text',
    'asset_url': 'text',
    'asset_owners': 'text',
    'upstream_assets': 'json',
    'metadata': 'text',
    'tags': 'json',
}, prefect_source.materialization_columns()) }}
