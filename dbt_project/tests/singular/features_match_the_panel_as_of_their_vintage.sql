{{ config(meta={'dagster': {'ref': {'name': 'gold_mine_feature_history'}}}) }}
-- The leak test, by another way than the models take: production of the year and of the year before, read from the history
-- as of the row's moment, are the features; and no row is older than the facts that it tells.
with

as_of as (

    select
        history.mine_id,
        history.as_of_year,
        history.created_timestamp,
        history.production_short_tons,
        history.production_short_tons_1y_ago,
        sum(facts.production_short_tons) filter (where facts.as_of_year = history.as_of_year) as known_now,
        sum(facts.production_short_tons) filter (where facts.as_of_year = history.as_of_year - 1) as known_before
    from {{ ref('gold_mine_feature_history') }} as history
    left join {{ ref('silver_mine_metrics_history') }} as facts
        on facts.mine_id = history.mine_id
        and facts.as_of_year in (history.as_of_year, history.as_of_year - 1)
        and facts.known_at <= history.created_timestamp
        and (facts.known_until is null or facts.known_until > history.created_timestamp)
    group by
        history.mine_id,
        history.as_of_year,
        history.created_timestamp,
        history.production_short_tons,
        history.production_short_tons_1y_ago

)

select *
from as_of
where production_short_tons is distinct from known_now::double precision
    or production_short_tons_1y_ago is distinct from known_before::double precision
