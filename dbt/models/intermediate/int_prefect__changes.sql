{#- What was changed last about each flow and deployment: deleted, paused. -#}
select
    object_id,
    max(case when action = 'deleted' then occurred end) as deleted_at,
    max(case when action = 'paused' or (field = 'paused' and lower(value_after) = 'true') then occurred end) as paused_at
from {{ ref('stg_prefect__change_log') }}
where object_type in ('flow', 'deployment')
group by object_id
