with edges as (

    select
        {{ prefect_source.declared_table('source') }} as source_table,
        {{ prefect_source.declared_table('destination') }} as destination_table,
        1 as declared,
        0 as observed,
        flow_name,
        ui_url as declared_url,
        cast(null as {{ dbt.type_string() }}) as flow_run_id,
        cast(null as {{ prefect_source.type_time() }}) as occurred
    from {{ ref('stg_prefect__lineage') }}

    union all

    -- A failed materialization has made nothing.
    select
        {{ prefect_source.observed_table('source') }}, {{ prefect_source.observed_table('destination') }},
        0, 1, flow_name, null, flow_run_id, occurred
    from {{ ref('stg_prefect__asset_lineage') }}
    where coalesce(result, 'succeeded') = 'succeeded'

),

ranked as (

    select
        *,
        row_number() over (partition by source_table, destination_table order by observed desc, occurred desc, flow_run_id) as place
    from edges
    where source_table is not null or destination_table is not null

)

select
    coalesce(ranked.source_table, '') || ' > ' || coalesce(ranked.destination_table, '') as edge_id,
    ranked.source_table,
    ranked.destination_table,
    case
        when min(ranked.observed) = max(ranked.observed) and max(ranked.observed) = 0 then 'declared'
        when min(ranked.declared) = max(ranked.declared) and max(ranked.declared) = 0 then 'observed'
        else 'both'
    end as known,
    min(ranked.flow_name) as flow_name,
    max(ranked.occurred) as last_observed_at,
    sum(ranked.observed) as times_observed,
    min(ranked.declared_url) as declared_url,
    max(case when ranked.place = 1 then run.run_url end) as run_url
from ranked
left join {{ ref('prefect__runs') }} as run on run.run_id = ranked.flow_run_id and ranked.place = 1
group by ranked.source_table, ranked.destination_table
