{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ discard_stale_parts('next_years') }}",
    post_hook="{{ note_built_parts('next_years') }}",
    indexes=[{'columns': ['as_of_year', 'mine_id'], 'unique': true}],
) }}
{#
    What the year after says of each mine of the cohort, by its first release, as in gold_mine_outcomes, whose rows these
    are. A mine that this release does not list produced nothing.
#}
with

missing as materialized (

    {{ missing_parts('next_years') | indent(4) }}

),

releases as materialized (

    select
        missing.as_of_year,
        releases.file_id,
        releases.as_of_year as outcome_year,
        releases.created_timestamp
    from missing
    inner join {{ ref('gold_vintage_releases') }} as releases
        on releases.as_of_year = missing.as_of_year + 1
        and releases.fact_year = releases.as_of_year
    inner join {{ ref('gold_vintages') }} as vintages
        on vintages.as_of_year = releases.as_of_year
        and vintages.created_timestamp = releases.created_timestamp
    where vintages.is_first

),

cohort as materialized (

    select
        outcomes.mine_id,
        outcomes.as_of_year,
        outcomes.outcome_year,
        outcomes.outcome_known_at
    from missing
    inner join lateral (
        {{ rows_with(
            'gold_mine_outcomes',
            {'as_of_year': 'missing.as_of_year', 'horizon_years': '1'},
            ['mine_id', 'as_of_year', 'outcome_year', 'outcome_known_at'],
        ) | indent(8) }}
    ) as outcomes on true

),

listed as (

    select
        releases.as_of_year,
        mine_years.mine_id,
        mine_years.production_short_tons,
        case when mine_years.has_active_production then 'Active' else mine_years.mine_status end as mine_status
    from releases
    inner join lateral (
        {{ rows_with(
            'silver_mine_years',
            {'file_id': 'releases.file_id', 'as_of_year': 'releases.outcome_year'},
            ['mine_id', 'production_short_tons', 'has_active_production', 'mine_status', 'known_at'],
        ) | indent(8) }}
    ) as mine_years on true
    -- a row may claim a later time than its file
    where mine_years.known_at <= releases.created_timestamp

)

select
    cohort.mine_id,
    cohort.as_of_year,
    cohort.outcome_year,
    coalesce(listed.production_short_tons, 0) as production_short_tons_next,
    case
        -- unusable before
        when cohort.outcome_year < 2001 then null
        when listed.mine_id is null then 'not_listed'
        when listed.mine_status = 'Active' then 'active'
        -- closed by order: these mines resemble those that stand still, and half of them produced a year later
        when
            listed.mine_status in (
                'Active, men working, not producing',
                'Active, men not working, not producing',
                'New, under construction',
                'Mine closed by MSHA'
            ) then 'not_producing'
        when listed.mine_status = 'Temporarily closed' then 'temporarily_closed'
        when listed.mine_status = 'Permanently abandoned' then 'permanently_closed'
    end as status_next,
    cohort.outcome_known_at
from cohort
left join listed
    on listed.as_of_year = cohort.as_of_year
    and listed.mine_id = cohort.mine_id
