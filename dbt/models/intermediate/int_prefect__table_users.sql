{#- Which flow or deployment reads or writes which table: declared by tags, observed in materializations. -#}
with users as (

    select {{ prefect_source.declared_table('destination') }} as table_name, 'writes' as role, 1 as declared, flow_id, deployment_id
    from {{ ref('stg_prefect__lineage') }}

    union all

    select {{ prefect_source.declared_table('source') }}, 'reads', 1, flow_id, deployment_id
    from {{ ref('stg_prefect__lineage') }}

    union all

    select {{ prefect_source.observed_table('asset') }}, 'writes', 0, flow_id, deployment_id
    from {{ ref('stg_prefect__asset_materializations') }}

    union all

    select {{ prefect_source.observed_table('destination') }}, 'writes', 0, flow_id, deployment_id
    from {{ ref('stg_prefect__asset_lineage') }}
    where coalesce(result, 'succeeded') = 'succeeded'

    union all

    select {{ prefect_source.observed_table('source') }}, 'reads', 0, flow_id, deployment_id
    from {{ ref('stg_prefect__asset_lineage') }}
    where coalesce(result, 'succeeded') = 'succeeded'

)

select
    users.table_name,
    users.role,
    users.flow_id,
    users.deployment_id,
    coalesce(users.deployment_id, users.flow_id) as subject_id,
    max(flow.flow_name) as flow_name,
    max(deployment.deployment_name) as deployment_name,
    max(users.declared) as declared
from users
left join {{ ref('int_prefect__flows') }} as flow on flow.flow_id = users.flow_id
left join {{ ref('int_prefect__deployments') }} as deployment on deployment.deployment_id = users.deployment_id
where users.table_name is not null
group by users.table_name, users.role, users.flow_id, users.deployment_id
