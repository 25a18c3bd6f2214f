{{ config(indexes=[{'columns': ['mine_id', 'as_of_year', 'horizon_years'], 'unique': true}]) }}
{#
    What became of the mines of the cohort, by the first release of the outcome's year: a later correction was not known at
    outcome_known_at. A mine that the outcome's year does not have did not produce in it.
#}
with

cohort as (

    select
        history.mine_id,
        history.as_of_year
    from {{ ref('gold_mine_feature_history') }} as history
    inner join {{ ref('gold_vintages') }} as vintages
        on vintages.as_of_year = history.as_of_year
        and vintages.created_timestamp = history.created_timestamp
    where vintages.is_first
        and history.in_cohort

),

outcome_years as (

    select
        releases.as_of_year as outcome_year,
        releases.created_timestamp as known_at,
        releases.file_id
    from {{ ref('gold_vintage_releases') }} as releases
    inner join {{ ref('gold_vintages') }} as vintages
        on vintages.as_of_year = releases.as_of_year
        and vintages.created_timestamp = releases.created_timestamp
    where vintages.is_first
        and releases.fact_year = releases.as_of_year

),

horizons (horizon_years) as (

    values (1), (2), (3), (5), (10), (20)

)

select
    cohort.mine_id,
    cohort.as_of_year,
    horizons.horizon_years,
    outcome_years.outcome_year,
    coalesce(outcome.production_short_tons > 0, false) as viable,
    outcome_years.known_at as outcome_known_at
from cohort
cross join horizons
inner join outcome_years on outcome_years.outcome_year = cohort.as_of_year + horizons.horizon_years
left join {{ ref('silver_mine_years') }} as outcome
    on outcome.file_id = outcome_years.file_id
    and outcome.as_of_year = outcome_years.outcome_year
    and outcome.mine_id = cohort.mine_id
