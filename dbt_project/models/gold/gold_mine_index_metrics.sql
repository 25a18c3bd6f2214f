{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ discard_stale_parts('index_years') }}",
    post_hook="{{ note_built_parts('index_years') }}",
    indexes=[
        {'columns': ['mine_id', 'as_of_year', 'created_timestamp'], 'unique': true},
        {'columns': ['as_of_year']},
        {'columns': ['is_current', 'mine_id']},
    ],
) }}
{#
    What the transparent index is made of. A mine of the panel has one row per year, as known first, without the tracker's
    facts, which nobody knew then; and one current row, with all that is known now. A mine that only the tracker has gets
    its current row alone. A part is a bucket of mines of an as-of year.
#}
with

missing as materialized (

    {{ missing_parts('index_years') | indent(4) }}

),

profiles as (

    select
        *,
        -- emissions were estimated for what the mine produces or, when that is unknown, for what it can produce
        methane_million_tonnes_per_year
        / nullif(coalesce(production_mt_per_year, capacity_mt_per_year), 0) as methane_tonnes_per_tonne,
        mine_size_km2 / nullif(coalesce(production_mt_per_year, capacity_mt_per_year), 0) as mine_area_km2_per_mt,
        production_mt_per_year / nullif(capacity_mt_per_year, 0) as capacity_utilisation
    from {{ ref('silver_mine_profiles') }}

),

parents as (

    select
        parent_key,
        -- as numeric: a sum of floating-point numbers depends on the order of the rows
        sum(production_mt_per_year::numeric)::double precision * {{ short_tons_per_million_tonnes() }}
            as production_short_tons,
        count(*)::double precision as mines_producing
    from profiles
    where parent_key is not null
        and tracker_status = 'Operating'
    group by parent_key

),

vintages as materialized (

    select vintages.*
    from {{ ref('gold_vintages') }} as vintages
    where vintages.as_of_year in (select missing.as_of_year from missing)
        and (vintages.is_first or vintages.is_latest)

),

panel_rows as materialized (

    select
        history.*,
        vintages.is_first,
        -- a year that a restatement took from the mine is not its newest any more
        vintages.is_latest and profiles.mine_id is not null as is_newest
    from vintages
    inner join lateral (
        {{ rows_with(
            'gold_mine_feature_history',
            {'as_of_year': 'vintages.as_of_year', 'created_timestamp': 'vintages.created_timestamp'},
        ) | indent(8) }}
    ) as history on true
    inner join missing
        on missing.as_of_year = history.as_of_year
        and missing.mine_bucket = {{ mine_bucket('history.mine_id') }}
    left join profiles
        on profiles.mine_id = history.mine_id
        and profiles.panel_as_of_year = history.as_of_year

),

-- the tracker's facts belong to a row only when they were known by then: they move the current row's moment to theirs
moments as (

    select
        panel_rows.mine_id,
        panel_rows.as_of_year,
        panel_rows.created_timestamp as panel_created_timestamp,
        greatest(panel_rows.created_timestamp, profiles.tracker_known_at) as created_timestamp,
        true as is_current
    from panel_rows
    inner join profiles on profiles.mine_id = panel_rows.mine_id
    where panel_rows.is_newest

    union all

    select
        panel_rows.mine_id,
        panel_rows.as_of_year,
        panel_rows.created_timestamp as panel_created_timestamp,
        panel_rows.created_timestamp,
        false as is_current
    from panel_rows
    left join profiles on profiles.mine_id = panel_rows.mine_id and panel_rows.is_newest
    where panel_rows.is_first
        -- the first row of the newest year is the current one unless something became known since
        and (not panel_rows.is_newest or profiles.tracker_known_at > panel_rows.created_timestamp)

),

panel_metrics as (

    select
        panel_rows.mine_id,
        panel_rows.as_of_year,
        panel_rows.event_timestamp,
        moments.created_timestamp,
        'United States' as country,
        moments.is_current,
        panel_rows.newest_fact_known_at as operations_known_at,
        case when moments.is_current then profiles.tracker_known_at end as asset_known_at,
        {% for metric in [
            'reserves_mt', 'reserve_to_production_years', 'capacity_utilisation', 'methane_tonnes_per_tonne',
            'mine_area_km2_per_mt',
        ] -%}
        case when moments.is_current then profiles.{{ metric }} end as {{ metric }},
        {% endfor -%}
        panel_rows.years_producing,
        panel_rows.production_short_tons,
        panel_rows.productivity_short_tons_per_hour,
        panel_rows.production_to_peak,
        panel_rows.production_change_1y,
        panel_rows.average_employees,
        panel_rows.employees_change_1y,
        panel_rows.operator_production_short_tons,
        panel_rows.operator_mines_producing,
        panel_rows.operator_lost_share_1y
    from moments
    inner join panel_rows
        on panel_rows.mine_id = moments.mine_id
        and panel_rows.as_of_year = moments.as_of_year
        and panel_rows.created_timestamp = moments.panel_created_timestamp
    left join profiles on profiles.mine_id = moments.mine_id

),

-- the tracker's release describes the year before it
tracker_metrics as (

    select
        profiles.mine_id,
        extract(year from profiles.tracker_known_at at time zone 'UTC')::int - 1 as as_of_year,
        {{ end_of_year("extract(year from profiles.tracker_known_at at time zone 'UTC')::int - 1") }}
            as event_timestamp,
        profiles.tracker_known_at as created_timestamp,
        profiles.country,
        true as is_current,
        profiles.tracker_known_at as operations_known_at,
        profiles.tracker_known_at as asset_known_at,
        profiles.reserves_mt,
        profiles.reserve_to_production_years,
        profiles.capacity_utilisation,
        profiles.methane_tonnes_per_tonne,
        profiles.mine_area_km2_per_mt,
        case
            when profiles.tracker_status = 'Operating'
                then extract(year from profiles.tracker_known_at at time zone 'UTC')::int - profiles.opening_year
        end::double precision as years_producing,
        profiles.production_mt_per_year * {{ short_tons_per_million_tonnes() }} as production_short_tons,
        null::double precision as productivity_short_tons_per_hour,
        null::double precision as production_to_peak,
        null::double precision as production_change_1y,
        profiles.workforce_size as average_employees,
        null::double precision as employees_change_1y,
        parents.production_short_tons as operator_production_short_tons,
        parents.mines_producing as operator_mines_producing,
        null::double precision as operator_lost_share_1y
    from profiles
    left join parents on parents.parent_key = profiles.parent_key
    where profiles.panel_as_of_year is null
        and (
            extract(year from profiles.tracker_known_at at time zone 'UTC')::int - 1,
            {{ mine_bucket('profiles.mine_id') }}
        ) in (
            select
                missing.as_of_year,
                missing.mine_bucket
            from missing
        )

),

mines as (

    select * from panel_metrics
    union all
    select * from tracker_metrics

)

select
    mines.*,
    market.coal_share_of_electricity_percent as country_coal_share_of_electricity_percent,
    market.coal_share_of_energy_percent as country_coal_share_of_energy_percent,
    market.coal_share_of_electricity_change_5y as country_coal_share_of_electricity_change_5y,
    market.coal_price_change_1y,
    market.energy_known_at,
    market.prices_known_at
from mines
left join {{ ref('gold_market_measures') }} as market
    on market.country = mines.country
    and market.as_of_year = mines.as_of_year
    and market.created_timestamp = mines.created_timestamp
