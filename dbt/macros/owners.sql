{#- The owner of each object of a staging model that has one, by its tag `owner:<name>`. -#}
{% macro owners_by_tag(model) -%}
  select object.id, max(nullif(trim(substr(item.value, 7)), '')) as owner
  from {{ ref(model) }} as object
  {{ prefect_source.each_of('object.tags') }}
  where item.value like 'owner:%'
  group by object.id
{%- endmacro %}
