{{ config(indexes=[{'columns': ['mine_id', 'as_of_year', 'created_timestamp'], 'unique': true}]) }}
{# A mine's own past as known at each vintage; years in which the mine is not in the panel stay null. #}
with

subjects as (

    select
        releases.as_of_year,
        releases.event_timestamp,
        releases.created_timestamp,
        mine_years.mine_id
    from {{ ref('gold_vintage_releases') }} as releases
    inner join {{ ref('silver_mine_years') }} as mine_years
        on mine_years.file_id = releases.file_id
        and mine_years.as_of_year = releases.fact_year
    where releases.fact_year = releases.as_of_year
        and mine_years.msha_id is not null

),

facts as (

    select
        subjects.mine_id,
        subjects.as_of_year,
        subjects.event_timestamp,
        subjects.created_timestamp,
        mine_years.as_of_year as fact_year,
        subjects.as_of_year - mine_years.as_of_year as years_ago,
        mine_years.production_short_tons,
        mine_years.average_employees,
        mine_years.labor_hours,
        mine_years.operator_key,
        mine_years.known_at,
        mine_years.production_short_tons > 0 as is_producing,
        -- a producing year that does not follow another one begins a run
        mine_years.production_short_tons > 0
        and lag(mine_years.as_of_year) over (
            partition by
                subjects.mine_id,
                subjects.as_of_year,
                subjects.created_timestamp,
                mine_years.production_short_tons > 0
            order by mine_years.as_of_year
        ) is distinct from mine_years.as_of_year - 1 as is_run_start
    from subjects
    inner join {{ ref('silver_mine_years') }} as mine_years
        on mine_years.mine_id = subjects.mine_id
        and mine_years.as_of_year <= subjects.as_of_year
    inner join {{ ref('gold_vintage_releases') }} as releases
        on releases.as_of_year = subjects.as_of_year
        and releases.created_timestamp = subjects.created_timestamp
        and releases.fact_year = mine_years.as_of_year
        and releases.file_id = mine_years.file_id

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
