{#- A synced table with the given columns, each typed. What a sync left out is there all the same: a table without rows, a
    column without values.

    `columns` says of each column its kind (text, time, integer, number, boolean, json), and its name in the table after a
    colon, where that is another: {'message': 'text: state_message'}. `shared` says
    the same of the columns that another table has as well. Each row also has its workspace, on Prefect Cloud. -#}
{% macro stage(table, columns, shared={}) -%}
  {%- set there = prefect_source.columns_of(table) -%}
  select
  {%- for name, said in dict(columns, account_id='text', workspace_id='text', **shared).items() %}
    {%- set kind, _, original = said.partition(': ') %}
    {{ prefect_source.staged_column(there, original or name, kind) }} as {{ name }},
  {%- endfor %}
    {{ prefect_source.staged_column(there, '_airbyte_extracted_at', 'time') }} as synced_at
  {% if there -%}
  from {{ source('prefect', table) }}
  {%- else -%}
  from (select 1 as nothing) as no_table
  where 1 = 0
  {%- endif %}
{%- endmacro %}

{#- The columns of a synced table, their quoted names and types by their names in lower case; empty if it is not there. -#}
{% macro columns_of(table) -%}
  {%- set found = {} -%}
  {%- if execute and var('look_at_tables') -%}
    {%- set named = source('prefect', table) -%}
    {%- set relation = adapter.get_relation(named.database, named.schema, named.identifier) -%}
    {%- if relation -%}
      {%- for column in adapter.get_columns_in_relation(relation) -%}
        {%- do found.update({column.name | lower: [adapter.quote(column.name), column.dtype | lower]}) -%}
      {%- endfor -%}
    {%- endif -%}
  {%- elif not var('look_at_tables') -%}
    {%- do found.update({'*': none}) -%}
  {%- endif -%}
  {{ return(found) }}
{%- endmacro %}

{% macro staged_column(there, name, kind) -%}
  {%- set types = {
      'text': dbt.type_string(), 'time': prefect_source.type_time(), 'integer': dbt.type_bigint(),
      'number': prefect_source.type_double(), 'boolean': dbt.type_boolean(), 'json': prefect_source.type_json(),
  } -%}
  {%- if '*' in there -%}
    {%- set found, dtype = adapter.quote(name) if name == 'limit' else name, 'timestamp with time zone' -%}
  {%- elif name in there -%}
    {%- set found, dtype = there[name] -%}
  {%- endif -%}
  {%- if found is not defined -%} cast(null as {{ types[kind] }})
  {%- elif kind == 'time' -%} {{ prefect_source.as_time(found, dtype) }}
  {%- elif kind == 'json' -%} {{ prefect_source.as_json(found) }}
  {%- else -%} cast({{ found }} as {{ types[kind] }})
  {%- endif -%}
{%- endmacro %}
