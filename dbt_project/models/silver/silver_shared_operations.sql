{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook=["set local work_mem = '256MB'", "{{ discard_stale_parts('mine_releases') }}"],
    post_hook="{{ note_built_parts('mine_releases', source('landing', 'eia_coal_mines')) }}",
    indexes=[{'columns': ['file_id', 'row_number'], 'unique': true}],
) }}
{#
    Written for files of millions of rows: a row is read for its operation alone, none is sorted, and only the few rows
    that share their operation are put together. Landing has trimmed all text, and an ID of zeros is none there.
#}
-- depends_on: {{ ref('bronze_eia_coal_mines') }}
with

published as not materialized (

    select
        *,
        hashtextextended(msha_id || coalesce(mine_type, '') || coalesce(operation_type, ''), file_id) as operation_hash
    from {{ source('landing', 'eia_coal_mines') }}
    -- an array, so that landing's key finds the rows
    where file_id = any(array(
            select missing.file_id
            from (
                {{ missing_parts('mine_releases') | indent(16) }}
            ) as missing
        ))
        -- rows that name no mine share nothing
        and msha_id is not null

),

-- operations that share a hash by chance only are told apart below, by their keys
repeated as materialized (

    select operation_hash
    from published
    group by operation_hash
    having count(*) > 1

),

put_together as (

    select
        published.file_id,
        published.row_number,
        published.as_of_year,
        sum(published.production_short_tons) over operation_rows as production_short_tons,
        sum(published.average_employees) over operation_rows as average_employees,
        sum(published.labor_hours) over operation_rows as labor_hours,
        array_agg(published.row_number) over operation_rows as source_row_numbers,
        row_number() over (
            partition by published.file_id, published.msha_id, published.mine_type, published.operation_type
            order by published.production_short_tons desc nulls last, published.row_number
        ) = 1 as is_largest
    from published
    inner join repeated on repeated.operation_hash = published.operation_hash
    window operation_rows as (
        partition by published.file_id, published.msha_id, published.mine_type, published.operation_type
        order by published.row_number rows between unbounded preceding and unbounded following
    )

)

select
    file_id,
    row_number,
    as_of_year,
    is_largest,
    production_short_tons::bigint as production_short_tons,
    average_employees::bigint as average_employees,
    labor_hours::bigint as labor_hours,
    source_row_numbers
from put_together
where cardinality(source_row_numbers) > 1
