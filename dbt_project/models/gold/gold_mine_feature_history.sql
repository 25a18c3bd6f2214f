{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ discard_stale_parts('feature_vintages') }}",
    post_hook="{{ note_built_parts('feature_vintages') }}",
    indexes=[
        {'columns': ['mine_id', 'event_timestamp', 'created_timestamp'], 'unique': true},
        {'columns': ['event_timestamp', 'created_timestamp']},
        {'columns': ['as_of_year', 'created_timestamp']},
    ]
) }}
{#
    Features of (mine, year t) at a vintage c use only facts known by c that describe years up to t. The status of a mine is
    used for the cohort alone: it is a snapshot taken after the year and would leak the outcome. A release of the tracker
    describes the year before it, and is used from that year on.
#}
with

releases as materialized (

    select releases.*
    from {{ ref('gold_vintage_releases') }} as releases
    inner join (
        {{ missing_parts('feature_vintages') | indent(8) }}
    ) as missing
        on missing.as_of_year = releases.as_of_year
        and missing.created_timestamp = releases.created_timestamp
    where releases.fact_year = releases.as_of_year

),

subjects as materialized (

    select
        releases.created_timestamp,
        mine_years.*,
        mine_years.production_short_tons / nullif(mine_years.labor_hours, 0) as productivity_short_tons_per_hour
    from releases
    inner join lateral (
        {{ rows_with(
            'silver_mine_years', {'file_id': 'releases.file_id', 'as_of_year': 'releases.as_of_year'}
        ) | indent(8) }}
    ) as mine_years on true
    where mine_years.msha_id is not null
        -- a row may claim a later time than its file
        and mine_years.known_at <= releases.created_timestamp

),

{% for name, table in {'own': 'gold_mine_own_measures', 'peers': 'gold_mine_peer_measures'}.items() -%}
{{ name }} as materialized (

    select measures.*
    from releases
    inner join lateral (
        {{ rows_with(
            table,
            {'as_of_year': 'releases.as_of_year', 'created_timestamp': 'releases.created_timestamp'},
        ) | indent(8) }}
    ) as measures on true

),

{% endfor -%}
tracker as materialized (

    {{ tracker_facts('releases') | indent(4) }}

),

features as (

    select
        -- keys and context
        own.mine_id,
        own.event_timestamp,
        own.created_timestamp,
        own.as_of_year,
        subjects.production_short_tons > 0
        -- the status is unusable before 2001
        and (own.as_of_year < 2001 or subjects.has_active_production) as in_cohort,
        subjects.mine_state,
        subjects.mine_county,
        subjects.mine_type,
        subjects.company_type,
        subjects.operator_key,
        own.newest_fact_known_at as own_facts_known_at,
        peers.newest_fact_known_at as peer_facts_known_at,
        market.prices_known_at,
        market.energy_known_at,
        tracker.known_at as tracker_known_at,
        greatest(
            own.newest_fact_known_at,
            peers.newest_fact_known_at,
            market.prices_known_at,
            market.energy_known_at,
            tracker.known_at
        ) as newest_fact_known_at,

        -- operations
        subjects.production_short_tons,
        own.production_short_tons_1y_ago,
        own.production_short_tons_3y_ago,
        {% for years in [1, 3, 5] -%}
        {{ relative_change('subjects.production_short_tons', 'own.production_short_tons_' ~ years ~ 'y_ago') }}
            as production_change_{{ years }}y,
        {% endfor -%}
        own.production_trend_5y,
        -- not the difference of two relative changes: a year of little production would make thousands of it
        3 * (subjects.production_short_tons - 2 * own.production_short_tons_1y_ago + own.production_short_tons_2y_ago)
        / nullif(
            subjects.production_short_tons + own.production_short_tons_1y_ago + own.production_short_tons_2y_ago, 0
        ) as production_acceleration_1y,
        subjects.production_short_tons / nullif(own.production_short_tons_peak, 0) as production_to_peak,
        subjects.production_short_tons / nullif(own.production_short_tons_peak_5y, 0) as production_to_recent_peak_5y,
        own.production_decline_years_in_a_row::double precision as production_decline_years_in_a_row,
        peers.production_rank_in_state,
        own.production_volatility_5y,
        own.production_restarts::double precision as production_restarts,
        subjects.average_employees,
        {% for years in [1, 3] -%}
        {{ relative_change('subjects.average_employees', 'own.average_employees_' ~ years ~ 'y_ago') }}
            as employees_change_{{ years }}y,
        {% endfor -%}
        subjects.average_employees / nullif(own.average_employees_peak, 0) as employees_to_peak,
        subjects.labor_hours,
        {{ relative_change('subjects.labor_hours', 'own.labor_hours_1y_ago') }} as labor_hours_change_1y,
        subjects.labor_hours / nullif(subjects.average_employees, 0) as labor_hours_per_employee,
        subjects.productivity_short_tons_per_hour,
        {{ relative_change(
            'subjects.productivity_short_tons_per_hour',
            'own.production_short_tons_1y_ago / nullif(own.labor_hours_1y_ago, 0)'
        ) }} as productivity_change_1y,
        own.productivity_trend_5y,
        subjects.productivity_short_tons_per_hour / nullif(own.productivity_short_tons_per_hour_peak, 0)
            as productivity_to_own_best,
        subjects.productivity_short_tons_per_hour / nullif(peers.peer_productivity_short_tons_per_hour, 0)
            as productivity_to_peers,
        peers.productivity_rank_among_peers,
        subjects.operations_count::double precision as operations_count,

        -- time
        own.years_since_first_production::double precision as years_since_first_production,
        own.years_since_peak_production::double precision as years_since_peak_production,
        own.years_producing::double precision as years_producing,
        own.years_producing_in_a_row::double precision as years_producing_in_a_row,
        (own.years_since_first_production + 1 - own.years_producing)::double precision
            as years_idle_since_first_production,
        own.years_producing::double precision / (own.years_since_first_production + 1) as share_of_years_producing,
        case
            when tracker.opening_year <= own.as_of_year then (own.as_of_year - tracker.opening_year)::double precision
        end as mine_age_years,

        -- asset and geology
        subjects.has_underground::int::double precision as is_underground,
        subjects.has_surface::int::double precision as is_surface,
        subjects.has_refuse::int::double precision as is_refuse_recovery,
        subjects.has_preparation_plant::int::double precision as has_preparation_plant,
        starts_with(own.mine_basin, 'Appalachia')::int::double precision as is_appalachian,
        (own.mine_basin in ('Powder River Basin', 'Uinta Region', 'Western'))::int::double precision as is_western,
        tracker.mine_depth_m,
        tracker.mine_size_km2,
        tracker.capacity_short_tons_per_year,
        tracker.reserves_short_tons,
        tracker.reserve_to_production_years,
        tracker.is_metallurgical::int::double precision as is_metallurgical,

        -- ownership and transactions
        (subjects.company_type = 'Contractor')::int::double precision as is_contractor,
        (subjects.company_type = 'Independent Producer Operator')::int::double precision as is_independent_operator,
        (subjects.company_type = 'Operating Subsidiary')::int::double precision as is_subsidiary,
        (subjects.union_code <> 'Non-Union')::int::double precision as is_union,
        peers.operator_production_short_tons,
        peers.operator_production_change_1y,
        peers.share_of_operator_production,
        peers.operator_mines_producing::double precision as operator_mines_producing,
        peers.operator_states_producing::double precision as operator_states_producing,
        peers.operator_lost_share_1y,
        peers.operator_other_mines_lost_share_1y,
        peers.operator_survival_above_us_3y,
        peers.operator_survival_above_us_5y,
        (subjects.operator_key <> own.operator_key_1y_ago)::int::double precision as operator_changed_1y,
        own.operator_changes_5y::double precision as operator_changes_5y,
        own.operator_tenure_years::double precision as operator_tenure_years,

        -- market
        peers.county_production_change_1y,
        peers.county_mines_producing::double precision as county_mines_producing,
        peers.share_of_county_production,
        peers.county_continuation_rate_1y,
        peers.county_survival_above_us_3y,
        peers.county_survival_above_us_5y,
        peers.state_production_change_1y,
        peers.basin_production_change_1y,
        peers.us_production_change_1y,
        subjects.production_short_tons / nullif(peers.state_production_short_tons, 0) as share_of_state_production,
        peers.state_continuation_rate_1y,
        peers.peer_continuation_rate_1y,
        peers.peer_survival_above_us_3y,
        peers.peer_survival_above_us_5y,
        market.coal_price_usd_per_tonne,
        market.coal_price_change_1y,
        market.coal_price_to_mean_5y,
        market.gas_price_usd_per_mmbtu,
        market.gas_price_change_1y,
        market.gas_price_to_mean_5y,
        market.coal_to_gas_price_ratio,
        market.coal_share_of_electricity_percent as us_coal_share_of_electricity_percent,
        market.coal_share_of_electricity_change_1y as us_coal_share_of_electricity_change_1y,
        market.coal_share_of_electricity_change_5y as us_coal_share_of_electricity_change_5y,
        market.coal_share_of_energy_percent as us_coal_share_of_energy_percent
    from subjects
    inner join own
        on own.mine_id = subjects.mine_id
        and own.as_of_year = subjects.as_of_year
        and own.created_timestamp = subjects.created_timestamp
    inner join peers
        on peers.mine_id = subjects.mine_id
        and peers.as_of_year = subjects.as_of_year
        and peers.created_timestamp = subjects.created_timestamp
    left join {{ ref('gold_market_measures') }} as market
        on market.country = 'United States'
        and market.as_of_year = subjects.as_of_year
        and market.created_timestamp = subjects.created_timestamp
    left join tracker
        on tracker.mine_id = subjects.mine_id
        and tracker.as_of_year = subjects.as_of_year
        and tracker.created_timestamp = subjects.created_timestamp

)

-- what a number says about mines of one type, apart from what it says about the others
select
    {%- for type, measures in {
        'Underground': ['productivity_to_peers', 'labor_hours_per_employee'],
        'Surface': ['productivity_to_peers', 'gas_price_change_1y'],
    }.items() %}
    {%- for measure in measures %}
    case when mine_type = '{{ type }}' then {{ measure }} end as {{ type | lower }}_{{ measure }},
    {%- endfor %}
    {%- endfor %}
    *
from features
