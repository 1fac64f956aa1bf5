{#- Columns that two tables of a sync share, as `stage` takes them. -#}

{#- Flow runs and task runs. -#}
{% macro run_columns() -%}
  {{ return({
    'id': 'text',
    'created': 'time',
    'updated': 'time',
    'name': 'text',
    'expected_start_time': 'time',
    'next_scheduled_start_time': 'time',
    'start_time': 'time',
    'end_time': 'time',
    'total_run_time': 'number',
    'estimated_run_time': 'number',
    'estimated_start_time_delta': 'number',
    'run_count': 'integer',
    'state_id': 'text',
    'state_type': 'text',
    'state_name': 'text',
    'state_timestamp': 'time',
    'state_message': 'text',
    'state_data': 'text',
    'child_flow_run_id': 'text: state_state_details_child_flow_run_id',
    'state_scheduled_time': 'time: state_state_details_scheduled_time',
    'state_cache_key': 'text: state_state_details_cache_key',
    'state_cache_expiration': 'time: state_state_details_cache_expiration',
    'pause_timeout': 'time: state_state_details_pause_timeout',
    'is_suspended': 'boolean: state_state_details_pause_reschedule',
    'pause_key': 'text: state_state_details_pause_key',
    'is_retriable': 'boolean: state_state_details_retriable',
    'tags': 'json',
    'labels': 'json',
    'retries_allowed': 'integer: empirical_policy_retries',
    'retry_delay': 'text: empirical_policy_retry_delay',
    'ui_url': 'text',
  }) }}
{%- endmacro %}

{#- Materializations, and the edges that are made of them. -#}
{% macro materialization_columns() -%}
  {{ return({
    'id': 'text',
    'occurred': 'time',
    'received': 'time',
    'result': 'text',
    'materialized_by': 'text',
    'flow_run_id': 'text',
    'flow_run_name': 'text',
    'task_run_id': 'text',
    'task_run_name': 'text',
    'flow_id': 'text',
    'flow_name': 'text',
    'deployment_id': 'text',
    'deployment_name': 'text',
  }) }}
{%- endmacro %}

{#- Changes of state. -#}
{% macro transition_columns() -%}
  {{ return({
    'id': 'text',
    'occurred': 'time',
    'received': 'time',
    'run_count': 'integer',
    'from_state_type': 'text',
    'from_state_name': 'text',
    'from_state_message': 'text',
    'to_state_type': 'text',
    'to_state_name': 'text',
    'to_state_message': 'text',
    'follows': 'text',
    'flow_run_id': 'text',
    'flow_run_name': 'text',
    'flow_id': 'text',
    'flow_name': 'text',
    'deployment_id': 'text',
    'deployment_name': 'text',
    'tags': 'json',
  }) }}
{%- endmacro %}
