{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ discard_stale_parts('panel_vintages') }}",
    post_hook="{{ note_built_parts('panel_vintages') }}",
    indexes=[{'columns': ['as_of_year', 'created_timestamp', 'mine_id'], 'unique': true}],
) }}
{#
    A mine's own past as known at each vintage; years in which the mine is not in the panel stay null. The past is looked up
    mine by mine, so that a new vintage costs what its own mines have, not what the panel has. What is computed with
    fractions reads its years in a given order: in another one the last bits would differ.
#}
{%- set in_order = 'order by is_producing, fact_year' %}
with

releases as materialized (

    select releases.*
    from {{ ref('gold_vintage_releases') }} as releases
    inner join (
        {{ missing_parts('panel_vintages') | indent(8) }}
    ) as missing
        on missing.as_of_year = releases.as_of_year
        and missing.created_timestamp = releases.created_timestamp

),

subjects as (

    select
        releases.as_of_year,
        releases.event_timestamp,
        releases.created_timestamp,
        mine_years.mine_id,
        mine_years.operator_key
    from releases
    inner join lateral (
        {{ rows_with(
            'silver_mine_years',
            {'file_id': 'releases.file_id', 'as_of_year': 'releases.as_of_year'},
            ['mine_id', 'msha_id', 'operator_key', 'known_at'],
        ) | indent(8) }}
    ) as mine_years on true
    where releases.fact_year = releases.as_of_year
        and mine_years.msha_id is not null
        -- a row may claim a later time than its file
        and mine_years.known_at <= releases.created_timestamp

),

-- a new vintage looks its mines up one by one; where all vintages are made, the table is read once
past as {{ 'materialized' if is_incremental() else 'not materialized' }} (

    select
        subjects.mine_id,
        subjects.as_of_year,
        subjects.event_timestamp,
        subjects.created_timestamp,
        subjects.operator_key as operator_key_now,
        mine_years.as_of_year as fact_year,
        mine_years.file_id,
        mine_years.production_short_tons,
        mine_years.average_employees,
        mine_years.labor_hours,
        mine_years.operator_key,
        mine_years.mine_basin,
        mine_years.known_at
    from subjects
    {% if is_incremental() -%}
    inner join lateral (
        {{ rows_with('silver_mine_years', {'mine_id': 'subjects.mine_id'}) | indent(8) }}
    ) as mine_years on true
    {%- else -%}
    inner join {{ ref('silver_mine_years') }} as mine_years on mine_years.mine_id = subjects.mine_id
    {%- endif %}
    where mine_years.as_of_year <= subjects.as_of_year
        and mine_years.known_at <= subjects.created_timestamp

),

facts as (

    select
        past.*,
        past.as_of_year - past.fact_year as years_ago,
        past.production_short_tons > 0 as is_producing,
        past.production_short_tons / nullif(past.labor_hours, 0) as productivity_short_tons_per_hour,
        coalesce(lag(past.fact_year) over years = past.fact_year - 1, false) as follows_a_year,
        lag(past.production_short_tons) over years as production_short_tons_before,
        lag(past.operator_key) over years as operator_key_before,
        max(past.production_short_tons) over mine as production_short_tons_peak,
        max(past.fact_year) filter (where past.mine_basin is not null) over mine as basin_year,
        max(past.fact_year) filter (where past.operator_key <> past.operator_key_now) over mine as other_operator_year
    from past
    inner join releases
        on releases.as_of_year = past.as_of_year
        and releases.created_timestamp = past.created_timestamp
        and releases.fact_year = past.fact_year
        and releases.file_id = past.file_id
    window
        mine as (partition by past.mine_id, past.as_of_year, past.event_timestamp, past.created_timestamp),
        years as (mine order by past.fact_year)

),

told as (

    select
        *,
        -- a producing year that does not follow another one begins a run
        is_producing and not (follows_a_year and production_short_tons_before > 0) as is_run_start,
        follows_a_year and production_short_tons < production_short_tons_before as is_decline,
        operator_key <> operator_key_before as is_operator_change
    from facts

)

select
    mine_id,
    as_of_year,
    event_timestamp,
    created_timestamp,
    {% for years in [1, 2, 3, 5] -%}
    max(production_short_tons) filter (where years_ago = {{ years }}) as production_short_tons_{{ years }}y_ago,
    {% endfor -%}
    {% for years in [1, 3] -%}
    max(average_employees) filter (where years_ago = {{ years }}) as average_employees_{{ years }}y_ago,
    {% endfor -%}
    max(labor_hours) filter (where years_ago = 1) as labor_hours_1y_ago,
    max(operator_key) filter (where years_ago = 1) as operator_key_1y_ago,
    max(production_short_tons) as production_short_tons_peak,
    max(production_short_tons) filter (where years_ago < 5) as production_short_tons_peak_5y,
    max(average_employees) as average_employees_peak,
    max(productivity_short_tons_per_hour) as productivity_short_tons_per_hour_peak,
    stddev_samp(production_short_tons {{ in_order }}) filter (where years_ago < 5)
    / nullif(avg(production_short_tons {{ in_order }}) filter (where years_ago < 5), 0) as production_volatility_5y,
    {% for measure in ['production_short_tons', 'productivity_short_tons_per_hour'] -%}
    case
        when count({{ measure }}) filter (where years_ago < 5) >= 3
            then
                regr_slope({{ measure }}, fact_year {{ in_order }}) filter (where years_ago < 5)
                / nullif(avg({{ measure }} {{ in_order }}) filter (where years_ago < 5), 0)
    end as {{ measure.split('_')[0] }}_trend_5y,
    {% endfor -%}
    -- the first year of a mine, at the latest, is none of decline
    case
        when bool_or(years_ago = 0 and follows_a_year)
            then as_of_year - max(fact_year) filter (where not is_decline)
    end as production_decline_years_in_a_row,
    as_of_year - min(fact_year) filter (where is_producing) as years_since_first_production,
    as_of_year - max(fact_year) filter (where is_producing and production_short_tons = production_short_tons_peak)
        as years_since_peak_production,
    count(*) filter (where is_producing) as years_producing,
    greatest(count(*) filter (where is_run_start) - 1, 0) as production_restarts,
    case
        when bool_or(is_producing and years_ago = 0)
            then as_of_year - max(fact_year) filter (where is_run_start) + 1
    end as years_producing_in_a_row,
    -- years that name no operator neither end a tenure nor begin one
    as_of_year + 1 - min(fact_year) filter (
        where operator_key = operator_key_now and fact_year > coalesce(other_operator_year, 0)
    ) as operator_tenure_years,
    case
        when count(is_operator_change) filter (where years_ago < 5) > 0
            then count(*) filter (where is_operator_change and years_ago < 5)
    end as operator_changes_5y,
    max(mine_basin) filter (where fact_year = basin_year) as mine_basin,
    max(known_at) as newest_fact_known_at
from told
group by mine_id, as_of_year, event_timestamp, created_timestamp
