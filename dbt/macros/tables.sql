{#- One name for one table: `database.schema.table`. Tags and asset keys name the service, or the host, differently. -#}

{% macro declared_table(side) -%}
  coalesce({{ side }}_database || '.' || {{ side }}_schema || '.' || {{ side }}_table, {{ side }})
{%- endmacro %}

{#- `postgres://host/database/schema/table` and `bigquery://project/dataset/table`; another key stands for itself. -#}
{% macro observed_table(key) -%}
  {%- set path = prefect_source.nth_part(key, '://', 2) -%}
  case
    when length({{ path }}) - length(replace({{ path }}, '/', '')) = 3
    then {{ prefect_source.nth_part(path, '/', 2) }} || '.' || {{ prefect_source.nth_part(path, '/', 3) }}
      || '.' || {{ prefect_source.nth_part(path, '/', 4) }}
    when length({{ path }}) - length(replace({{ path }}, '/', '')) = 2 and replace({{ path }}, '.', '') = {{ path }}
    then replace({{ path }}, '/', '.')
    else {{ key }}
  end
{%- endmacro %}
