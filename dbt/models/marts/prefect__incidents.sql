with ended as (

    select
        coalesce(deployment_id, flow_id) as subject_id,
        flow_id, flow_name, deployment_id, deployment_name, owner,
        run_id, run_name, run_url, state_name, state_message, error_class, ended_at, outcome
    from {{ ref('prefect__runs') }}
    where outcome in ('succeeded', 'failed', 'crashed') and ended_at is not null

),

by_hand as (

    select distinct flow_id from ended where deployment_id is null and outcome <> 'succeeded'

),

subjects as (

    select * from ended

    union all

    -- What failed by hand is repaired once a deployment of the same flow succeeds.
    select
        ended.flow_id, ended.flow_id, ended.flow_name,
        cast(null as {{ dbt.type_string() }}), cast(null as {{ dbt.type_string() }}), ended.owner,
        ended.run_id, ended.run_name, ended.run_url, ended.state_name, ended.state_message, ended.error_class, ended.ended_at,
        ended.outcome
    from ended
    inner join by_hand on by_hand.flow_id = ended.flow_id
    where ended.deployment_id is not null and ended.outcome = 'succeeded'

),

numbered as (

    select
        *,
        -- Failures between the same two successes have one number: that of the success before them.
        sum(case when outcome = 'succeeded' then 1 else 0 end) over (
            partition by subject_id order by ended_at, case when outcome = 'succeeded' then 1 else 0 end, run_id
            rows between unbounded preceding and current row
        ) as series
    from subjects

),

failures as (

    select
        *,
        row_number() over (partition by subject_id, series order by ended_at desc, run_id) as place
    from numbered
    where outcome <> 'succeeded'

),

incidents as (

    select
        subject_id,
        series,
        flow_id,
        max(flow_name) as flow_name,
        deployment_id,
        max(deployment_name) as deployment_name,
        max(owner) as owner,
        min(ended_at) as began_at,
        max(ended_at) as last_failed_at,
        count(*) as runs_lost,
        max(case when place = 1 then run_id end) as last_run_id,
        max(case when place = 1 then run_name end) as last_run_name,
        max(case when place = 1 then run_url end) as last_run_url,
        max(case when place = 1 then state_name end) as state_name,
        max(case when place = 1 then state_message end) as state_message,
        max(case when place = 1 then error_class end) as error_class
    from failures
    group by subject_id, series, flow_id, deployment_id

),

successes as (

    select subject_id, series, ended_at from numbered where outcome = 'succeeded'

),

changes as (

    -- An event is a row for each field that it changed.
    select
        object_id,
        event_id,
        occurred,
        max(action) || coalesce(': ' || {{ prefect_source.join_distinct('field') }}, '') as change,
        max(actor_name) as actor_name
    from {{ ref('stg_prefect__change_log') }}
    where object_type in ('deployment', 'flow')
    group by object_id, event_id, occurred

),

changes_before as (

    select
        incidents.subject_id,
        incidents.series,
        changes.occurred,
        changes.change,
        changes.actor_name,
        row_number() over (
            partition by incidents.subject_id, incidents.series order by changes.occurred desc, changes.event_id
        ) as place
    from incidents
    inner join changes on changes.object_id = incidents.subject_id and changes.occurred < incidents.began_at

),

written as (

    select distinct subject_id, table_name from {{ ref('int_prefect__table_users') }} where role = 'writes'

),

hit as (

    select subject_id, table_name from written

    union all

    select written.subject_id, closure.downstream_table
    from written
    inner join {{ ref('prefect__lineage_closure') }} as closure on closure.upstream_table = written.table_name

),

impact as (

    select subject_id, count(distinct table_name) as tables_hit, {{ prefect_source.join_distinct('table_name') }} as table_names
    from hit
    group by subject_id

)

select
    incidents.subject_id || '/' || cast(incidents.series as {{ dbt.type_string() }}) as incident_id,
    incidents.subject_id,
    incidents.flow_id,
    incidents.flow_name,
    incidents.deployment_id,
    incidents.deployment_name,
    incidents.owner,
    incidents.began_at,
    recovery.ended_at as ended_at,
    recovery.ended_at is null as is_open,
    case when recovery.ended_at is not null then {{ prefect_source.seconds_between('incidents.began_at', 'recovery.ended_at') }} end
        as recovery_seconds,
    {{ prefect_source.seconds_between('incidents.began_at', 'coalesce(recovery.ended_at, period.as_of)') }} as open_seconds,
    incidents.runs_lost,
    incidents.last_failed_at,
    before.ended_at as last_success_at,
    incidents.state_name,
    incidents.state_message,
    incidents.error_class,
    coalesce(impact.tables_hit, 0) as tables_hit,
    impact.table_names,
    change.occurred as last_changed_at,
    change.change as last_change,
    change.actor_name as last_changed_by,
    incidents.last_run_name,
    incidents.last_run_url
from incidents
cross join {{ ref('int_prefect__period') }} as period
left join successes as before on before.subject_id = incidents.subject_id and before.series = incidents.series
left join successes as recovery on recovery.subject_id = incidents.subject_id and recovery.series = incidents.series + 1
left join changes_before as change
    on change.subject_id = incidents.subject_id and change.series = incidents.series and change.place = 1
left join impact on impact.subject_id = incidents.subject_id
