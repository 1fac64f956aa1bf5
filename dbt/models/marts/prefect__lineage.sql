{%- set no_text, no_time = 'cast(null as ' ~ dbt.type_string() ~ ')', 'cast(null as ' ~ prefect_source.type_time() ~ ')' %}

with edges as (

    select
        workspace_id, source_relation, 'declared' as known, source, destination, flow_name, ui_url as declared_url,
        {{ no_text }} as flow_run_id, {{ no_time }} as occurred
    from {{ ref('int_prefect__declared_edges') }}

    union all

    -- A failed materialization has made nothing.
    select workspace_id, source_relation, 'observed', source, destination, flow_name, null, flow_run_id, occurred
    from {{ ref('stg_prefect__asset_lineage') }}
    where coalesce(result, 'succeeded') = 'succeeded'

),

placed as (

    select
        edges.*,
        upstream.table_id as source_id,
        upstream.table_name as source_table,
        downstream.table_id as destination_id,
        downstream.table_name as destination_table,
        row_number() over (
            partition by edges.workspace_id, upstream.table_id, downstream.table_id
            order by edges.known desc, edges.occurred desc, edges.flow_run_id
        ) as place
    from edges
    {% for side, named in [('source', 'upstream'), ('destination', 'downstream')] %}
    left join {{ ref('int_prefect__table_names') }} as {{ named }}
        on {{ named }}.workspace_id = coalesce(edges.workspace_id, '')
        and {{ named }}.known = edges.known
        and {{ named }}.spelling = edges.{{ side }}
    {% endfor %}
    where edges.source is not null or edges.destination is not null

),

grouped as (

    select
        placed.workspace_id,
        max(placed.source_relation) as source_relation,
        placed.source_id,
        placed.source_table,
        placed.destination_id,
        placed.destination_table,
        case when min(placed.known) = max(placed.known) then min(placed.known) else 'both' end as known,
        min(placed.flow_name) as flow_name,
        max(placed.occurred) as last_observed_at,
        {{ prefect_source.count_if("placed.known = 'observed'") }} as times_observed,
        min(placed.declared_url) as declared_url,
        max(case when placed.place = 1 then run.run_url end) as run_url
    from placed
    left join {{ ref('prefect__runs') }} as run on run.run_id = placed.flow_run_id and placed.place = 1
    group by placed.workspace_id, placed.source_id, placed.source_table, placed.destination_id, placed.destination_table

)

select
    coalesce(grouped.workspace_id || ': ', '') || coalesce(grouped.source_id, '') || ' > ' || coalesce(grouped.destination_id, '')
        as edge_id,
    grouped.workspace_id,
    workspace.workspace_name,
    grouped.source_relation,
    grouped.source_id,
    grouped.source_table,
    grouped.destination_id,
    grouped.destination_table,
    grouped.known,
    grouped.flow_name,
    grouped.last_observed_at,
    grouped.times_observed,
    grouped.declared_url,
    grouped.run_url
from grouped
left join {{ ref('prefect__workspaces') }} as workspace on {{ prefect_source.same_workspace('workspace', 'grouped') }}
