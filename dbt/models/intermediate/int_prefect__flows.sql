with tagged as (

    {{ prefect_source.owners_by_tag('stg_prefect__flows') }}

)

select
    flow.id as flow_id,
    flow.name as flow_name,
    tagged.owner,
    flow.ui_url as flow_url
from {{ ref('stg_prefect__flows') }} as flow
left join tagged on tagged.id = flow.id
