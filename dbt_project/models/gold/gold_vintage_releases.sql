{# At each vintage of as-of year t: which file was the state of knowledge about each year up to t. #}
select
    vintages.as_of_year,
    vintages.event_timestamp,
    vintages.created_timestamp,
    releases.as_of_year as fact_year,
    releases.file_id,
    releases.known_at,
    releases.content_digest
from {{ ref('gold_vintages') }} as vintages
inner join {{ ref('silver_mine_releases') }} as releases
    on releases.as_of_year <= vintages.as_of_year
    and releases.known_at <= vintages.created_timestamp
    and (releases.known_until is null or releases.known_until > vintages.created_timestamp)
