{{ config(indexes=[{'columns': ['mine_id', 'as_of_year']}]) }}

with

rows as (

    select
        file_id,
        row_number,
        as_of_year,
        -- an ID of zeros identifies no mine
        coalesce(
            'msha:' || nullif(msha_id, '0000000'),
            'eia:' || as_of_year || '-' || row_number
        ) as mine_id,
        nullif(msha_id, '0000000') as msha_id,
        {{ trimmed('mine_name') }} as mine_name,
        {{ trimmed('mine_state') }} as mine_state,
        {{ trimmed('mine_county') }} as mine_county,
        coalesce({{ trimmed('mine_basin') }}, {{ trimmed('coal_supply_region') }}) as mine_basin,
        {{ trimmed('mine_status') }} as mine_status,
        {{ trimmed('mine_type') }} as mine_type,
        replace({{ trimmed('company_type') }}, 'Indepedent', 'Independent') as company_type,
        {{ trimmed('operation_type') }} as operation_type,
        {{ trimmed('operating_company') }} as operating_company,
        {{ company_key('operating_company') }} as operator_key,
        {{ trimmed('operating_company_address') }} as operating_company_address,
        -- 'of' and 'Of' are the same union
        replace(replace(initcap({{ trimmed('union_code') }}), ' Of ', ' of '), ' And ', ' and ') as union_code,
        production_short_tons,
        average_employees,
        labor_hours,
        known_at
    from {{ ref('bronze_eia_coal_mines') }}

),

releases as (

    select
        file_id,
        as_of_year,
        min(known_at) as known_at
    from rows
    group by file_id, as_of_year

),

-- a file is a whole release of its year: it holds until the next file with rows of that year
release_periods as (

    select
        file_id,
        as_of_year,
        known_at,
        lead(known_at) over (partition by as_of_year order by known_at, file_id) as known_until
    from releases

),

-- rows of old years that share mine, type and operation are parts of one operation
merged as (

    select
        *,
        sum(production_short_tons) over operation_rows as operation_production_short_tons,
        sum(average_employees) over operation_rows as operation_average_employees,
        sum(labor_hours) over operation_rows as operation_labor_hours,
        array_agg(row_number) over operation_rows as source_row_numbers,
        row_number() over (
            partition by file_id, as_of_year, mine_id, mine_type, operation_type
            order by production_short_tons desc nulls last, row_number
        ) as size_rank
    from rows
    window operation_rows as (
        partition by file_id, as_of_year, mine_id, mine_type, operation_type
        order by row_number rows between unbounded preceding and unbounded following
    )

)

select
    merged.mine_id,
    merged.msha_id,
    merged.as_of_year,
    merged.mine_type,
    merged.operation_type,
    merged.mine_name,
    merged.mine_state,
    merged.mine_county,
    merged.mine_basin,
    merged.mine_status,
    merged.company_type,
    merged.operating_company,
    merged.operator_key,
    merged.operating_company_address,
    merged.union_code,
    merged.operation_production_short_tons::bigint as production_short_tons,
    merged.operation_average_employees::int as average_employees,
    merged.operation_labor_hours::bigint as labor_hours,
    merged.file_id,
    merged.source_row_numbers,
    release_periods.known_at,
    release_periods.known_until
from merged
inner join release_periods
    on release_periods.file_id = merged.file_id
    and release_periods.as_of_year = merged.as_of_year
where merged.size_rank = 1
