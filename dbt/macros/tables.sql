{#- One name for one table: `database.schema.table`. Tags and asset keys name the service, or the host, differently. -#}

{#- `postgres://host/database/schema/table`, `bigquery://project/dataset/table`: the number of slashes behind `://`. -#}
{% macro slashes(path) %}length({{ path }}) - length(replace({{ path }}, '/', '')){% endmacro %}

{% macro dots(name) %}length({{ name }}) - length(replace({{ name }}, '.', '')){% endmacro %}

{#- The service in `service.database.schema.table`, and what follows it. A name of another shape, or with quotes, has neither. -#}
{% macro service_in(name) -%}
  case when {{ prefect_source.dots(name) }} = 3 and {{ name }} not like '%"%' then {{ prefect_source.nth_part(name, '.', 1) }} end
{%- endmacro %}

{% macro name_in(name) -%}
  case
    when {{ name }} like '%"%' then null
    when {{ prefect_source.dots(name) }} = 3 then substr({{ name }}, length({{ prefect_source.nth_part(name, '.', 1) }}) + 2)
    when {{ prefect_source.dots(name) }} = 2 then {{ name }}
  end
{%- endmacro %}

{#- An id of a table in a workspace. -#}
{% macro table_id(workspace, name) -%}
  case when {{ workspace }} = '' then {{ name }} else {{ workspace }} || '/' || {{ name }} end
{%- endmacro %}
