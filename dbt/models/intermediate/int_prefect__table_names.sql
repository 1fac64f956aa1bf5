{#- What each name of a table in a tag, and each key of an asset, stands for. -#}
{%- set path, scheme = prefect_source.nth_part('spelling', '://', 2), 'lower(' ~ prefect_source.nth_part('spelling', '://', 1) ~ ')' %}
{%- set is_database = scheme ~ " in ('" ~ var('database_schemes') | join("', '") ~ "')" %}

with spelled as (

    {% for side, is_written in [('source', 0), ('destination', 1)] %}
    select
        coalesce(workspace_id, '') as workspace_id,
        'declared' as known,
        {{ side }} as spelling,
        {{ side }}_service as qualifier,
        {{ side }}_name as short_name,
        {{ is_written }} as is_written
    from {{ ref('int_prefect__declared_edges') }}

    union all

    {% endfor %}
    {% for model, column, is_written in [
        ('asset_materializations', 'asset', 1), ('asset_lineage', 'destination', 1), ('asset_lineage', 'source', 0),
    ] %}
    select coalesce(workspace_id, ''), 'observed', {{ column }}, null, null, {{ is_written }}
    from {{ ref('stg_prefect__' ~ model) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

parted as (

    select
        workspace_id,
        known,
        spelling,
        {{ scheme }} as scheme,
        -- The path of an object in a store, or of a file, is of no use without its bucket or host.
        case
            when known = 'declared' then max(qualifier)
            when {{ is_database }} and {{ prefect_source.slashes(path) }} = 3 then {{ prefect_source.nth_part(path, '/', 1) }}
        end as qualifier,
        case
            when known = 'declared' then max(short_name)
            when {{ is_database }} and {{ prefect_source.slashes(path) }} = 3
            then {{ prefect_source.nth_part(path, '/', 2) }} || '.' || {{ prefect_source.nth_part(path, '/', 3) }}
                || '.' || {{ prefect_source.nth_part(path, '/', 4) }}
            when {{ is_database }} and {{ prefect_source.slashes(path) }} = 2 and replace({{ path }}, '.', '') = {{ path }}
            then replace({{ path }}, '/', '.')
        end as short_name,
        max(is_written) as is_written
    from spelled
    where spelling is not null
    group by workspace_id, known, spelling

),

shared as (

    select
        workspace_id,
        short_name,
        count(distinct case when known = 'declared' then qualifier end) as services,
        count(distinct case when known = 'observed' then qualifier end) as hosts,
        count(distinct case when known = 'observed' then scheme || '://' || qualifier end) as servers
    from parted
    group by workspace_id, short_name

),

named as (

    select
        parted.workspace_id,
        parted.known,
        parted.spelling,
        parted.is_written,
        case
            when parted.short_name is null then parted.spelling
            -- One service and one host are two names of one database, several are several databases.
            when shared.services <= 1 and shared.servers <= 1 then parted.short_name
            when parted.known = 'observed' and shared.servers > shared.hosts then parted.spelling
            else coalesce(parted.qualifier || '.', '') || parted.short_name
        end as table_name
    from parted
    left join shared on shared.workspace_id = parted.workspace_id and shared.short_name = parted.short_name

),

written as (

    select distinct workspace_id, table_name from named where is_written = 1

),

placed as (

    select
        named.workspace_id,
        named.known,
        named.spelling,
        named.table_name,
        -- A workspace that does not write a table reads that of the others.
        coalesce(own.workspace_id, other.workspace_id, named.workspace_id) as home
    from named
    left join written as own on own.workspace_id = named.workspace_id and own.table_name = named.table_name
    left join written as other on other.table_name = named.table_name and own.workspace_id is null

)

select
    workspace_id,
    known,
    spelling,
    {{ prefect_source.table_id('home', 'table_name') }} as table_id,
    table_name,
    nullif(home, '') as table_workspace_id
from placed
