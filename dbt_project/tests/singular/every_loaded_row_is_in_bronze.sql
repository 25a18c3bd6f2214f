{{ config(meta={'dagster': {'ref': {'name': 'bronze_eia_coal_mines'}}}) }}
-- The ledger says how many rows of each file were loaded; bronze has that many.
with

bronze as (
    {%- for feed in landed_feeds() %}
    select
        file_id,
        count(*) as rows_found
    from {{ ref('bronze_' ~ feed) }}
    group by file_id
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select
    files.file_id,
    files.rows_loaded,
    bronze.rows_found
from {{ source('landing', 'files') }} as files
left join bronze on bronze.file_id = files.file_id
where files.status = 'loaded'
    and files.feed in (
        {%- for feed in landed_feeds() %}
        '{{ feed }}'{{ ',' if not loop.last }}
        {%- endfor %}
    )
    and files.rows_loaded is distinct from coalesce(bronze.rows_found, 0)
