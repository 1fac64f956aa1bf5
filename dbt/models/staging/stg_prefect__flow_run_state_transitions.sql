with staged as (

{{ prefect_source.stage('flow_run_state_transitions', {
    'work_queue_id': 'text',
    'work_queue_name': 'text',
    'work_pool_id': 'text',
    'work_pool_name': 'text',
}, prefect_source.transition_columns()) }}

)

select
    staged.*,
    -- Only an unbroken chain of transitions tells it: the one before must have led into this one's former state.
    case
        when lag(to_state_name) over (partition by flow_run_id order by occurred, id) = from_state_name
            then lag(occurred) over (partition by flow_run_id order by occurred, id)
    end as from_state_since
from staged
