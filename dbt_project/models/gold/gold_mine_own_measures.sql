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
    mine by mine, so that a new vintage costs what its own mines have, not what the panel has.
#}
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
        mine_years.mine_id
    from releases
    inner join lateral (
        {{ rows_with('silver_mine_years', {'file_id': 'releases.file_id'}, ['mine_id', 'msha_id']) | indent(8) }}
    ) as mine_years on true
    where releases.fact_year = releases.as_of_year
        and mine_years.msha_id is not null

),

-- a new vintage looks its mines up one by one; where all vintages are made, the table is read once
past as {{ 'materialized' if is_incremental() else 'not materialized' }} (

    select
        subjects.mine_id,
        subjects.as_of_year,
        subjects.event_timestamp,
        subjects.created_timestamp,
        mine_years.as_of_year as fact_year,
        mine_years.file_id,
        mine_years.production_short_tons,
        mine_years.average_employees,
        mine_years.labor_hours,
        mine_years.operator_key,
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

),

facts as (

    select
        past.*,
        past.as_of_year - past.fact_year as years_ago,
        past.production_short_tons > 0 as is_producing,
        -- a producing year that does not follow another one begins a run
        past.production_short_tons > 0
        and coalesce(
            lag(past.fact_year) over (
                partition by past.mine_id, past.as_of_year, past.created_timestamp, past.production_short_tons > 0
                order by past.fact_year
            ) <> past.fact_year - 1,
            true
        ) as is_run_start
    from past
    inner join releases
        on releases.as_of_year = past.as_of_year
        and releases.created_timestamp = past.created_timestamp
        and releases.fact_year = past.fact_year
        and releases.file_id = past.file_id

)

select
    mine_id,
    as_of_year,
    event_timestamp,
    created_timestamp,
    {% for years in [1, 2, 3] -%}
    max(production_short_tons) filter (where years_ago = {{ years }}) as production_short_tons_{{ years }}y_ago,
    {% endfor -%}
    max(average_employees) filter (where years_ago = 1) as average_employees_1y_ago,
    max(labor_hours) filter (where years_ago = 1) as labor_hours_1y_ago,
    max(operator_key) filter (where years_ago = 1) as operator_key_1y_ago,
    max(production_short_tons) as production_short_tons_peak,
    stddev_samp(production_short_tons) filter (where years_ago < 5)
    / nullif(avg(production_short_tons) filter (where years_ago < 5), 0) as production_volatility_5y,
    as_of_year - min(fact_year) filter (where is_producing) as years_since_first_production,
    count(*) filter (where is_producing) as years_producing,
    greatest(count(*) filter (where is_run_start) - 1, 0) as production_restarts,
    case
        when bool_or(is_producing and years_ago = 0)
            then as_of_year - max(fact_year) filter (where is_run_start) + 1
    end as years_producing_in_a_row,
    max(known_at) as newest_fact_known_at
from facts
group by mine_id, as_of_year, event_timestamp, created_timestamp
