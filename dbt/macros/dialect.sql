{#- What databases write differently. Each macro works on DuckDB and PostgreSQL as it stands; Snowflake and BigQuery have
    their own where they must. -#}

{#- Types -#}

{% macro type_time() %}{{ return(adapter.dispatch('type_time', 'prefect_source')()) }}{% endmacro %}
{% macro default__type_time() %}timestamp with time zone{% endmacro %}
{% macro snowflake__type_time() %}timestamp_tz{% endmacro %}
{% macro bigquery__type_time() %}timestamp{% endmacro %}

{% macro type_json() %}{{ return(adapter.dispatch('type_json', 'prefect_source')()) }}{% endmacro %}
{% macro default__type_json() %}json{% endmacro %}
{% macro postgres__type_json() %}jsonb{% endmacro %}
{% macro snowflake__type_json() %}variant{% endmacro %}

{% macro as_json(text) %}{{ return(adapter.dispatch('as_json', 'prefect_source')(text)) }}{% endmacro %}
{% macro default__as_json(text) %}cast({{ text }} as json){% endmacro %}
{#- What jsonb cannot hold, a null character and half of a surrogate pair, becomes the sign for what cannot be shown. -#}
{% macro postgres__as_json(text) -%}
  {%- set high, low = '\\\\u[dD][89abAB][0-9a-fA-F]{2}', '\\\\u[dD][c-fC-F][0-9a-fA-F]{2}' -%}
  cast(
    case
      when {{ text }} ~ '\\u(0000|[dD][89a-fA-F])'
      then regexp_replace({{ text }}, '\\u0000|{{ high }}(?!{{ low }})|(?<!{{ high }}){{ low }}', '\\ufffd', 'g')
      else {{ text }}
    end as jsonb
  )
{%- endmacro %}
{% macro duckdb__as_json(text) %}try_cast({{ text }} as json){% endmacro %}
{% macro snowflake__as_json(text) %}try_parse_json({{ text }}){% endmacro %}
{% macro bigquery__as_json(text) %}safe.parse_json({{ text }}){% endmacro %}

{% macro type_double() %}{{ return(adapter.dispatch('type_double', 'prefect_source')()) }}{% endmacro %}
{% macro default__type_double() %}double precision{% endmacro %}
{% macro bigquery__type_double() %}float64{% endmacro %}

{#- Times. Nothing here depends on the time zone of the session. -#}

{#- A column as a time in UTC: one without a zone is in UTC already. -#}
{% macro as_time(column, kind) %}{{ return(adapter.dispatch('as_time', 'prefect_source')(column, kind)) }}{% endmacro %}
{% macro default__as_time(column, kind) -%}
  {%- if 'zone' in kind and 'without' not in kind or 'timestamptz' in kind -%} {{ column }}
  {%- elif 'timestamp' in kind -%} ({{ column }} at time zone 'UTC')
  {%- else -%} cast({{ column }} as timestamp with time zone)
  {%- endif -%}
{%- endmacro %}
{% macro snowflake__as_time(column, kind) -%}
  {%- if 'ntz' in kind -%} convert_timezone('UTC', 'UTC', {{ column }})::timestamp_tz
  {%- else -%} cast({{ column }} as timestamp_tz)
  {%- endif -%}
{%- endmacro %}
{% macro bigquery__as_time(column, kind) %}cast({{ column }} as timestamp){% endmacro %}

{% macro seconds_between(earlier, later) %}{{ return(adapter.dispatch('seconds_between', 'prefect_source')(earlier, later)) }}{% endmacro %}
{% macro default__seconds_between(earlier, later) -%}
  cast(extract(epoch from {{ later }}) - extract(epoch from {{ earlier }}) as double precision)
{%- endmacro %}
{% macro snowflake__seconds_between(earlier, later) %}datediff('microsecond', {{ earlier }}, {{ later }}) / 1e6{% endmacro %}
{% macro bigquery__seconds_between(earlier, later) %}timestamp_diff({{ later }}, {{ earlier }}, microsecond) / 1e6{% endmacro %}

{#- Seconds and their fractions, not days: a day may have 23 hours in the time zone of the session. -#}
{% macro add_seconds(time, seconds) %}{{ return(adapter.dispatch('add_seconds', 'prefect_source')(time, seconds)) }}{% endmacro %}
{% macro default__add_seconds(time, seconds) %}({{ time }} + cast(round(({{ seconds }}) * 1e6) as bigint) * interval '1 microsecond'){% endmacro %}
{% macro duckdb__add_seconds(time, seconds) %}({{ time }} + to_microseconds(cast(round(({{ seconds }}) * 1e6) as bigint))){% endmacro %}
{% macro snowflake__add_seconds(time, seconds) %}dateadd('microsecond', round(({{ seconds }}) * 1e6), {{ time }}){% endmacro %}
{% macro bigquery__add_seconds(time, seconds) %}timestamp_add({{ time }}, interval cast(round(({{ seconds }}) * 1e6) as int64) microsecond){% endmacro %}

{% macro utc_date(time) %}{{ return(adapter.dispatch('utc_date', 'prefect_source')(time)) }}{% endmacro %}
{% macro default__utc_date(time) %}cast(({{ time }} at time zone 'UTC') as date){% endmacro %}
{% macro snowflake__utc_date(time) %}to_date(convert_timezone('UTC', {{ time }})){% endmacro %}
{% macro bigquery__utc_date(time) %}date({{ time }}, 'UTC'){% endmacro %}

{#- The clock on the wall of a time zone, without a zone. -#}
{% macro local_time(time, zone) %}{{ return(adapter.dispatch('local_time', 'prefect_source')(time, zone)) }}{% endmacro %}
{% macro default__local_time(time, zone) %}({{ time }} at time zone {{ zone }}){% endmacro %}
{% macro snowflake__local_time(time, zone) %}convert_timezone({{ zone }}, {{ time }})::timestamp_ntz{% endmacro %}
{% macro bigquery__local_time(time, zone) %}datetime({{ time }}, {{ zone }}){% endmacro %}

{% macro from_local(time, zone) %}{{ return(adapter.dispatch('from_local', 'prefect_source')(time, zone)) }}{% endmacro %}
{% macro default__from_local(time, zone) %}({{ time }} at time zone {{ zone }}){% endmacro %}
{% macro snowflake__from_local(time, zone) %}convert_timezone({{ zone }}, 'UTC', {{ time }})::timestamp_tz{% endmacro %}
{% macro bigquery__from_local(time, zone) %}timestamp({{ time }}, {{ zone }}){% endmacro %}

{#- The clock on the wall of a time zone, as if it were one in UTC: what can be reckoned with. -#}
{% macro wall_clock(time, zone) %}{{ prefect_source.from_local(prefect_source.local_time(time, zone), "'UTC'") }}{% endmacro %}

{#- The time zones that the database knows, as the column name; empty where it does not tell. -#}
{% macro time_zones() %}{{ return(adapter.dispatch('time_zones', 'prefect_source')()) }}{% endmacro %}
{% macro default__time_zones() %}{% endmacro %}
{% macro duckdb__time_zones() %}select name from pg_timezone_names(){% endmacro %}
{% macro postgres__time_zones() %}select name from pg_timezone_names{% endmacro %}

{#- A date and a number of seconds from its midnight, without a zone. -#}
{% macro at_second(day, seconds) %}{{ return(adapter.dispatch('at_second', 'prefect_source')(day, seconds)) }}{% endmacro %}
{% macro default__at_second(day, seconds) %}(cast({{ day }} as timestamp) + ({{ seconds }}) * interval '1 second'){% endmacro %}
{% macro snowflake__at_second(day, seconds) %}dateadd('second', {{ seconds }}, cast({{ day }} as timestamp_ntz)){% endmacro %}
{% macro bigquery__at_second(day, seconds) %}datetime_add(cast({{ day }} as datetime), interval ({{ seconds }}) second){% endmacro %}

{% macro add_days(day, days) %}{{ return(adapter.dispatch('add_days', 'prefect_source')(day, days)) }}{% endmacro %}
{% macro default__add_days(day, days) %}({{ day }} + cast({{ days }} as integer)){% endmacro %}
{% macro snowflake__add_days(day, days) %}dateadd('day', {{ days }}, {{ day }}){% endmacro %}
{% macro bigquery__add_days(day, days) %}date_add({{ day }}, interval {{ days }} day){% endmacro %}

{#- The midnight, in UTC, so many days before that of a time. -#}
{% macro start_of_day(time, days_before) -%}
  {%- set day = prefect_source.add_days(prefect_source.utc_date(time), days_before * -1) -%}
  {{ prefect_source.from_local(prefect_source.at_second(day, 0), "'UTC'") }}
{%- endmacro %}

{% macro days_between(earlier, later) %}{{ return(adapter.dispatch('days_between', 'prefect_source')(earlier, later)) }}{% endmacro %}
{% macro default__days_between(earlier, later) %}({{ later }} - {{ earlier }}){% endmacro %}
{% macro snowflake__days_between(earlier, later) %}datediff('day', {{ earlier }}, {{ later }}){% endmacro %}
{% macro bigquery__days_between(earlier, later) %}date_diff({{ later }}, {{ earlier }}, day){% endmacro %}

{#- The weekday of a date, 0 for Sunday. -#}
{% macro weekday(day) %}{{ return(adapter.dispatch('weekday', 'prefect_source')(day)) }}{% endmacro %}
{% macro default__weekday(day) %}cast(extract(dow from {{ day }}) as integer){% endmacro %}
{% macro snowflake__weekday(day) %}mod(dayofweekiso({{ day }}), 7){% endmacro %}
{% macro bigquery__weekday(day) %}(extract(dayofweek from {{ day }}) - 1){% endmacro %}

{#- The first day of the week, which is a Monday, or of the month that a date is in, or the date itself. -#}
{% macro first_day_of(period, day) -%}
  {%- if period == 'week' -%} {{ prefect_source.add_days(day, '(mod(' ~ prefect_source.weekday(day) ~ ' + 6, 7) * -1)') }}
  {%- elif period == 'month' -%} {{ prefect_source.add_days(day, '(1 - extract(day from ' ~ day ~ '))') }}
  {%- else -%} {{ day }}
  {%- endif -%}
{%- endmacro %}

{#- Texts -#}

{% macro replace_pattern(text, pattern, replacement) %}{{ return(adapter.dispatch('replace_pattern', 'prefect_source')(text, pattern, replacement)) }}{% endmacro %}
{% macro default__replace_pattern(text, pattern, replacement) %}regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}', 'g'){% endmacro %}
{% macro snowflake__replace_pattern(text, pattern, replacement) %}regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}'){% endmacro %}
{% macro bigquery__replace_pattern(text, pattern, replacement) %}regexp_replace({{ text }}, r'{{ pattern }}', '{{ replacement }}'){% endmacro %}

{% macro matches(text, pattern) %}{{ return(adapter.dispatch('matches', 'prefect_source')(text, pattern)) }}{% endmacro %}
{% macro default__matches(text, pattern) %}regexp_replace({{ text }}, '{{ pattern }}', '') <> {{ text }}{% endmacro %}
{% macro bigquery__matches(text, pattern) %}regexp_contains({{ text }}, r'{{ pattern }}'){% endmacro %}

{#- The nth of the parts of a text, from 1 on; empty behind the last. -#}
{% macro nth_part(text, separator, n) %}{{ return(adapter.dispatch('nth_part', 'prefect_source')(text, separator, n)) }}{% endmacro %}
{% macro default__nth_part(text, separator, n) %}split_part({{ text }}, '{{ separator }}', cast({{ n }} as integer)){% endmacro %}
{% macro bigquery__nth_part(text, separator, n) %}coalesce(split({{ text }}, '{{ separator }}')[safe_offset({{ n }} - 1)], ''){% endmacro %}

{% macro first_line(text) %}{{ return(adapter.dispatch('first_line', 'prefect_source')(text)) }}{% endmacro %}
{% macro default__first_line(text) %}substr(split_part({{ text }}, chr(10), 1), 1, 1000){% endmacro %}
{% macro bigquery__first_line(text) %}substr(split({{ text }}, chr(10))[safe_offset(0)], 1, 1000){% endmacro %}

{% macro join_distinct(text) %}{{ return(adapter.dispatch('join_distinct', 'prefect_source')(text)) }}{% endmacro %}
{% macro default__join_distinct(text) %}string_agg(distinct {{ text }}, ', ' order by {{ text }}){% endmacro %}
{% macro snowflake__join_distinct(text) %}listagg(distinct {{ text }}, ', ') within group (order by {{ text }}){% endmacro %}

{#- The texts of a JSON list, one a row, as `item.value`. -#}
{% macro each_of(list) %}{{ return(adapter.dispatch('each_of', 'prefect_source')(list)) }}{% endmacro %}
{% macro default__each_of(list) %}cross join lateral jsonb_array_elements_text({{ list }}) as item (value){% endmacro %}
{% macro duckdb__each_of(list) %}cross join lateral (select unnest(from_json({{ list }}, '["VARCHAR"]')) as value) as item{% endmacro %}
{% macro snowflake__each_of(list) %}cross join lateral (select value::varchar as value from table(flatten(input => {{ list }}))) as item{% endmacro %}
{% macro bigquery__each_of(list) %}cross join (select value from unnest(json_value_array({{ list }})) as value) as item{% endmacro %}

{#- The values of all keys `id` in a JSON object, one a row, as `input.id`. -#}
{% macro each_id_in(object) %}{{ return(adapter.dispatch('each_id_in', 'prefect_source')(object)) }}{% endmacro %}
{% macro default__each_id_in(object) %}cross join lateral (select found[1] as id from regexp_matches(cast({{ object }} as text), '"id": ?"([^"]+)"', 'g') as found) as input{% endmacro %}
{% macro duckdb__each_id_in(object) %}cross join lateral (select unnest(regexp_extract_all(cast({{ object }} as varchar), '"id": ?"([^"]+)"', 1)) as id) as input{% endmacro %}
{% macro snowflake__each_id_in(object) %}cross join lateral (select value::varchar as id from table(flatten(input => regexp_substr_all(to_json({{ object }}), '"id": ?"([^"]+)"', 1, 1, 'e')))) as input{% endmacro %}
{% macro bigquery__each_id_in(object) %}cross join (select id from unnest(regexp_extract_all(to_json_string({{ object }}), r'"id": ?"([^"]+)"')) as id) as input{% endmacro %}

{#- Figures -#}

{#- Nearest rank: the value of one row, which that share of the rows does not exceed. Approximate on BigQuery. -#}
{% macro percentile(share, value) %}{{ return(adapter.dispatch('percentile', 'prefect_source')(share, value)) }}{% endmacro %}
{% macro default__percentile(share, value) %}percentile_disc({{ share }}) within group (order by {{ value }}){% endmacro %}
{% macro duckdb__percentile(share, value) %}quantile_disc({{ value }}, {{ share }}){% endmacro %}
{% macro bigquery__percentile(share, value) %}approx_quantiles({{ value }}, 100)[offset({{ (share * 100) | int }})]{% endmacro %}

{#- Integers from 0 on, as the column n: ten to the given power of them. -#}
{% macro integers(power) -%}
  select {% for place in range(power) %}d{{ place }}.n * {{ 10 ** place }}{{ ' + ' if not loop.last }}{% endfor %} as n
  from {% for place in range(power) -%}
    (select 0 as n {% for n in range(1, 10) %}union all select {{ n }} {% endfor %}) as d{{ place }}
    {{- ' cross join ' if not loop.last }}
  {%- endfor %}
{%- endmacro %}

{#- How a recursive query drops what it has found already: Snowflake and BigQuery cannot, and stop at a distance. -#}
{% macro recursive_union() %}{{ return(adapter.dispatch('recursive_union', 'prefect_source')()) }}{% endmacro %}
{% macro default__recursive_union() %}union{% endmacro %}
{% macro snowflake__recursive_union() %}union all{% endmacro %}
{% macro bigquery__recursive_union() %}union all{% endmacro %}

{% macro longest_path(table_count) %}{{ return(adapter.dispatch('longest_path', 'prefect_source')(table_count)) }}{% endmacro %}
{% macro default__longest_path(table_count) %}{{ table_count }}{% endmacro %}
{% macro snowflake__longest_path(table_count) %}12{% endmacro %}
{% macro bigquery__longest_path(table_count) %}12{% endmacro %}

{% macro indexes(columns) %}{{ return([{'columns': columns}] if target.type == 'postgres' else []) }}{% endmacro %}
