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

{#- Which rows an incremental build takes: those that have come since the last one, or up to an hour before, for a destination
    may load rows late, if they are not there yet; and all that has not ended, for time changes what is said of it. The
    condition needs the join before it. -#}
{% macro join_what_is_built(row, key) -%}
  {%- if is_incremental() -%}
  left join {{ this }} as built
    on built.{{ key }} = {{ row }}.id and built.synced_at = coalesce({{ row }}.synced_at, {{ row }}.updated)
  {%- endif -%}
{%- endmacro %}

{% macro and_changed_since_last_build(row, key) -%}
  {%- if is_incremental() -%}
  and (
    {{ row }}.end_time is null
    or (
      built.{{ key }} is null
      and coalesce({{ row }}.synced_at, {{ row }}.updated)
        >= (select {{ prefect_source.add_seconds('max(synced_at)', -3600) }} from {{ this }})
    )
  )
  {%- endif -%}
{%- endmacro %}
