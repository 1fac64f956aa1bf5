{#- No shortest path is longer than there are tables, so that tables in a circle end it. -#}
with recursive edges as (

    select source_table as upstream_table, destination_table as downstream_table
    from {{ ref('prefect__lineage') }}
    where source_table is not null and destination_table is not null and source_table <> destination_table

),

size as (

    select count(*) as edge_count from edges

),

paths as (

    select upstream_table, downstream_table, 1 as distance from edges

    {{ prefect_source.recursive_union() }}

    select paths.upstream_table, edges.downstream_table, paths.distance + 1
    from paths
    inner join edges on edges.upstream_table = paths.downstream_table
    cross join size
    where paths.distance < {{ prefect_source.longest_path('size.edge_count') }} and edges.downstream_table <> paths.upstream_table

)

select
    upstream_table || ' > ' || downstream_table as closure_id,
    upstream_table,
    downstream_table,
    min(distance) as distance
from paths
group by upstream_table, downstream_table
