{{ prefect_source.stage('asset_lineage', {
    'materialization_id': 'text',
    'source': 'text',
    'source_scheme': 'text',
    'source_table': 'text',
    'source_parts': 'json',
    'destination': 'text',
    'destination_scheme': 'text',
    'destination_table': 'text',
    'destination_parts': 'json',
}, prefect_source.materialization_columns()) }}
