{#- What tags declare: every source with every destination of a pipeline, or one side alone. From the stream `lineage`, or where
    that was not synced from the tags of flows and deployments; and from the tags of task runs in the period. -#}
-- depends_on: {{ ref('stg_prefect__flows') }}
-- depends_on: {{ ref('stg_prefect__deployments') }}
{%- set lacking = prefect_source.lacking('lineage') %}

with synced as (

    select
        workspace_id, source_relation, flow_id, flow_name, deployment_id, ui_url,
        {% for side in ['source', 'destination'] %}
        {{ side }},
        {{ side }}_service,
        {{ side }}_database || '.' || {{ side }}_schema || '.' || {{ side }}_table as {{ side }}_name
        {{- ',' if not loop.last }}
        {% endfor %}
    from {{ ref('stg_prefect__lineage') }}

),

-- What has tags, by its key: a pipeline, or a task run.
tagged as (

    {% if lacking %}
    select
        'deployment ' || deployment.id as tagged_id, deployment.workspace_id, deployment.source_relation, deployment.flow_id,
        flow.name as flow_name, deployment.id as deployment_id, deployment.ui_url, tags.tags
    from {{ ref('stg_prefect__deployments') }} as deployment
    left join {{ ref('stg_prefect__flows') }} as flow on flow.id = deployment.flow_id
    -- A deployment reads and writes what its flow does.
    inner join (
        select id as deployment_id, tags from {{ ref('stg_prefect__deployments') }}
        union all
        select other.id, of_flow.tags
        from {{ ref('stg_prefect__deployments') }} as other
        inner join {{ ref('stg_prefect__flows') }} as of_flow on of_flow.id = other.flow_id
    ) as tags on tags.deployment_id = deployment.id
    where deployment.source_relation in ('{{ lacking | join("', '") }}')

    union all

    select 'flow ' || flow.id, flow.workspace_id, flow.source_relation, flow.id, flow.name, null, flow.ui_url, flow.tags
    from {{ ref('stg_prefect__flows') }} as flow
    where
        flow.source_relation in ('{{ lacking | join("', '") }}')
        and flow.id not in (select flow_id from {{ ref('stg_prefect__deployments') }} where flow_id is not null)

    union all

    {% endif %}
    select
        'task ' || task.id as tagged_id, task.workspace_id, task.source_relation, run.flow_id, flow.flow_name, run.deployment_id, task.ui_url, task.tags
    from {{ ref('stg_prefect__task_runs') }} as task
    inner join {{ ref('prefect__workspaces') }} as workspace on {{ prefect_source.same_workspace('workspace', 'task') }}
    inner join {{ ref('int_prefect__flow_runs') }} as run on run.run_id = task.flow_run_id
    left join {{ ref('int_prefect__flows') }} as flow on flow.flow_id = run.flow_id
    where
        task.start_time >= workspace.since
        and (lower(cast(task.tags as {{ dbt.type_string() }})) like '%source%:%' or lower(cast(task.tags as {{ dbt.type_string() }})) like '%destination%:%')

),

tags as (

    select
        tagged.tagged_id,
        lower(trim({{ prefect_source.nth_part('item.value', ':', 1) }})) as prefix,
        trim(substr(item.value, length({{ prefect_source.nth_part('item.value', ':', 1) }}) + 2)) as name
    from tagged
    {{ prefect_source.each_of('tagged.tags') }}

),

pipelines as (

    select tagged_id, workspace_id, source_relation, flow_id, flow_name, deployment_id, max(ui_url) as ui_url
    from tagged
    group by tagged_id, workspace_id, source_relation, flow_id, flow_name, deployment_id

),

{% for side in ['source', 'destination'] %}
{{ side }}s as (

    select distinct tagged_id, name from tags where prefix in ('om-{{ side }}', '{{ side }}') and name <> ''

),

{% endfor %}

paired as (

    select
        coalesce(sources.tagged_id, destinations.tagged_id) as tagged_id, sources.name as source, destinations.name as destination
    from sources
    full outer join destinations on destinations.tagged_id = sources.tagged_id

),

edges as (

    select * from synced

    union all

    select
        pipelines.workspace_id, pipelines.source_relation, pipelines.flow_id, pipelines.flow_name, pipelines.deployment_id,
        max(pipelines.ui_url),
        {% for side in ['source', 'destination'] %}
        paired.{{ side }},
        {{ prefect_source.service_in('paired.' ~ side) }},
        {{ prefect_source.name_in('paired.' ~ side) }}
        {{- ',' if not loop.last }}
        {% endfor %}
    from paired
    inner join pipelines on pipelines.tagged_id = paired.tagged_id
    group by
        pipelines.workspace_id, pipelines.source_relation, pipelines.flow_id, pipelines.flow_name, pipelines.deployment_id,
        paired.source, paired.destination

)

select * from edges
