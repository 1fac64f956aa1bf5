with ended as (

    select
        subject_id, flow_subject_id, deployment_id, run_id, run_name, run_url, is_scheduled, state_name, state_message, error_class,
        due_at, ended_at, outcome
    from {{ ref('prefect__runs') }}
    where
        outcome in ('succeeded', 'failed', 'crashed') and ended_at is not null
        -- What fails inside another run is told by that.
        and not (is_inline and outcome <> 'succeeded')

),

by_hand as (

    select distinct flow_subject_id from ended where deployment_id is null and outcome <> 'succeeded'

),

subjects as (

    select * from ended

    union all

    -- What failed by hand is repaired once a deployment of the same flow succeeds.
    select
        ended.flow_subject_id, ended.flow_subject_id, cast(null as {{ dbt.type_string() }}), ended.run_id, ended.run_name,
        ended.run_url, ended.is_scheduled, ended.state_name, ended.state_message, ended.error_class, ended.due_at, ended.ended_at,
        ended.outcome
    from ended
    inner join by_hand on by_hand.flow_subject_id = ended.flow_subject_id
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
        row_number() over (partition by subject_id, series order by ended_at, run_id) as first_place,
        row_number() over (partition by subject_id, series order by ended_at desc, run_id desc) as last_place
    from numbered
    where outcome <> 'succeeded'

),

incidents as (

    select
        subject_id,
        series,
        max(case when first_place = 1 then run_id end) as incident_id,
        min(ended_at) as began_at,
        max(ended_at) as last_failed_at,
        count(*) as runs_lost,
        max(case when last_place = 1 then due_at end) as last_due_at,
        max(case when last_place = 1 and is_scheduled then 1 else 0 end) as last_was_scheduled,
        max(case when last_place = 1 then run_id end) as last_run_id,
        max(case when last_place = 1 then run_name end) as last_run_name,
        max(case when last_place = 1 then run_url end) as last_run_url,
        max(case when last_place = 1 then state_name end) as state_name,
        max(case when last_place = 1 then state_message end) as state_message,
        max(case when last_place = 1 then error_class end) as error_class
    from failures
    group by subject_id, series

),

successes as (

    select subject_id, series, ended_at from numbered where outcome = 'succeeded'

),

closed as (

    select
        incidents.*,
        pipeline.workspace_id,
        pipeline.workspace_name,
        pipeline.source_relation,
        pipeline.flow_id,
        pipeline.flow_name,
        pipeline.deployment_id,
        pipeline.deployment_name,
        pipeline.owner,
        pipeline.deleted_at,
        pipeline.next_run_at,
        pipeline.paused_at,
        pipeline.schedule_edited_at,
        workspace.as_of,
        before.ended_at as last_success_at,
        recovery.ended_at as recovered_at,
        {{ prefect_source.add_seconds('incidents.last_failed_at', var('forgotten_after_days') * 86400) }} as forgotten_at,
        case
            when recovery.ended_at is not null then 'succeeded'
            when pipeline.is_deleted then 'deleted'
            -- A pause stops the schedule, and no other runs.
            when
                pipeline.is_paused
                and (incidents.last_was_scheduled = 1 or pipeline.paused_at is null or pipeline.paused_at >= incidents.last_due_at)
            then 'paused'
            when incidents.last_was_scheduled = 1 and not pipeline.is_scheduled then 'unscheduled'
            when
                not coalesce(pipeline.is_scheduled, false)
                and {{ prefect_source.add_seconds('incidents.last_failed_at', var('forgotten_after_days') * 86400) }} < workspace.as_of
            then 'forgotten'
        end as closed_because
    from incidents
    left join {{ ref('prefect__pipelines') }} as pipeline on pipeline.subject_id = incidents.subject_id
    left join {{ ref('prefect__workspaces') }} as workspace on {{ prefect_source.same_workspace('workspace', 'pipeline') }}
    left join successes as before on before.subject_id = incidents.subject_id and before.series = incidents.series
    left join successes as recovery on recovery.subject_id = incidents.subject_id and recovery.series = incidents.series + 1

),

dated as (

    select
        *,
        case closed_because
            when 'succeeded' then recovered_at
            when 'deleted' then greatest(coalesce(deleted_at, last_failed_at), last_failed_at)
            when 'paused' then greatest(coalesce(paused_at, last_failed_at), last_failed_at)
            when 'unscheduled' then greatest(coalesce(schedule_edited_at, last_failed_at), last_failed_at)
            when 'forgotten' then forgotten_at
        end as ended_at
    from closed

),

