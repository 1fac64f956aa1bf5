with staged as (

{{ prefect_source.stage('flow_run_state_transitions', {
    'id': 'text',
    'occurred': 'time',
    'received': 'time',
    'flow_run_id': 'text',
    'flow_run_name': 'text',
    'run_count': 'integer',
    'from_state_type': 'text',
    'from_state_name': 'text',
    'from_state_message': 'text',
    'to_state_type': 'text',
    'to_state_name': 'text',
    'to_state_message': 'text',
    'follows': 'text',
    'flow_id': 'text',
    'flow_name': 'text',
    'deployment_id': 'text',
    'deployment_name': 'text',
    'work_queue_id': 'text',
    'work_queue_name': 'text',
    'work_pool_id': 'text',
    'work_pool_name': 'text',
    'tags': 'json',
}) }}

)

select
    staged.*,
    -- Only an unbroken chain of transitions tells it: the one before must have led into this one's former state.
    case
        when lag(to_state_name) over (partition by flow_run_id order by occurred, id) = from_state_name
            then lag(occurred) over (partition by flow_run_id order by occurred, id)
    end as from_state_since
from staged
