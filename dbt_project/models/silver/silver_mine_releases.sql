{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }}{% endif %}",
    post_hook="analyze {{ this }}",
) }}
{#
    The agency's files are whole releases of a year: one holds from when it became known until the next one of its year
    does. Which of two files that tell the same year holds is decided here and nowhere else.

    All rows are made anew every night, in place: a table that dbt replaces takes the views that look at it with it.
#}
-- depends_on: {{ ref('bronze_eia_coal_mines') }}
select
    period::integer as as_of_year,
    file_id,
    name as file_name,
    known_at,
    lead(known_at) over files_of_the_year as known_until,
    lead(file_id) over files_of_the_year as superseded_by_file_id,
    case
        when lag(file_id) over files_of_the_year is null then 'first file of its year'
        else 'restates file ' || lag(file_id) over files_of_the_year || ' from its receipt'
    end as precedence_rule,
    coalesce(facts_digest, sha256) as content_digest,
    rows_loaded
from {{ source('landing', 'files') }}
where feed = 'eia_coal_mines'
    and status = 'loaded'
    and rows_loaded > 0
    and {{ known_by_the_as_of_date('known_at') }}
    and {{ received_by_the_as_of_date('ingested_at') }}
window files_of_the_year as (partition by period order by known_at, file_id)