changes as (

    -- An event is a row for each field that it changed.
    select
        coalesce(deployment.subject_id, flow.subject_id, change.object_id) as subject_id,
        change.event_id,
        change.occurred,
        max(change.action) || coalesce(': ' || {{ prefect_source.join_distinct('change.field') }}, '') as change,
        max(change.actor_name) as actor_name
    from {{ ref('stg_prefect__change_log') }} as change
    left join {{ ref('int_prefect__flows') }} as flow on flow.flow_id = change.object_id
    left join {{ ref('int_prefect__deployments') }} as deployment on deployment.deployment_id = change.object_id
    where change.object_type in ('deployment', 'flow')
    group by coalesce(deployment.subject_id, flow.subject_id, change.object_id), change.event_id, change.occurred

),

changes_before as (

    select
        incidents.incident_id,
        changes.occurred,
        changes.change,
        changes.actor_name,
        row_number() over (partition by incidents.incident_id order by changes.occurred desc, changes.event_id) as place
    from incidents
    inner join changes on changes.subject_id = incidents.subject_id and changes.occurred < incidents.began_at

),

failed_tasks as (

    select
        task.run_id,
        task.task_name,
        task.task_run_url,
        row_number() over (
            partition by task.run_id order by coalesce(task.run_attempt, 0) desc, task.ended_at, task.task_run_id
        ) as place
    from {{ ref('prefect__task_runs') }} as task
    inner join incidents on incidents.last_run_id = task.run_id
    where task.outcome in ('failed', 'crashed')

),

error_lines as (

    select
        log.flow_run_id as run_id,
        {{ prefect_source.first_line('log.message') }} as line,
        row_number() over (partition by log.flow_run_id order by log.timestamp desc, log.id desc) as place
    from {{ ref('stg_prefect__logs') }} as log
    inner join incidents on incidents.last_run_id = log.flow_run_id
    -- ERROR and CRITICAL; what Prefect itself says of the state is in its message.
    where log.level >= 40 and log.message not like 'Finished in state %'

),

written as (

    select distinct subject_id, table_id, table_name from {{ ref('prefect__table_users') }} where role = 'writes'

),

hit as (

    select subject_id, table_id, table_name from written

    union all

    select written.subject_id, closure.downstream_id, closure.downstream_table
    from written
    inner join {{ ref('prefect__lineage_closure') }} as closure on closure.upstream_id = written.table_id

),

impact as (

    select subject_id, count(distinct table_id) as tables_hit, {{ prefect_source.join_distinct('table_name') }} as table_names
    from hit
    group by subject_id

)

select
    dated.incident_id,
    dated.workspace_id,
    dated.workspace_name,
    dated.source_relation,
    dated.subject_id,
    dated.flow_id,
    dated.flow_name,
    dated.deployment_id,
    dated.deployment_name,
    dated.owner,
    dated.began_at,
    dated.ended_at,
    dated.closed_because is null as is_open,
    dated.closed_because,
    case when dated.closed_because = 'succeeded' then {{ prefect_source.seconds_between('dated.began_at', 'dated.ended_at') }} end
        as recovery_seconds,
    {{ prefect_source.seconds_between('dated.began_at', 'coalesce(dated.ended_at, dated.as_of)') }} as open_seconds,
    dated.runs_lost,
    dated.last_failed_at,
    dated.last_success_at,
    dated.state_name,
    dated.state_message,
    dated.error_class,
    task.task_name as failed_task,
    task.task_run_url as failed_task_url,
    error.line as log_line,
    coalesce(impact.tables_hit, 0) as tables_hit,
    impact.table_names,
    change.occurred as last_changed_at,
    change.change as last_change,
    change.actor_name as last_changed_by,
    case when dated.closed_because is null then dated.next_run_at end as next_run_at,
    dated.last_run_name,
    dated.last_run_url
from dated
left join changes_before as change on change.incident_id = dated.incident_id and change.place = 1
left join failed_tasks as task on task.run_id = dated.last_run_id and task.place = 1
left join error_lines as error on error.run_id = dated.last_run_id and error.place = 1
left join impact on impact.subject_id = dated.subject_id
