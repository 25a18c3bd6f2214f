{{ config(materialized='view') }}
{#
    A row that stands alone in its operation is read where landing has it, so that a file's way to here costs no copy of
    it; of the rows that share an operation the largest stands for all. What is put right of a row is computed for those
    who read the column. Landing has trimmed all text, and an ID of zeros is none there.
#}
-- depends_on: {{ ref('bronze_eia_coal_mines') }}
select
    coalesce(
        'msha:' || published.msha_id, 'eia:' || published.as_of_year || '-' || published.row_number
    ) as mine_id,
    published.msha_id,
    published.as_of_year,
    published.mine_type,
    published.operation_type,
    published.mine_name,
    published.mine_state,
    published.mine_county,
    coalesce(published.mine_basin, published.coal_supply_region) as mine_basin,
    published.mine_status,
    replace(published.company_type, 'Indepedent', 'Independent') as company_type,
    published.operating_company,
    {{ company_key('published.operating_company') }} as operator_key,
    published.operating_company_address,
    -- 'of' and 'Of' are the same union
    replace(replace(initcap(published.union_code), ' Of ', ' of '), ' And ', ' and ') as union_code,
    coalesce(shared.production_short_tons, published.production_short_tons) as production_short_tons,
    coalesce(shared.average_employees, published.average_employees)::integer as average_employees,
    coalesce(shared.labor_hours, published.labor_hours) as labor_hours,
    published.file_id,
    coalesce(shared.source_row_numbers, array[published.row_number]) as source_row_numbers,
    releases.known_at,
    releases.known_until,
    releases.superseded_by_file_id,
    releases.precedence_rule
from {{ source('landing', 'eia_coal_mines') }} as published
inner join {{ ref('silver_mine_releases') }} as releases on releases.file_id = published.file_id
left join {{ ref('silver_shared_operations') }} as shared
    on shared.file_id = published.file_id
    and shared.row_number = published.row_number
where coalesce(shared.is_largest, true)
    -- not before it is known which rows of the file share an operation
    and {{ is_built('silver_shared_operations', 'releases.file_id::text') }}
