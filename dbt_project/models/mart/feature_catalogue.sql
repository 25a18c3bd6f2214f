{{ config(materialized='view') }}
{#
    The features' descriptions from gold_mine_features.yml, with how their values are now: rows and values from the parts
    that gold keeps, the newest measurements from ops.monitoring.

    ops.monitoring is read by its name and not as a source. It is written after the training set, which is made from gold:
    as a source it would stand between models of dbt, and Dagster would start dbt a second time in every run. A view shows
    the newest measurements without that; the table is there from the first start on (platform/sql/45_ops_monitoring.sql).
#}
{%- set features = described_columns('gold_mine_features', 'feature') %}
{%- set groups = ['own', 'peers', 'prices', 'energy', 'tracker'] %}
{%- set group_of_model = {
    'silver_commodity_prices': 'prices',
    'silver_country_energy': 'energy',
    'silver_mine_tracker_history': 'tracker',
} %}
-- depends_on: {{ ref('gold_mine_features') }}
with

described (position, feature, description, category, unit, null_means, sources, fact_groups) as (

    values
    {%- for feature in features %}
    {%- set found = [] %}
    {%- for source in feature.meta.sources %}
    {#- a value of the panel is the mine's own unless the source says whose it is too #}
    {%- do found.append(group_of_model.get(source.split('.')[0], 'peers' if ';' in source else 'own')) %}
    {%- endfor %}
    (
        {{ loop.index }},
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.name)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.description)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.meta.category)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.meta.unit)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.meta.null_means)) }},
        array[
            {%- for source in feature.meta.sources %}
            {{ dbt.string_literal(dbt.escape_single_quotes(source)) }}{{ ',' if not loop.last }}
            {%- endfor %}
        ]::text[],
        '{{ '{' ~ groups | select('in', found) | join(',') ~ '}' }}'::text[]
    ){{ ',' if not loop.last }}
    {%- endfor %}

),

sums as (

    select
        statistics.feature,
        sum(statistics.rows_count)::bigint as rows,
        sum(statistics.present_count)::bigint as present,
        min(statistics.minimum) as minimum,
        max(statistics.maximum) as maximum,
        sum(statistics.total) as total,
        sum(statistics.total_of_squares) as total_of_squares
    from {{ ref('gold_feature_statistics') }} as statistics
    inner join {{ ref('gold_vintages') }} as vintages
        on vintages.as_of_year = statistics.as_of_year
        and vintages.created_timestamp = statistics.created_timestamp
    where vintages.is_latest
    group by statistics.feature

),

newest as (

    select distinct on (name, measure)
        name,
        measure,
        value,
        details,
        measured_at
    from ops.monitoring
    where subject = 'feature'
    order by name, measure, measured_at desc

),

measured as (

    select
        name as feature,
        max(value) filter (where measure = 'information_gain') as information_gain,
        max(value) filter (where measure = 'psi') as drift_psi,
        max(value) filter (where measure = 'ks') as drift_ks,
        max(details ->> 'level') filter (where measure = 'psi') as drift_level,
        coalesce(max(value) filter (where measure = 'model_input'), 0) = 1 as is_model_input,
        max(measured_at) as measured_at
    from newest
    group by name

)

select
    described.position,
    described.feature,
    described.description,
    described.category,
    described.unit,
    described.null_means,
    described.sources,
    described.fact_groups,
    case when measured.is_model_input then 'input' else 'candidate' end as model_role,
    coalesce(sums.rows, 0) as rows,
    1 - sums.present::double precision / nullif(sums.rows, 0) as null_rate,
    sums.minimum,
    sums.maximum,
    (sums.total / nullif(sums.present, 0))::double precision as mean,
    sqrt(
        greatest(0, sums.present * sums.total_of_squares - sums.total * sums.total)
        / nullif(sums.present::numeric * (sums.present - 1), 0)
    )::double precision as standard_deviation,
    measured.information_gain,
    measured.drift_psi,
    measured.drift_ks,
    measured.drift_level,
    measured.measured_at
from described
left join sums on sums.feature = described.feature
left join measured on measured.feature = described.feature
