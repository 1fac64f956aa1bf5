{#- Which task run waits for which: from the stream `task_dependencies`, or where that was not synced from the inputs of task runs. -#}
-- depends_on: {{ ref('stg_prefect__task_runs') }}
{%- set lacking = prefect_source.lacking('task_dependencies') %}

select task_run_id, upstream_task_run_id
from {{ ref('stg_prefect__task_dependencies') }}
where upstream_task_run_id is not null

{% if lacking %}
union all

-- Of the origins of an input only task runs and flow runs have an id.
select task.id, input.id
from {{ ref('stg_prefect__task_runs') }} as task
{{ prefect_source.each_id_in('task.task_inputs') }}
where task.source_relation in ('{{ lacking | join("', '") }}')
{% endif %}
