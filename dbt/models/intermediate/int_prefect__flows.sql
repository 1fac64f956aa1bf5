with tagged as (

    {{ prefect_source.owners_by_tag('stg_prefect__flows') }}

)

select
    flow.id as flow_id,
    -- Registered again under its name, it is the same flow.
    first_value(flow.id) over (
        partition by coalesce(flow.workspace_id, ''), coalesce(flow.name, flow.id)
        order by {{ prefect_source.newest_first('flow', 'change') }}
    ) as subject_id,
    flow.workspace_id,
    flow.source_relation,
    flow.name as flow_name,
    tagged.owner,
    flow.ui_url as flow_url,
    change.deleted_at
from {{ ref('stg_prefect__flows') }} as flow
left join tagged on tagged.id = flow.id
left join {{ ref('int_prefect__changes') }} as change on change.object_id = flow.id
