{#- Flows and deployments: what runs, and whose it is. -#}

{#- The owner of each object of a staging model that has one, by its tag `owner:<name>`. -#}
{% macro owners_by_tag(model) -%}
  select object.id, max(nullif(trim(substr(item.value, 7)), '')) as owner
  from {{ ref(model) }} as object
  {{ prefect_source.each_of('object.tags') }}
  where item.value like 'owner:%'
  group by object.id
{%- endmacro %}

{#- Of objects with one name, that which is there comes first. -#}
{% macro newest_first(object, change) -%}
  case when {{ change }}.deleted_at is null then 0 else 1 end, case when {{ object }}.created is null then 1 else 0 end,
  {{ object }}.created desc, {{ object }}.id
{%- endmacro %}
