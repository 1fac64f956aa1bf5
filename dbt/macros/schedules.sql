{#- Cron and, as far as it goes, rrule: both become five cron fields, and those the values that they allow. -#}

{#- The nth of the five fields of a cron expression. -#}
{% macro cron_field(cron, n) %}{{ prefect_source.nth_part(cron, ' ', n) }}{% endmacro %}

{#- What an rrule says of a key: `FREQ=WEEKLY;BYDAY=MO` says MO of BYDAY. Empty if nothing. -#}
{% macro rrule_part(rule, key) -%}
  {{ prefect_source.nth_part(prefect_source.nth_part("';' || " ~ rule, ';' ~ key ~ '=', 2), ';', 1) }}
{%- endmacro %}

{#- Names of months and days as numbers. -#}
{% macro numbered(text, names) -%}
  {%- set ns = namespace(text=text) -%}
  {%- for name, number in names.items() -%}{%- set ns.text = "replace(" ~ ns.text ~ ", '" ~ name ~ "', '" ~ number ~ "')" -%}{%- endfor -%}
  {{ ns.text }}
{%- endmacro %}

{#- By how many seconds the clock of a time zone is ahead of UTC at a time. -#}
{% macro offset_at(time, zone) %}{{ prefect_source.seconds_between(time, prefect_source.wall_clock(time, zone)) }}{% endmacro %}
