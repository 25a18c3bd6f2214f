{{ config(indexes=[{'columns': ['release_year', 'known_at', 'mine_id'], 'unique': true}]) }}
{#
    What each release of the tracker said about the mines that carry an MSHA ID, whatever came later. A release describes
    the year before the one in which it became known, and so does its correction, which replaces it from its receipt. The
    sheets may come as files of their own: a sheet that a release lacks is the one of the release before it. Rows are put
    together as in silver_mine_profiles.
#}
with

files as (

    select
        bronze.file_id,
        bronze.sheet,
        bronze.known_at,
        extract(
            year from min(bronze.known_at) over (partition by coalesce(files.period, files.file_id::text))
            at time zone 'UTC'
        )::integer - 1 as release_year
    from (
        select distinct
            file_id,
            sheet,
            known_at
        from {{ ref('bronze_gem_coal_mines') }}
    ) as bronze
    inner join {{ source('landing', 'files') }} as files on files.file_id = bronze.file_id

),

-- a release as it was known from a moment on: the newest file of each sheet
sheets as (

    select distinct on (moments.release_year, moments.known_at, files.sheet)
        moments.release_year,
        moments.known_at,
        files.sheet,
        files.file_id
    from (
        select distinct
            years.release_year,
            arrivals.known_at
        from (
            select
                release_year,
                min(known_at) as first_known_at
            from files
            group by release_year
        ) as years
        inner join files as arrivals
            on arrivals.release_year <= years.release_year
            and arrivals.known_at >= years.first_known_at
    ) as moments
    inner join files
        on files.release_year <= moments.release_year
        and files.known_at <= moments.known_at
    order by
        moments.release_year,
        moments.known_at,
        files.sheet,
        files.release_year desc,
        files.known_at desc,
        files.file_id desc

),

releases as (

    select
        release_year,
        known_at,
        lead(known_at) over (partition by release_year order by known_at) as known_until
    from (
        select
            release_year,
            known_at,
            file_ids,
            lag(file_ids) over (partition by release_year order by known_at) as file_ids_before
        from (
            select
                release_year,
                known_at,
                array_agg(file_id order by sheet) as file_ids
            from sheets
            group by release_year, known_at
        ) as states
    ) as changes
    where file_ids is distinct from file_ids_before

),

-- whose ID it is was said by any file known then
identified_rows as (

    select
        releases.release_year,
        releases.known_at as release_known_at,
        gem.gem_mine_id,
        gem.msha_id,
        gem.file_id,
        gem.sheet,
        gem.row_number,
        gem.known_at
    from releases
    inner join files
        on files.release_year <= releases.release_year
        and files.known_at <= releases.known_at
    inner join {{ ref('bronze_gem_coal_mines') }} as gem
        on gem.file_id = files.file_id
        and gem.sheet = files.sheet
    where gem.msha_id is not null

),

panel as (

    select
        releases.release_year,
        releases.known_at as release_known_at,
        ids.msha_id,
        ids.mine_id
    from (
        select
            msha_ids.msha_id,
            mine_years.mine_id,
            min(mine_years.known_at) as first_known_at
        from (select distinct msha_id from identified_rows) as msha_ids
        inner join lateral (
            {{ rows_with('silver_mine_years', {'mine_id': "'msha:' || msha_ids.msha_id"}, ['mine_id', 'known_at'])
                | indent(12) }}
        ) as mine_years on true
        group by msha_ids.msha_id, mine_years.mine_id
    ) as ids
    inner join releases on releases.known_at >= ids.first_known_at

),

links as (

    {{ tracker_links('identified_rows', 'panel', ['release_year', 'release_known_at']) | indent(4) }}

),

tracker_rows as (

    select
        links.release_year,
        links.release_known_at,
        'msha:' || links.msha_id as mine_id,
        gem.*,
        coalesce(gem.status, 'Closed') as tracker_status,
        {{ tracker_lead_rank(['links.release_year', 'links.release_known_at', 'links.msha_id']) | indent(8) }}
            as lead_rank
    from links
    inner join sheets
        on sheets.release_year = links.release_year
        and sheets.known_at = links.release_known_at
    inner join {{ ref('bronze_gem_coal_mines') }} as gem
        on gem.file_id = sheets.file_id
        and gem.sheet = sheets.sheet
        and gem.gem_mine_id = links.gem_mine_id

),

amounts as (

    {{ tracker_amounts('tracker_rows', ['release_year', 'release_known_at', 'mine_id']) | indent(4) }}

),

facts as (

    select
        amounts.mine_id,
        amounts.release_year,
        amounts.release_known_at as known_at,
        lead_row.file_id,
        amounts.mine_depth_m,
        amounts.mine_size_km2,
        amounts.capacity_mt_per_year * {{ short_tons_per_million_tonnes() }} as capacity_short_tons_per_year,
        amounts.reserves_mt * {{ short_tons_per_million_tonnes() }} as reserves_short_tons,
        lead_row.reserve_to_production_years,
        lead_row.coal_grade ilike '%met%' as is_metallurgical,
        amounts.opening_year
    from amounts
    inner join tracker_rows as lead_row
        on lead_row.release_year = amounts.release_year
        and lead_row.release_known_at = amounts.release_known_at
        and lead_row.mine_id = amounts.mine_id
        and lead_row.lead_rank = 1

)

select
    facts.mine_id,
    facts.file_id,
    facts.release_year,
    facts.mine_depth_m,
    facts.mine_size_km2,
    facts.capacity_short_tons_per_year,
    facts.reserves_short_tons,
    facts.reserve_to_production_years,
    facts.is_metallurgical,
    facts.opening_year,
    facts.known_at,
    releases.known_until,
    -- of what gold uses: neither the file's number nor a correction to come changes it
    hashtextextended(
        concat_ws(
            '|', facts.mine_id, facts.release_year, facts.known_at,
            coalesce(facts.mine_depth_m::text, '-'), coalesce(facts.mine_size_km2::text, '-'),
            coalesce(facts.capacity_short_tons_per_year::text, '-'), coalesce(facts.reserves_short_tons::text, '-'),
            coalesce(facts.reserve_to_production_years::text, '-'), coalesce(facts.is_metallurgical::text, '-'),
            coalesce(facts.opening_year::text, '-')
        ),
        0
    ) as content_hash
from facts
inner join releases
    on releases.release_year = facts.release_year
    and releases.known_at = facts.known_at
