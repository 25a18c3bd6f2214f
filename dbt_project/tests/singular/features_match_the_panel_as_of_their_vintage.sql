{{ config(meta={
    'dagster': {'ref': {'name': 'gold_mine_feature_history'}}, 'new_parts_of': 'gold_mine_feature_history'
}) }}
-- The leak test, by another way than the models take: production of the year and of the year before, read from the
-- history as of the row's moment, are the features; and no row is older than the facts that it tells.
with

vintages as materialized (

    select
        vintages.as_of_year,
        vintages.created_timestamp
    from {{ ref('gold_vintages') }} as vintages
    where {{ is_unchecked(part_name({'as_of_year': 'integer', 'created_timestamp': 'timestamptz'}, 'vintages')) }}

),

features as materialized (

    select history.*
    from vintages
    inner join lateral (
        {{ rows_with(
            'gold_mine_feature_history',
            {'as_of_year': 'vintages.as_of_year', 'created_timestamp': 'vintages.created_timestamp'},
        ) | indent(8) }}
    ) as history on true

),

known as (

    select
        vintages.as_of_year,
        vintages.created_timestamp,
        facts.mine_id,
        sum(facts.production_short_tons) filter (where facts.as_of_year = vintages.as_of_year) as known_now,
        sum(facts.production_short_tons) filter (where facts.as_of_year = vintages.as_of_year - 1) as known_before
    from vintages
    cross join generate_series(vintages.as_of_year - 1, vintages.as_of_year) as fact_year
    -- by the files of those years, which have an index; what was known then is decided by the rows' own times
    inner join {{ source('landing', 'files') }} as files
        on files.feed = 'eia_coal_mines'
        and files.period = fact_year::text
    inner join lateral (
        {{ rows_with('silver_mine_metrics_history', {'file_id': 'files.file_id'}) | indent(8) }}
    ) as facts on true
    where facts.known_at <= vintages.created_timestamp
        and (facts.known_until is null or facts.known_until > vintages.created_timestamp)
    group by vintages.as_of_year, vintages.created_timestamp, facts.mine_id

)

select
    features.mine_id,
    features.as_of_year,
    features.created_timestamp,
    features.production_short_tons,
    features.production_short_tons_1y_ago,
    known.known_now,
    known.known_before
from features
left join known using (mine_id, as_of_year, created_timestamp)
where features.production_short_tons is distinct from known.known_now::double precision
    or features.production_short_tons_1y_ago is distinct from known.known_before::double precision
