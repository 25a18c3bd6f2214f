{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ discard_stale_profiles() }}",
    post_hook="{{ note_built_profiles() }}",
    indexes=[{'columns': ['mine_id'], 'unique': true}],
) }}
{#
    What is known now about each mine: the newest year of the panel, and the newest release of the tracker. How several
    tracker rows of one mine (phases, or two tracker mines with one MSHA ID) are put together stands in tracker.sql.
#}
with

mines as materialized (

    select distinct crosswalk.mine_id
    from {{ ref('silver_mine_crosswalk') }} as crosswalk
    {%- if is_incremental() %}
    where
        not exists (
            select
            from {{ this }} as profiles
            where profiles.mine_id = crosswalk.mine_id
        )
    {%- endif %}

),

panel_years as materialized (

    select mine_years.*
    from mines
    inner join lateral (
        {{ rows_with('silver_mine_years', {'mine_id': 'mines.mine_id'}) | indent(8) }}
    ) as mine_years on true
    where mine_years.known_until is null
        and mine_years.msha_id is not null

),

panel as (

    select distinct on (mine_id)
        mine_id,
        msha_id,
        mine_name,
        mine_state,
        mine_county,
        mine_type,
        mine_status,
        operating_company,
        operator_key,
        as_of_year,
        production_short_tons,
        known_at
    from panel_years
    order by mine_id, as_of_year desc

),

panel_span as (

    select
        mine_id,
        min(as_of_year) filter (where production_short_tons > 0) as first_production_year,
        max(as_of_year) filter (where production_short_tons > 0) as last_production_year
    from panel_years
    group by mine_id

),

tracker_rows as (

    select
        crosswalk.mine_id,
        gem.*,
        coalesce(gem.status, 'Closed') as tracker_status,
        -- the closed sheet has both swapped for some mines
        case
            when abs(gem.latitude) <= 90 then gem.latitude
            when abs(gem.longitude) <= 90 then gem.longitude
        end as latitude_degrees,
        case
            when abs(gem.latitude) <= 90 then gem.longitude
            when abs(gem.longitude) <= 90 then gem.latitude
        end as longitude_degrees,
        {{ tracker_lead_rank(['crosswalk.mine_id']) | indent(8) }} as lead_rank
    from ({{ newest_tracker_rows() | indent(4) }}) as gem
    inner join {{ ref('silver_mine_crosswalk') }} as crosswalk on crosswalk.gem_mine_id = gem.gem_mine_id
    inner join mines on mines.mine_id = crosswalk.mine_id

),

tracker_amounts as (

    {{ tracker_amounts('tracker_rows') | indent(4) }}

),

tracker as (

    select
        tracker_amounts.*,
        lead_row.msha_id,
        lead_row.country,
        lead_row.mine_name,
        lead_row.mine_name_local,
        lead_row.wiki_url,
        lead_row.tracker_status,
        lead_row.status_detail,
        lead_row.owners,
        lead_row.parent_company,
        {{ company_key("split_part(split_part(lead_row.parent_company, ';', 1), '[', 1)") }} as parent_key,
        lead_row.mine_type,
        lead_row.mining_method,
        lead_row.coal_type,
        lead_row.coal_grade,
        lead_row.reserve_to_production_years,
        lead_row.closing_year,
        lead_row.state_province,
        lead_row.region,
        lead_row.latitude_degrees,
        lead_row.longitude_degrees,
        lead_row.known_at
    from tracker_amounts
    inner join tracker_rows as lead_row on lead_row.mine_id = tracker_amounts.mine_id and lead_row.lead_rank = 1

),

profiles as (

    select
        mine_id,
        coalesce(panel.msha_id, tracker.msha_id) as msha_id,
        tracker.gem_mine_ids,
        coalesce(panel.mine_name, tracker.mine_name) as mine_name,
        tracker.mine_name_local,
        case
            when panel.mine_id is null then coalesce(aliases.country, tracker.country)
            else 'United States'
        end as country,
        coalesce(panel.mine_state, tracker.state_province) as state_province,
        panel.mine_county,
        tracker.region,
        -- the newest word on it: the tracker's release or the panel's year, whichever became known later
        case
            when panel.known_at is null or tracker.known_at > panel.known_at
                then coalesce(tracker.tracker_status, panel.mine_status)
            else coalesce(panel.mine_status, tracker.tracker_status)
        end as mine_status,
        panel.mine_status as panel_mine_status,
        tracker.tracker_status,
        tracker.status_detail as tracker_status_detail,
        coalesce(panel.mine_type, tracker.mine_type) as mine_type,
        tracker.mining_method,
        tracker.coal_type,
        tracker.coal_grade,
        panel.operating_company,
        panel.operator_key,
        tracker.owners,
        tracker.parent_company,
        tracker.parent_key,
        coalesce(tracker.opening_year, panel_span.first_production_year) as opening_year,
        tracker.closing_year,
        tracker.latitude_degrees as latitude,
        tracker.longitude_degrees as longitude,
        tracker.wiki_url,
        tracker.capacity_mt_per_year,
        tracker.production_mt_per_year,
        tracker.production_year,
        tracker.reserves_mt,
        tracker.resources_mt,
        tracker.reserve_to_production_years,
        tracker.workforce_size,
        tracker.mine_size_km2,
        tracker.mine_depth_m,
        tracker.methane_million_tonnes_per_year,
        tracker.tracker_rows_count,
        panel.as_of_year as panel_as_of_year,
        panel.production_short_tons as panel_production_short_tons,
        panel_span.first_production_year,
        panel_span.last_production_year,
        panel.known_at as panel_known_at,
        tracker.known_at as tracker_known_at,
        greatest(panel.known_at, tracker.known_at) as known_at
    from panel
    full outer join tracker using (mine_id)
    left join panel_span using (mine_id)
    left join {{ ref('country_aliases') }} as aliases on aliases.published_name = tracker.country

)

select
    *,
    hashtextextended(profiles::text, 0) as content_hash
from profiles
