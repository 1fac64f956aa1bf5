{%- set tagged = [
    ('flow', 'stg_prefect__flows'), ('deployment', 'stg_prefect__deployments'), ('run', 'stg_prefect__flow_runs'),
    ('variable', 'stg_prefect__variables'), ('automation', 'stg_prefect__automations'),
] %}

{% for kind, model in tagged %}
select distinct
    '{{ kind }}/' || object.id || '/' || item.value as tag_id,
    item.value as tag,
    '{{ kind }}' as object_type,
    object.id as object_id,
    object.name as object_name
from {{ ref(model) }} as object
{{ prefect_source.each_of('object.tags') }}
where item.value is not null
{{ 'union all' if not loop.last }}
{% endfor %}
