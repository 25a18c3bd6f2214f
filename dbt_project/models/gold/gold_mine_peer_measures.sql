{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ discard_stale_parts('panel_vintages') }}",
    post_hook="{{ note_built_parts('panel_vintages') }}",
    indexes=[{'columns': ['as_of_year', 'created_timestamp', 'mine_id'], 'unique': true}],
) }}
{#
    What a mine's operator, county, state and basin say at each vintage, from the year and the year before it. Rows that
    name no mine count in the totals of places, and nowhere else.
#}
with

facts as (

    select
        releases.as_of_year,
        releases.created_timestamp,
        releases.as_of_year - releases.fact_year as years_ago,
        mine_years.mine_id,
        mine_years.msha_id is not null as is_mine,
        mine_years.mine_state,
        mine_years.mine_county,
        mine_years.mine_basin,
        mine_years.mine_type,
        mine_years.operator_key,
        mine_years.production_short_tons,
        mine_years.labor_hours,
        mine_years.production_short_tons > 0 as is_producing,
        mine_years.known_at
    from {{ ref('gold_vintage_releases') }} as releases
    inner join (
        {{ missing_parts('panel_vintages') | indent(8) }}
    ) as missing
        on missing.as_of_year = releases.as_of_year
        and missing.created_timestamp = releases.created_timestamp
    inner join lateral (
        {{ rows_with('silver_mine_years', {'file_id': 'releases.file_id'}) | indent(8) }}
    ) as mine_years on true
    where releases.as_of_year - releases.fact_year in (0, 1)

),

-- mines that produced the year before, and whether they still do
survivors as (

    select
        as_of_year,
        created_timestamp,
        mine_id,
        max(mine_state) filter (where years_ago = 1) as mine_state,
        max(operator_key) filter (where years_ago = 1) as operator_key,
        coalesce(bool_or(is_producing) filter (where years_ago = 0), false) as still_producing
    from facts
    where is_mine
    group by as_of_year, created_timestamp, mine_id
    having bool_or(is_producing) filter (where years_ago = 1)

),

{% for name, columns in {
    'county': ['mine_state', 'mine_county'], 'state': ['mine_state'], 'basin': ['mine_basin']
}.items() -%}
{{ name }}_totals as (

    select
        as_of_year,
        created_timestamp,
        {{ columns | join(', ') }},
        sum(production_short_tons) filter (where years_ago = 0) as production_short_tons,
        {{ relative_change(
            'sum(production_short_tons) filter (where years_ago = 0)',
            'sum(production_short_tons) filter (where years_ago = 1)'
        ) }} as production_change_1y
    from facts
    where {{ columns | last }} is not null
    group by as_of_year, created_timestamp, {{ columns | join(', ') }}

),

{% endfor -%}
state_continuation as (

    select
        as_of_year,
        created_timestamp,
        mine_state,
        avg(still_producing::int)::double precision as continuation_rate_1y
    from survivors
    group by as_of_year, created_timestamp, mine_state

),

state_type_productivity as (

    select
        as_of_year,
        created_timestamp,
        mine_state,
        mine_type,
        sum(production_short_tons) / nullif(sum(labor_hours), 0) as productivity_short_tons_per_hour
    from facts
    where years_ago = 0
        and is_producing
        and labor_hours > 0
    group by as_of_year, created_timestamp, mine_state, mine_type

),

operator_totals as (

    select
        as_of_year,
        created_timestamp,
        operator_key,
        sum(production_short_tons) as production_short_tons,
        count(*) filter (where is_producing) as mines_producing
    from facts
    where years_ago = 0
        and is_mine
    group by as_of_year, created_timestamp, operator_key

),

operator_losses as (

    select
        as_of_year,
        created_timestamp,
        operator_key,
        avg((not still_producing)::int)::double precision as lost_share_1y
    from survivors
    group by as_of_year, created_timestamp, operator_key

),

newest as (

    select
        as_of_year,
        created_timestamp,
        max(known_at) as known_at
    from facts
    group by as_of_year, created_timestamp

)

select
    facts.mine_id,
    facts.as_of_year,
    facts.created_timestamp,
    county_totals.production_short_tons as county_production_short_tons,
    county_totals.production_change_1y as county_production_change_1y,
    state_totals.production_short_tons as state_production_short_tons,
    state_totals.production_change_1y as state_production_change_1y,
    state_continuation.continuation_rate_1y as state_continuation_rate_1y,
    basin_totals.production_change_1y as basin_production_change_1y,
    state_type_productivity.productivity_short_tons_per_hour as peer_productivity_short_tons_per_hour,
    operator_totals.production_short_tons as operator_production_short_tons,
    operator_totals.mines_producing as operator_mines_producing,
    operator_losses.lost_share_1y as operator_lost_share_1y,
    newest.known_at as newest_fact_known_at
from facts
inner join newest using (as_of_year, created_timestamp)
left join county_totals using (as_of_year, created_timestamp, mine_state, mine_county)
left join state_totals using (as_of_year, created_timestamp, mine_state)
left join state_continuation using (as_of_year, created_timestamp, mine_state)
left join basin_totals using (as_of_year, created_timestamp, mine_basin)
left join state_type_productivity using (as_of_year, created_timestamp, mine_state, mine_type)
left join operator_totals using (as_of_year, created_timestamp, operator_key)
left join operator_losses using (as_of_year, created_timestamp, operator_key)
where facts.years_ago = 0
    and facts.is_mine
