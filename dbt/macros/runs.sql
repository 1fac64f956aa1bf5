{#- What flow runs and task runs have in common. -#}

{#- A message without what differs from failure to failure: ids, addresses, numbers. -#}
{% macro error_class(message) -%}
  {%- set ids = prefect_source.replace_pattern(message, '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}', '<id>') -%}
  {%- set addresses = prefect_source.replace_pattern(ids, '0x[0-9a-fA-F]+', '<id>') -%}
  {%- set numbers = prefect_source.replace_pattern(addresses, '[0-9]+([.,:][0-9]+)*', '<n>') -%}
  substr(trim({{ prefect_source.replace_pattern(numbers, '[[:space:]]+', ' ') }}), 1, 200)
{%- endmacro %}

{% macro outcome(state_type) -%}
  case {{ state_type }}
    when 'COMPLETED' then 'succeeded' when 'FAILED' then 'failed' when 'CRASHED' then 'crashed'
    when 'CANCELLED' then 'cancelled'
  end
{%- endmacro %}

{#- For how long a run has been under way when it is stuck: a multiple of what is usual, where something is. -#}
{% macro stuck_after(usual) -%}
  case
    when {{ usual }}.runs >= {{ var('usual_minimum_runs') }}
    then greatest({{ var('stuck_factor') }} * {{ usual }}.p95_seconds, {{ var('stuck_minimum_seconds') }})
    else {{ var('stuck_unknown_seconds') }}
  end
{%- endmacro %}

{#- How many rows meet a condition. -#}
{% macro count_if(condition) %}count(case when {{ condition }} then 1 end){% endmacro %}

{#- The share of those that succeeded, failed or crashed. -#}
{% macro success_rate() -%}
  cast({{ prefect_source.count_if("outcome = 'succeeded'") }} as {{ prefect_source.type_double() }})
    / nullif({{ prefect_source.count_if("outcome in ('succeeded', 'failed', 'crashed')") }}, 0)
{%- endmacro %}
