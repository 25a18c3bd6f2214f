{# The features' descriptions from gold_mine_features.yml, with how their values are now. #}
{%- set features = described_columns('gold_mine_features', 'feature') %}
-- depends_on: {{ ref('gold_mine_features') }}
with

described (position, feature, description, category, unit, null_means) as (

    values
    {%- for feature in features %}
    (
        {{ loop.index }},
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.name)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.description)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.meta.category)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.meta.unit)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.meta.null_means)) }}
    ){{ ',' if not loop.last }}
    {%- endfor %}

),

measured as (

    select
        statistics.feature,
        sum(statistics.rows_count)::bigint as rows,
        sum(statistics.present_count)::bigint as present,
        min(statistics.minimum) as minimum,
        max(statistics.maximum) as maximum,
        (sum(statistics.total) / nullif(sum(statistics.present_count), 0))::double precision as mean
    from {{ ref('gold_feature_statistics') }} as statistics
    inner join {{ ref('gold_vintages') }} as vintages
        on vintages.as_of_year = statistics.as_of_year
        and vintages.created_timestamp = statistics.created_timestamp
    where vintages.is_latest
    group by statistics.feature

)

select
    described.position,
    described.feature,
    described.description,
    described.category,
    described.unit,
    described.null_means,
    coalesce(measured.rows, 0) as rows,
    1 - measured.present::double precision / nullif(measured.rows, 0) as null_rate,
    measured.minimum,
    measured.maximum,
    measured.mean
from described
left join measured on measured.feature = described.feature
