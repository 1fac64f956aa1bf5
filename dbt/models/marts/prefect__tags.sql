{%- set tagged = [
    ('flow', 'stg_prefect__flows'), ('deployment', 'stg_prefect__deployments'), ('run', 'stg_prefect__flow_runs'),
    ('variable', 'stg_prefect__variables'), ('automation', 'stg_prefect__automations'),
] %}

with tags as (

    {% for kind, model in tagged %}
    select distinct
        object.workspace_id,
        object.source_relation,
        '{{ kind }}' as object_type,
        object.id as object_id,
        object.name as object_name,
        item.value as tag
    from {{ ref(model) }} as object
    {{ prefect_source.each_of('object.tags') }}
    where item.value is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select
    tags.object_type || '/' || tags.object_id || '/' || tags.tag as tag_id,
    tags.workspace_id,
    workspace.workspace_name,
    tags.source_relation,
    tags.tag,
    tags.object_type,
    tags.object_id,
    tags.object_name
from tags
left join {{ ref('prefect__workspaces') }} as workspace on {{ prefect_source.same_workspace('workspace', 'tags') }}
