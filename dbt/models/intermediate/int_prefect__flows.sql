with tagged as (

    select
        flow.id,
        max(case when item.value like 'owner:%' then trim(substr(item.value, 7)) end) as owner
    from {{ ref('stg_prefect__flows') }} as flow
    {{ prefect_source.each_of('flow.tags') }}
    group by flow.id

)

select
    flow.id as flow_id,
    flow.name as flow_name,
    nullif(tagged.owner, '') as owner,
    flow.ui_url as flow_url
from {{ ref('stg_prefect__flows') }} as flow
left join tagged on tagged.id = flow.id
