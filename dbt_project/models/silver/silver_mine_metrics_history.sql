{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook=["set local work_mem = '256MB'", "{{ discard_stale_parts('mine_releases') }}"],
    post_hook="{{ note_built_parts('mine_releases') }}",
    indexes=[{'columns': ['mine_id', 'as_of_year']}, {'columns': ['file_id']}],
) }}
{#
    Written for files of millions of rows: no row is sorted, only operations that have several rows are put together, and
    spellings are put right once per spelling. Landing has trimmed all text, and an ID of zeros is none there.
#}
{%- set unchanged_columns = [
    'file_id', 'row_number', 'as_of_year', 'mine_name', 'mine_state', 'mine_county', 'mine_status', 'mine_type',
    'operation_type', 'operating_company', 'operating_company_address', 'production_short_tons', 'average_employees',
    'labor_hours',
] %}
{%- set attributes = [
    'mine_id', 'msha_id', 'as_of_year', 'mine_type', 'operation_type', 'mine_name', 'mine_state', 'mine_county', 'mine_basin',
    'mine_status', 'company_type', 'operating_company', 'operator_key', 'operating_company_address', 'union_code',
] %}
with

releases as materialized (

    select releases.*
    from {{ ref('silver_mine_releases') }} as releases
    inner join (
        {{ missing_parts('mine_releases') | indent(8) }}
    ) as missing on missing.file_id = releases.file_id

),

published as not materialized (

    select
        {% for column in unchanged_columns -%}
        {{ column }},
        {% endfor -%}
        company_type as published_company_type,
        union_code as published_union,
        coalesce(mine_basin, coal_supply_region) as mine_basin,
        msha_id,
        hashtextextended(msha_id || coalesce(mine_type, '') || coalesce(operation_type, ''), file_id) as operation_hash
    from {{ ref('bronze_eia_coal_mines') }}
    -- an array, so that landing's key finds the rows
    where file_id = any(array(select releases.file_id from releases))

),

-- few: rows of old years that share mine, type and operation are parts of one operation. Operations that share a hash
-- by chance only go the longer way, on which rows are put together by their keys.
repeated as materialized (

    select operation_hash
    from published
    where msha_id is not null
    group by operation_hash
    having count(*) > 1

),

spellings as (

    select distinct
        operating_company,
        published_company_type,
        published_union
    from published

),

spelled as materialized (

    select
        coalesce(operating_company, '') as operating_company,
        coalesce(published_company_type, '') as published_company_type,
        coalesce(published_union, '') as published_union,
        {{ company_key('operating_company') }} as operator_key,
        replace(published_company_type, 'Indepedent', 'Independent') as company_type,
        -- 'of' and 'Of' are the same union
        replace(replace(initcap(published_union), ' Of ', ' of '), ' And ', ' and ') as union_code
    from spellings

),

panel_rows as not materialized (

    select
        published.*,
        coalesce(
            'msha:' || published.msha_id, 'eia:' || published.as_of_year || '-' || published.row_number
        ) as mine_id,
        spelled.operator_key,
        spelled.company_type,
        spelled.union_code
    from published
    left join spelled
        on spelled.operating_company = coalesce(published.operating_company, '')
        and spelled.published_company_type = coalesce(published.published_company_type, '')
        and spelled.published_union = coalesce(published.published_union, '')

),

-- names and owners are those of the row with the largest production
put_together as (

    select
        panel_rows.*,
        sum(panel_rows.production_short_tons) over operation_rows as operation_production_short_tons,
        sum(panel_rows.average_employees) over operation_rows as operation_average_employees,
        sum(panel_rows.labor_hours) over operation_rows as operation_labor_hours,
        array_agg(panel_rows.row_number) over operation_rows as source_row_numbers,
        row_number() over (
            partition by panel_rows.file_id, panel_rows.mine_id, panel_rows.mine_type, panel_rows.operation_type
            order by panel_rows.production_short_tons desc nulls last, panel_rows.row_number
        ) as size_rank
    from panel_rows
    inner join repeated on repeated.operation_hash = panel_rows.operation_hash
    where panel_rows.msha_id is not null
    window operation_rows as (
        partition by panel_rows.file_id, panel_rows.mine_id, panel_rows.mine_type, panel_rows.operation_type
        order by panel_rows.row_number rows between unbounded preceding and unbounded following
    )

),

operations as (

    select
        {% for column in attributes -%}
        panel_rows.{{ column }},
        {% endfor -%}
        panel_rows.production_short_tons,
        panel_rows.average_employees,
        panel_rows.labor_hours,
        panel_rows.file_id,
        array[panel_rows.row_number] as source_row_numbers
    from panel_rows
    left join repeated
        on repeated.operation_hash = panel_rows.operation_hash
        and panel_rows.msha_id is not null
    where repeated.operation_hash is null

    union all

    select
        {% for column in attributes -%}
        {{ column }},
        {% endfor -%}
        operation_production_short_tons,
        operation_average_employees,
        operation_labor_hours,
        file_id,
        source_row_numbers
    from put_together
    where size_rank = 1

)

select
    {% for column in attributes -%}
    operations.{{ column }},
    {% endfor -%}
    operations.production_short_tons::bigint as production_short_tons,
    operations.average_employees::integer as average_employees,
    operations.labor_hours::bigint as labor_hours,
    operations.file_id,
    operations.source_row_numbers,
    releases.known_at,
    releases.known_until,
    releases.superseded_by_file_id,
    releases.precedence_rule
from operations
inner join releases on releases.file_id = operations.file_id
