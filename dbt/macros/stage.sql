{#- A synced table with the given columns, each typed. What a sync left out is there all the same: a table without rows, a
    column without values.

    `columns` says of each column its kind (text, time, integer, number, boolean, json), and its name in the table after a
    colon, where that is another: {'message': 'text: state_message'}. `shared` says
    the same of the columns that another table has as well. Each row also has its workspace, and where it was read from. -#}
{% macro stage(table, columns, shared={}) -%}
  {%- set kinds = dict(columns) -%}
  {%- do kinds.update({'account_id': 'text', 'workspace_id': 'text'}) -%}
  {%- do kinds.update(shared) -%}
  {%- set relations = prefect_source.connections(table) -%}
  {%- if relations | length == 1 -%}
    {{ prefect_source.staged(relations[0], kinds) }}
  {%- else -%}
  select {{ kinds | join(', ') }}, source_relation, synced_at
  from (
    select
      united.*,
      -- Two connections may read one workspace.
      row_number() over (
        partition by id order by case when synced_at is null then 1 else 0 end, synced_at desc, source_relation
      ) as place
    from (
      {% for relation in relations %}
      {{ prefect_source.staged(relation, kinds) }}
      {{ 'union all' if not loop.last }}
      {% endfor %}
    ) as united
  ) as ranked
  where place = 1
  {%- endif %}
{%- endmacro %}

{#- A synced table in the schema of each connection. -#}
{% macro connections(table) -%}
  {%- set named = source('prefect', table) -%}
  {%- set found = [] -%}
  {%- for schema in var('prefect_schemas') -%}
    {%- do found.append(api.Relation.create(database=named.database, schema=schema, identifier=named.identifier)) -%}
  {%- endfor -%}
  {{ return(found or [named]) }}
{%- endmacro %}

{#- The schemas, as source_relation names them, where a table was not synced. -#}
{% macro lacking(table) -%}
  {%- set found = [] -%}
  {%- for relation in prefect_source.connections(table) if execute and not prefect_source.columns_of(relation) -%}
    {%- do found.append(relation.schema) -%}
  {%- endfor -%}
  {{ return(found) }}
{%- endmacro %}

{% macro staged(relation, kinds) -%}
  {%- set there = prefect_source.columns_of(relation) -%}
  select
  {%- for name, said in kinds.items() %}
    {%- set kind, original = (said.split(': ') + [name])[:2] %}
    {%- if name == 'workspace_id' and var('prefect_schemas') %}
    -- A server has no workspace: it is told by the connection.
    coalesce({{ prefect_source.staged_column(there, original, kind) }}, '{{ relation.schema }}') as {{ name }},
    {%- else %}
    {{ prefect_source.staged_column(there, original, kind) }} as {{ name }},
    {%- endif %}
  {%- endfor %}
    cast('{{ relation.schema }}' as {{ dbt.type_string() }}) as source_relation,
    {{ prefect_source.staged_column(there, '_airbyte_extracted_at', 'time') }} as synced_at
  {% if there -%}
  from {{ relation }}
  {%- else -%}
  from (select 1 as nothing) as no_table
  where 1 = 0
  {%- endif %}
{%- endmacro %}

{#- The columns of a synced table, their quoted names and types by their names in lower case; empty if it is not there. -#}
{% macro columns_of(named) -%}
  {%- set found = {} -%}
  {%- if execute and var('look_at_tables') -%}
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

{#- When a run ended. Older servers have failed runs without an end: they ended when they went over into their state. -#}
{% macro end_of_run() -%}
  coalesce(
    end_time,
    case
      when state_type in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')
      then coalesce(state_timestamp, updated, start_time, expected_start_time)
    end
  )
{%- endmacro %}

{% macro same_workspace(one, other) -%}
  coalesce({{ one }}.workspace_id, '') = coalesce({{ other }}.workspace_id, '')
{%- endmacro %}
