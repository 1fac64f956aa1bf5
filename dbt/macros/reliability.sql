{#- Runs that ended, counted by subject and day. Each counts for its flow, or for a subflow where it ran inside another run, and for
    its deployment. `period` is day, week or month. -#}
{% macro reliability(period) -%}
with subjects as (

    select
        case when is_inline then 'subflow' else 'flow' end as level,
        flow_subject_id as subject_id,
        flow_subject_id as flow_id,
        flow_url as subject_url,
        cast(null as {{ dbt.type_string() }}) as deployment_name,
        workspace_id, workspace_name, source_relation, flow_name, run_id, run_url, ended_at, ended_on, outcome, retries,
        lateness_seconds, queue_seconds,
        case when outcome = 'succeeded' then duration_seconds end as duration_seconds
    from {{ ref('prefect__runs') }}
    where ended_at is not null and flow_subject_id is not null

    union all

    select
        'deployment', subject_id, flow_subject_id, deployment_url, deployment_name, workspace_id, workspace_name, source_relation,
        flow_name, run_id, run_url, ended_at, ended_on, outcome, retries, lateness_seconds, queue_seconds,
        case when outcome = 'succeeded' then duration_seconds end
    from {{ ref('prefect__runs') }}
    where ended_at is not null and deployment_id is not null

),

ranked as (

    select
        *,
        {{ prefect_source.first_day_of(period, 'ended_on') }} as {{ period }},
        row_number() over (
            partition by level, subject_id, {{ prefect_source.first_day_of(period, 'ended_on') }}
            order by case when outcome in ('failed', 'crashed') then 0 else 1 end, ended_at desc, run_id
        ) as place
    from subjects

),

counted as (

    select
        level,
        subject_id,
        {{ period }},
        count(*) as runs,
        {% for outcome in ['succeeded', 'failed', 'crashed', 'cancelled'] %}
        {{ prefect_source.count_if("outcome = '" ~ outcome ~ "'") }} as {{ outcome }},
        {% endfor %}
        {{ prefect_source.success_rate() }} as success_rate,
        {{ prefect_source.count_if("outcome in ('succeeded', 'failed', 'crashed')") }} as success_rate_n,
        cast(sum(retries) as {{ dbt.type_bigint() }}) as retries,
        {% for measure in ['duration', 'lateness', 'queue'] %}
        {% for share, name in [(0.5, 'p50'), (0.95, 'p95'), (0.99, 'p99')] %}
        {{ prefect_source.percentile(share, measure ~ '_seconds') }} as {{ measure }}_{{ name }}_seconds,
        {% endfor %}
        count({{ measure }}_seconds) as {{ measure }}_n,
        {% endfor %}
        -- The last failure, or else the last run.
        max(case when place = 1 then run_url end) as run_url
    from ranked
    group by level, subject_id, {{ period }}

),

described as (

    select
        level, subject_id,
        max(workspace_id) as workspace_id,
        max(workspace_name) as workspace_name,
        max(source_relation) as source_relation,
        max(flow_id) as flow_id,
        max(flow_name) as flow_name,
        max(deployment_name) as deployment_name,
        max(subject_url) as subject_url,
        min({{ period }}) as first_{{ period }}
    from ranked
    group by level, subject_id

),

periods as (

    select level, subject_id, {{ period }} from counted

    {% if period != 'day' -%}
    union all

    -- Those without runs as well, from the first with some on.
    select described.level, described.subject_id, spine.{{ period }}
    from described
    inner join (select distinct {{ period }} from {{ ref('prefect__days') }}) as spine on spine.{{ period }} > described.first_{{ period }}
    left join counted
        on counted.level = described.level
        and counted.subject_id = described.subject_id
        and counted.{{ period }} = spine.{{ period }}
    where counted.subject_id is null
    {%- endif %}

),

last_period as (

    select max({{ period }}) as last_{{ period }} from {{ ref('prefect__days') }}

)

select
    periods.level || '/' || periods.subject_id || '/' || cast(periods.{{ period }} as {{ dbt.type_string() }}) as reliability_id,
    periods.level,
    described.workspace_id,
    described.workspace_name,
    described.source_relation,
    periods.subject_id,
    described.flow_id,
    described.flow_name,
    described.deployment_name,
    periods.{{ period }},
    periods.{{ period }} < last_period.last_{{ period }} as is_complete,
    {% for figure in ['runs', 'succeeded', 'failed', 'crashed', 'cancelled'] %}
    coalesce(counted.{{ figure }}, 0) as {{ figure }},
    {% endfor %}
    -- Of those that succeeded, failed or crashed: n of the rate is their number.
    counted.success_rate,
    coalesce(counted.success_rate_n, 0) as success_rate_n,
    coalesce(counted.retries, 0) as retries,
    {% for measure in ['duration', 'lateness', 'queue'] %}
    {% for name in ['p50', 'p95', 'p99'] %}
    counted.{{ measure }}_{{ name }}_seconds,
    {% endfor %}
    coalesce(counted.{{ measure }}_n, 0) as {{ measure }}_n,
    {% endfor %}
    described.subject_url,
    counted.run_url
from periods
cross join last_period
inner join described on described.level = periods.level and described.subject_id = periods.subject_id
left join counted
    on counted.level = periods.level and counted.subject_id = periods.subject_id and counted.{{ period }} = periods.{{ period }}
{%- endmacro %}
