{{ config(materialized='view') }}
select
    mine_id,
    msha_id,
    as_of_year,
    mine_type,
    operation_type,
    mine_name,
    mine_state,
    mine_county,
    mine_basin,
    mine_status,
    company_type,
    operating_company,
    operator_key,
    operating_company_address,
    union_code,
    production_short_tons,
    average_employees,
    labor_hours,
    file_id,
    source_row_numbers,
    known_at,
    precedence_rule
from {{ ref('silver_mine_metrics_history') }}
where known_until is null
