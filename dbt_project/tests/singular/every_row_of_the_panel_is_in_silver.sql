{{ config(meta={
    'dagster': {'ref': {'name': 'silver_mine_metrics_history'}}, 'new_parts_of': 'silver_shared_operations'
}) }}
-- Each row of each EIA file is in exactly one operation, with its production: nothing is lost or counted twice.
with

files as (

    select file_id
    from {{ ref('silver_mine_releases') }}
    where {{ is_unchecked('file_id::text') }}

),

bronze as (

    select
        file_id,
        count(*) as rows,
        sum(production_short_tons) as production_short_tons
    from {{ ref('bronze_eia_coal_mines') }}
    where file_id = any(array(select files.file_id from files))
    group by file_id

),

silver as (

    select
        file_id,
        sum(cardinality(source_row_numbers)) as rows,
        sum(production_short_tons) as production_short_tons
    from {{ ref('silver_mine_metrics_history') }}
    where file_id = any(array(select files.file_id from files))
    group by file_id

)

select
    file_id,
    bronze.rows as bronze_rows,
    silver.rows as silver_rows
from bronze
full outer join silver using (file_id)
where bronze.rows is distinct from silver.rows
    or bronze.production_short_tons is distinct from silver.production_short_tons
