{{ config(indexes=[{'columns': ['mine_id']}, {'columns': ['file_id', 'as_of_year']}]) }}

with

operations as (

    select
        *,
        row_number() over (
            partition by file_id, as_of_year, mine_id
            order by production_short_tons desc nulls last, labor_hours desc nulls last, mine_type, operation_type
        ) as size_rank
    from {{ ref('silver_mine_metrics_history') }}

),

totals as (

    select
        file_id,
        as_of_year,
        mine_id,
        sum(production_short_tons)::double precision as production_short_tons,
        sum(average_employees)::double precision as average_employees,
        sum(labor_hours)::double precision as labor_hours,
        count(*)::int as operations_count,
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
    totals.*,
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
