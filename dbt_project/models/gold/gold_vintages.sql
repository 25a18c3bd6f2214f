{#
    The moments at which a row of as-of year t is written. The first is when the year's own file became known; a later one
    follows each release of t or an earlier year that became known after that. Restatements of prices or of a country's
    energy do not make a vintage by themselves; a later vintage uses them if they were known by then. Releases of one day
    make one vintage, at the last of them: files taken in one after the other are one state of knowledge, not many.
#}
with

first_releases as (

    select
        as_of_year,
        min(known_at) as known_at
    from {{ ref('silver_mine_releases') }}
    group by as_of_year

),

vintages as (

    select
        as_of_year,
        known_at
    from first_releases

    union

    select
        first_releases.as_of_year,
        max(releases.known_at) as known_at
    from first_releases
    inner join {{ ref('silver_mine_releases') }} as releases
        on releases.as_of_year <= first_releases.as_of_year
        and releases.known_at > first_releases.known_at
    group by first_releases.as_of_year, date_trunc('day', releases.known_at, 'UTC')

)

select
    as_of_year,
    {{ end_of_year('as_of_year') }} as event_timestamp,
    known_at as created_timestamp,
    row_number() over first_to_last as vintage_number,
    row_number() over first_to_last = 1 as is_first,
    lead(known_at) over first_to_last is null as is_latest
from vintages
window first_to_last as (partition by as_of_year order by known_at)
