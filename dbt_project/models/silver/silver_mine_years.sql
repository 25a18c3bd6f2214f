{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ discard_stale_parts('mine_releases') }}",
    post_hook="{{ note_built_parts('mine_releases') }}",
    indexes=[{'columns': ['file_id', 'mine_id'], 'unique': true}, {'columns': ['mine_id', 'as_of_year']}],
) }}
with

operations as (

    select
        *,
        row_number() over (
            partition by file_id, as_of_year, mine_id
            order by production_short_tons desc nulls last, labor_hours desc nulls last, mine_type, operation_type
        ) as size_rank
    from {{ ref('silver_mine_metrics_history') }}
    -- an array, so that an index finds the rows
    where
        file_id = any(array(
            select missing.file_id
            from (
                {{ missing_parts('mine_releases') | indent(16) }}
            ) as missing
        ))

),

totals as (

    select
        file_id,
        as_of_year,
        mine_id,
        sum(production_short_tons)::double precision as production_short_tons,
        sum(average_employees)::double precision as average_employees,
        sum(labor_hours)::double precision as labor_hours,
        count(*)::integer as operations_count,
        bool_or(mine_type = 'Underground') as has_underground,
        bool_or(mine_type = 'Surface') as has_surface,
        bool_or(mine_type = 'Refuse') as has_refuse,
        bool_or(operation_type like '%Preparation Plant%') as has_preparation_plant,
        coalesce(bool_or(production_short_tons > 0 and mine_status = 'Active'), false) as has_active_production
    from operations
    group by file_id, as_of_year, mine_id

)

-- names and owners are those of the largest operation
select
    totals.file_id,
    totals.as_of_year,
    totals.mine_id,
    totals.production_short_tons,
    totals.average_employees,
    totals.labor_hours,
    totals.operations_count,
    totals.has_underground,
    totals.has_surface,
    totals.has_refuse,
    totals.has_preparation_plant,
    totals.has_active_production,
    largest.msha_id,
    largest.mine_name,
    largest.mine_state,
    largest.mine_county,
    largest.mine_basin,
    largest.mine_type,
    largest.mine_status,
    largest.company_type,
    largest.operating_company,
    largest.operator_key,
    largest.union_code,
    largest.known_at,
    largest.known_until
from totals
inner join operations as largest
    on largest.file_id = totals.file_id
    and largest.as_of_year = totals.as_of_year
    and largest.mine_id = totals.mine_id
    and largest.size_rank = 1
