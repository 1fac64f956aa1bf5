{#- Each run twice: as one of its flow, and as one of its deployment. -#}
{%- set levels = [('flow', 'flow_id', 'flow_url'), ('deployment', 'deployment_id', 'deployment_url')] %}

with subjects as (

    {% for level, id, url in levels %}
    select
        '{{ level }}' as level,
        {{ id }} as subject_id,
        {{ url }} as subject_url,
        {{ 'deployment_name' if level == 'deployment' else 'cast(null as ' ~ dbt.type_string() ~ ')' }} as deployment_name,
        flow_id, flow_name, run_id, run_url, ended_at, ended_on, outcome, retries, lateness_seconds, queue_seconds,
        case when outcome = 'succeeded' then duration_seconds end as duration_seconds,
        row_number() over (
            partition by {{ id }}, ended_on
            order by case when outcome in ('failed', 'crashed') then 0 else 1 end, ended_at desc, run_id
        ) as place
    from {{ ref('prefect__runs') }}
    where ended_at is not null and {{ id }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select
    level || '/' || subject_id || '/' || cast(ended_on as {{ dbt.type_string() }}) as reliability_id,
    level,
    subject_id,
    flow_id,
    flow_name,
    deployment_name,
    ended_on as day,
    count(*) as runs,
    sum(case when outcome = 'succeeded' then 1 else 0 end) as succeeded,
    sum(case when outcome = 'failed' then 1 else 0 end) as failed,
    sum(case when outcome = 'crashed' then 1 else 0 end) as crashed,
    sum(case when outcome = 'cancelled' then 1 else 0 end) as cancelled,
    -- Of those that succeeded, failed or crashed: n of the rate is their number.
    cast(sum(case when outcome = 'succeeded' then 1 else 0 end) as {{ prefect_source.type_double() }})
        / nullif(sum(case when outcome in ('succeeded', 'failed', 'crashed') then 1 else 0 end), 0) as success_rate,
    sum(case when outcome in ('succeeded', 'failed', 'crashed') then 1 else 0 end) as success_rate_n,
    sum(retries) as retries,
    {% for measure in ['duration', 'lateness', 'queue'] %}
    {% for share, name in [(0.5, 'p50'), (0.95, 'p95'), (0.99, 'p99')] %}
    {{ prefect_source.percentile(share, measure ~ '_seconds') }} as {{ measure }}_{{ name }}_seconds,
    {% endfor %}
    count({{ measure }}_seconds) as {{ measure }}_n,
    {% endfor %}
    subject_url,
    -- The day's last failure, or else its last run.
    max(case when place = 1 then run_url end) as run_url
from subjects
group by level, subject_id, subject_url, flow_id, flow_name, deployment_name, ended_on
