{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ discard_stale_parts('panel_vintages') }}",
    post_hook="{{ note_built_parts('panel_vintages') }}",
    indexes=[{'columns': ['as_of_year', 'created_timestamp', 'mine_id'], 'unique': true}],
) }}
{#
    What a mine's operator, county, state, basin and country say at each vintage, from the year and the years before it. Rows
    that name no mine count in the totals of places, and nowhere else. The agency publishes tons and hours in whole numbers,
    so that their sums are exact in any order.
#}
{%- set survival_years = [3, 5] %}
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
        {{ rows_with(
            'silver_mine_years', {'file_id': 'releases.file_id', 'as_of_year': 'releases.fact_year'}
        ) | indent(8) }}
    ) as mine_years on true
    where releases.as_of_year - releases.fact_year in (0, 1, {{ survival_years | join(', ') }})
        -- a row may claim a later time than its file
        and mine_years.known_at <= releases.created_timestamp

),

-- mines that produced the year before, and whether they still do
survivors as (

    select
        as_of_year,
        created_timestamp,
        mine_id,
        max(mine_state) filter (where years_ago = 1) as mine_state,
        max(mine_county) filter (where years_ago = 1) as mine_county,
        max(mine_type) filter (where years_ago = 1) as mine_type,
        max(operator_key) filter (where years_ago = 1) as operator_key,
        coalesce(bool_or(is_producing) filter (where years_ago = 0), false) as still_producing
    from facts
    where is_mine
    group by as_of_year, created_timestamp, mine_id
    having bool_or(is_producing) filter (where years_ago = 1)

),

{% for name, columns in {
    'county': ['mine_state', 'mine_county'], 'state': ['mine_state'], 'basin': ['mine_basin'], 'country': []
}.items() -%}
{{ name }}_totals as (

    select
        as_of_year,
        created_timestamp,
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        count(*) filter (where years_ago = 0 and is_producing and is_mine) as mines_producing,
        sum(production_short_tons) filter (where years_ago = 0) as production_short_tons,
        {{ relative_change(
            'sum(production_short_tons) filter (where years_ago = 0)',
            'sum(production_short_tons) filter (where years_ago = 1)'
        ) }} as production_change_1y
    from facts
    {%- if columns %}
    where {{ columns | last }} is not null
    {%- endif %}
    group by {{ (['as_of_year', 'created_timestamp'] + columns) | join(', ') }}

),

{% endfor -%}
{% for name, columns in {
    'county': ['mine_state', 'mine_county'], 'state': ['mine_state'], 'peer': ['mine_state', 'mine_type']
}.items() -%}
{{ name }}_continuation as (

    select
        as_of_year,
        created_timestamp,
        {{ columns | join(', ') }},
        avg(still_producing::int)::double precision as continuation_rate_1y
    from survivors
    group by as_of_year, created_timestamp, {{ columns | join(', ') }}

),

{% endfor -%}
-- mines that produced some years before, whether they produce now, and how many of the country's do
earlier_producers as (

    select
        earlier.as_of_year,
        earlier.created_timestamp,
        earlier.years_ago,
        earlier.mine_state,
        earlier.mine_county,
        earlier.mine_type,
        earlier.operator_key,
        coalesce(now.is_producing, false) as still_producing,
        avg(coalesce(now.is_producing, false)::int) over in_the_us as us_survival
    from facts as earlier
    left join facts as now
        on now.as_of_year = earlier.as_of_year
        and now.created_timestamp = earlier.created_timestamp
        and now.mine_id = earlier.mine_id
        and now.years_ago = 0
    where earlier.years_ago in ({{ survival_years | join(', ') }})
        and earlier.is_mine
        and earlier.is_producing
    window in_the_us as (partition by earlier.as_of_year, earlier.created_timestamp, earlier.years_ago)

),

-- less the country's, so that it tells places and operators apart and not good years from bad ones
{% for name, columns in {
    'county': ['mine_state', 'mine_county'], 'peer': ['mine_state', 'mine_type'], 'operator': ['operator_key']
}.items() -%}
{{ name }}_survival as (

    select
        {% for years in survival_years -%}
        (
            avg(still_producing::int) filter (where years_ago = {{ years }})
            - max(us_survival) filter (where years_ago = {{ years }})
        )::double precision as survival_above_us_{{ years }}y,
        {% endfor -%}
        {{ columns | join(', ') }},
        as_of_year,
        created_timestamp
    from earlier_producers
    group by as_of_year, created_timestamp, {{ columns | join(', ') }}

),

{% endfor -%}
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

-- from 0, the least, to 1; a mine that is alone has no rank
production_ranks as (

    select
        as_of_year,
        created_timestamp,
        mine_id,
        case
            when count(*) over in_state > 1 then percent_rank() over (in_state order by production_short_tons)
        end as production_rank_in_state
    from facts
    where years_ago = 0
        and is_mine
        and is_producing
        and mine_state is not null
    window in_state as (partition by as_of_year, created_timestamp, mine_state)

),

