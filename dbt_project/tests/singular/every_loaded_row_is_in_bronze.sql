{{ config(meta={'dagster': {'ref': {'name': 'bronze_eia_coal_mines'}}}) }}
-- The ledger says how many rows of each file were loaded; bronze has that many.
select
    files.file_id,
    files.rows_loaded,
    count(records.file_id) as bronze_rows
from {{ source('landing', 'files') }} as files
left join (
    {%- for feed in [
        'eia_coal_mines', 'gem_coal_mines', 'gem_mine_features', 'world_bank_prices', 'owid_energy', 'owid_co2'
    ] %}
    select file_id from {{ ref('bronze_' ~ feed) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
) as records on records.file_id = files.file_id
where files.status = 'loaded'
    and files.feed in (
        'eia_coal_mines', 'gem_coal_mines', 'gem_mine_features', 'world_bank_prices', 'owid_energy', 'owid_co2'
    )
group by files.file_id, files.rows_loaded
having files.rows_loaded <> count(records.file_id)
