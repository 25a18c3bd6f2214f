{{ config(meta={'dagster': {'ref': {'name': 'bronze_structured_feeds'}}}) }}
-- depends_on: {{ ref('bronze_structured_feeds') }}
-- A file without a time of knowing would vanish from every read as of a date; what we hold cannot become known later.
select
    file_id,
    name,
    known_at,
    ingested_at
from {{ source('landing', 'files') }}
where status = 'loaded'
    and (known_at is null or known_at > ingested_at)
