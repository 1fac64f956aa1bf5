{#- Slots of the period, as far back as the schedule was as it is now and runs are known. -#}
with matched as (

    select
        schedule.schedule_id,
        schedule.workspace_id,
        schedule.workspace_name,
        schedule.source_relation,
        schedule.subject_id,
        schedule.deployment_id,
        schedule.deployment_name,
        schedule.flow_id,
        schedule.flow_name,
        schedule.owner,
        schedule.schedule,
        schedule.time_zone,
        slots.slot_at,
        run.run_id,
        run.run_url,
        run.status as run_status,
        run.outcome,
        run.started_at,
        run.lateness_seconds,
        row_number() over (
            partition by slots.schedule_id, slots.slot_at
            order by
                case when run.started_at is null then 1 else 0 end, case when run.created_at is null then 1 else 0 end,
                run.created_at desc, run.run_id
        ) as place
    from {{ ref('int_prefect__slots') }} as slots
    inner join {{ ref('prefect__schedules') }} as schedule on schedule.schedule_id = slots.schedule_id
    inner join {{ ref('prefect__workspaces') }} as workspace on {{ prefect_source.same_workspace('workspace', 'schedule') }}
    left join {{ ref('prefect__runs') }} as run
        on run.deployment_id = schedule.deployment_id
        and run.is_scheduled
        and run.due_at = slots.slot_at
    where
        slots.slot_at >= workspace.first_due
        and (schedule.edited_at is null or slots.slot_at >= schedule.edited_at)

)

select
    schedule_id || '/' || cast({{ prefect_source.local_time('slot_at', "'UTC'") }} as {{ dbt.type_string() }}) as slot_id,
    workspace_id,
    workspace_name,
    source_relation,
    schedule_id,
    subject_id,
    deployment_id,
    deployment_name,
    flow_id,
    flow_name,
    owner,
    schedule,
    time_zone,
    slot_at,
    case
        when started_at is not null and lateness_seconds > {{ var('late_after_seconds') }} then 'late'
        when started_at is not null then 'met'
        when outcome = 'cancelled' then 'skipped'
        when run_status in ('late', 'due', 'pending', 'paused') then 'late'
        else 'missed'
    end as status,
    lateness_seconds,
    outcome,
    run_id,
    run_url
from matched
where place = 1
