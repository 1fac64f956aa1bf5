{#- No shortest path is longer than there are tables, so that tables in a circle end it. -#}
with recursive edges as (

    select distinct source_id as upstream_id, destination_id as downstream_id
    from {{ ref('prefect__lineage') }}
    where source_id is not null and destination_id is not null and source_id <> destination_id

),

size as (

    select count(*) as edge_count from edges

),

paths as (

    select upstream_id, downstream_id, 1 as distance from edges

    {{ prefect_source.recursive_union() }}

    select paths.upstream_id, edges.downstream_id, paths.distance + 1
    from paths
    inner join edges on edges.upstream_id = paths.downstream_id
    cross join size
    where paths.distance < {{ prefect_source.longest_path('size.edge_count') }} and edges.downstream_id <> paths.upstream_id

),

shortest as (

    select upstream_id, downstream_id, min(distance) as distance
    from paths
    group by upstream_id, downstream_id

),

tables as (

    select distinct table_id, table_name, table_workspace_id as workspace_id from {{ ref('int_prefect__table_names') }}

)

select
    shortest.upstream_id || ' > ' || shortest.downstream_id as closure_id,
    downstream.workspace_id,
    workspace.workspace_name,
    workspace.source_relation,
    shortest.upstream_id,
    upstream.table_name as upstream_table,
    shortest.downstream_id,
    downstream.table_name as downstream_table,
    shortest.distance
from shortest
inner join tables as upstream on upstream.table_id = shortest.upstream_id
inner join tables as downstream on downstream.table_id = shortest.downstream_id
left join {{ ref('prefect__workspaces') }} as workspace on {{ prefect_source.same_workspace('workspace', 'downstream') }}
