{#- What reads and writes each table: as tags declare it, as materializations were observed, and what follows from both. -#}
with uses as (

    {% for side, role in [('source', 'reads'), ('destination', 'writes')] %}
    select workspace_id, source_relation, 'declared' as known, {{ side }} as spelling, '{{ role }}' as role, flow_id, deployment_id
    from {{ ref('int_prefect__declared_edges') }}

    union all

    -- A failed materialization has made nothing.
    select workspace_id, source_relation, 'observed', {{ side }}, '{{ role }}', flow_id, deployment_id
    from {{ ref('stg_prefect__asset_lineage') }}
    where coalesce(result, 'succeeded') = 'succeeded'

    union all

    {% endfor %}
    select workspace_id, source_relation, 'observed', asset, 'writes', flow_id, deployment_id
    from {{ ref('stg_prefect__asset_materializations') }}

),

direct as (

    select
        named.table_id,
        named.table_name,
        uses.role,
        uses.workspace_id,
        uses.source_relation,
        coalesce(flow.subject_id, uses.flow_id) as flow_id,
        coalesce(deployment.subject_id, uses.deployment_id) as deployment_id,
        max(case when uses.known = 'declared' then 1 else 0 end) as declared
    from uses
    inner join {{ ref('int_prefect__table_names') }} as named
        on named.workspace_id = coalesce(uses.workspace_id, '') and named.known = uses.known and named.spelling = uses.spelling
    left join {{ ref('int_prefect__flows') }} as flow on flow.flow_id = uses.flow_id
    left join {{ ref('int_prefect__deployments') }} as deployment on deployment.deployment_id = uses.deployment_id
    group by 1, 2, 3, 4, 5, 6, 7

),

deployments as (

    select flow_subject_id as flow_id, subject_id as deployment_id, count(*) over (partition by flow_subject_id) as of_flow
    from {{ ref('int_prefect__deployments') }}
    where deployment_id = subject_id

),

declaring as (

    select flow_id, role, count(distinct deployment_id) as deployments
    from direct
    group by flow_id, role

),

by_hand as (

    -- By hand, a flow does what all of its deployments do.
    select
        direct.table_id, direct.table_name, direct.role, direct.workspace_id, direct.source_relation, direct.flow_id,
        max(direct.declared) as declared
    from direct
    inner join declaring on declaring.flow_id = direct.flow_id and declaring.role = direct.role
    where direct.deployment_id is not null
    group by 1, 2, 3, 4, 5, 6, declaring.deployments
    having count(distinct direct.deployment_id) = declaring.deployments

),

users as (

    select table_id, table_name, role, workspace_id, source_relation, flow_id, deployment_id, declared, 0 as inferred
    from direct

    union all

    select table_id, table_name, role, workspace_id, source_relation, flow_id, null, declared, 1
    from by_hand

    union all

    -- What is declared of a flow, each of its deployments does; what it was seen to do by hand, its only one.
    select
        direct.table_id, direct.table_name, direct.role, direct.workspace_id, direct.source_relation, direct.flow_id,
        deployments.deployment_id, direct.declared, 1
    from direct
    inner join deployments on deployments.flow_id = direct.flow_id and (direct.declared = 1 or deployments.of_flow = 1)
    where direct.deployment_id is null

),

grouped as (

    select
        table_id, table_name, role, workspace_id, flow_id, deployment_id,
        max(source_relation) as source_relation,
        max(declared) as declared,
        min(inferred) as inferred
    from users
    group by 1, 2, 3, 4, 5, 6

)

select
    grouped.table_id || ' ' || grouped.role || ' ' || coalesce(grouped.deployment_id, grouped.flow_id, '') as table_user_id,
    grouped.table_id,
    grouped.table_name,
    grouped.role,
    grouped.workspace_id,
    workspace.workspace_name,
    grouped.source_relation,
    coalesce(grouped.deployment_id, grouped.flow_id) as subject_id,
    grouped.flow_id,
    flow.flow_name,
    grouped.deployment_id,
    deployment.deployment_name,
    grouped.declared = 1 as is_declared,
    grouped.inferred = 1 as is_inferred
from grouped
left join {{ ref('prefect__workspaces') }} as workspace on {{ prefect_source.same_workspace('workspace', 'grouped') }}
left join {{ ref('int_prefect__flows') }} as flow on flow.flow_id = grouped.flow_id
left join {{ ref('int_prefect__deployments') }} as deployment on deployment.deployment_id = grouped.deployment_id
