{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ discard_stale_parts('outcomes') }}",
    post_hook="{{ note_built_parts('outcomes') }}",
    indexes=[{'columns': ['as_of_year', 'horizon_years', 'mine_id'], 'unique': true}],
) }}
{#
    What became of the mines of the cohort, by the first release of the outcome's year: a later correction was not known at
    outcome_known_at. A mine that the outcome's year does not have did not produce in it.
#}
with

first_releases as materialized (

    select
        releases.as_of_year,
        releases.created_timestamp,
        releases.file_id
    from {{ ref('gold_vintage_releases') }} as releases
    inner join {{ ref('gold_vintages') }} as vintages
        on vintages.as_of_year = releases.as_of_year
        and vintages.created_timestamp = releases.created_timestamp
    where vintages.is_first
        and releases.fact_year = releases.as_of_year

),

missing as materialized (

    {{ missing_parts('outcomes') | indent(4) }}

),

cohort as materialized (

    select
        history.mine_id,
        history.as_of_year
    from first_releases
    inner join lateral (
        {{ rows_with(
            'gold_mine_feature_history',
            {'as_of_year': 'first_releases.as_of_year', 'created_timestamp': 'first_releases.created_timestamp'},
            ['mine_id', 'as_of_year', 'in_cohort'],
        ) | indent(8) }}
    ) as history on true
    where history.in_cohort
        and first_releases.as_of_year in (select missing.as_of_year from missing)

),

outcomes as (

    select
        first_releases.as_of_year,
        mine_years.mine_id,
        mine_years.production_short_tons > 0 as is_producing
    from first_releases
    inner join lateral (
        {{ rows_with(
            'silver_mine_years',
            {'file_id': 'first_releases.file_id', 'as_of_year': 'first_releases.as_of_year'},
            ['mine_id', 'production_short_tons', 'known_at'],
        ) | indent(8) }}
    ) as mine_years on true
    where first_releases.as_of_year in (select missing.as_of_year + missing.horizon_years from missing)
        -- a row may claim a later time than its file
        and mine_years.known_at <= first_releases.created_timestamp

)

select
    cohort.mine_id,
    cohort.as_of_year,
    missing.horizon_years,
    outcome_years.as_of_year as outcome_year,
    coalesce(outcomes.is_producing, false) as viable,
    outcome_years.created_timestamp as outcome_known_at
from missing
inner join cohort on cohort.as_of_year = missing.as_of_year
inner join first_releases as outcome_years on outcome_years.as_of_year = missing.as_of_year + missing.horizon_years
left join outcomes
    on outcomes.as_of_year = outcome_years.as_of_year
    and outcomes.mine_id = cohort.mine_id