productivity_ranks as (

    select
        as_of_year,
        created_timestamp,
        mine_id,
        case
            when count(*) over peers > 1 then percent_rank() over (peers order by production_short_tons / labor_hours)
        end as productivity_rank_among_peers
    from facts
    where years_ago = 0
        and is_mine
        and is_producing
        and labor_hours > 0
        and mine_state is not null
        and mine_type is not null
    window peers as (partition by as_of_year, created_timestamp, mine_state, mine_type)

),

operator_totals as (

    select
        as_of_year,
        created_timestamp,
        operator_key,
        sum(production_short_tons) filter (where years_ago = 0) as production_short_tons,
        {{ relative_change(
            'sum(production_short_tons) filter (where years_ago = 0)',
            'sum(production_short_tons) filter (where years_ago = 1)'
        ) }} as production_change_1y,
        count(*) filter (where years_ago = 0 and is_producing) as mines_producing,
        count(distinct mine_state) filter (where years_ago = 0 and is_producing) as states_producing
    from facts
    where is_mine
        and operator_key is not null
    group by as_of_year, created_timestamp, operator_key

),

operator_losses as (

    select
        as_of_year,
        created_timestamp,
        operator_key,
        avg((not still_producing)::int)::double precision as lost_share_1y,
        count(*) as mines,
        count(*) filter (where not still_producing) as lost_mines
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
    county_totals.mines_producing as county_mines_producing,
    facts.production_short_tons / nullif(county_totals.production_short_tons, 0) as share_of_county_production,
    county_continuation.continuation_rate_1y as county_continuation_rate_1y,
    county_survival.survival_above_us_3y as county_survival_above_us_3y,
    county_survival.survival_above_us_5y as county_survival_above_us_5y,
    state_totals.production_short_tons as state_production_short_tons,
    state_totals.production_change_1y as state_production_change_1y,
    state_continuation.continuation_rate_1y as state_continuation_rate_1y,
    production_ranks.production_rank_in_state,
    basin_totals.production_change_1y as basin_production_change_1y,
    country_totals.production_change_1y as us_production_change_1y,
    state_type_productivity.productivity_short_tons_per_hour as peer_productivity_short_tons_per_hour,
    productivity_ranks.productivity_rank_among_peers,
    peer_continuation.continuation_rate_1y as peer_continuation_rate_1y,
    peer_survival.survival_above_us_3y as peer_survival_above_us_3y,
    peer_survival.survival_above_us_5y as peer_survival_above_us_5y,
    operator_totals.production_short_tons as operator_production_short_tons,
    operator_totals.production_change_1y as operator_production_change_1y,
    facts.production_short_tons / nullif(operator_totals.production_short_tons, 0) as share_of_operator_production,
    operator_totals.mines_producing as operator_mines_producing,
    operator_totals.states_producing as operator_states_producing,
    operator_losses.lost_share_1y as operator_lost_share_1y,
    -- without the mine itself, where the operator had it the year before too
    (operator_losses.lost_mines - coalesce((not kept.still_producing)::int, 0))::double precision
    / nullif(operator_losses.mines - coalesce((kept.mine_id is not null)::int, 0), 0)
        as operator_other_mines_lost_share_1y,
    operator_survival.survival_above_us_3y as operator_survival_above_us_3y,
    operator_survival.survival_above_us_5y as operator_survival_above_us_5y,
    newest.known_at as newest_fact_known_at
from facts
inner join newest using (as_of_year, created_timestamp)
left join county_totals using (as_of_year, created_timestamp, mine_state, mine_county)
left join county_continuation using (as_of_year, created_timestamp, mine_state, mine_county)
left join state_totals using (as_of_year, created_timestamp, mine_state)
left join state_continuation using (as_of_year, created_timestamp, mine_state)
left join production_ranks using (as_of_year, created_timestamp, mine_id)
left join basin_totals using (as_of_year, created_timestamp, mine_basin)
inner join country_totals using (as_of_year, created_timestamp)
left join state_type_productivity using (as_of_year, created_timestamp, mine_state, mine_type)
left join productivity_ranks using (as_of_year, created_timestamp, mine_id)
left join peer_continuation using (as_of_year, created_timestamp, mine_state, mine_type)
left join operator_totals using (as_of_year, created_timestamp, operator_key)
left join operator_losses using (as_of_year, created_timestamp, operator_key)
left join county_survival using (as_of_year, created_timestamp, mine_state, mine_county)
left join peer_survival using (as_of_year, created_timestamp, mine_state, mine_type)
left join operator_survival using (as_of_year, created_timestamp, operator_key)
left join survivors as kept using (as_of_year, created_timestamp, mine_id, operator_key)
where facts.years_ago = 0
    and facts.is_mine
