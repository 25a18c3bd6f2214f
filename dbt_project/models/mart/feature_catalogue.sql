{# The features' descriptions from gold_mine_features.yml, with how their values are now. One scan of the features. #}
-- depends_on: {{ ref('gold_mine_features') }}
{%- set features = described_columns('gold_mine_features', 'feature') %}
with

statistics as (

    select
        count(*) as rows,
        {% for feature in features -%}
        count({{ feature.name }}) as n_{{ loop.index }},
        min({{ feature.name }}) as min_{{ loop.index }},
        max({{ feature.name }}) as max_{{ loop.index }},
        avg({{ feature.name }}) as mean_{{ loop.index }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ ref('gold_mine_features') }}

)

select
    described.position,
    described.feature,
    described.description,
    described.category,
    described.unit,
    described.null_means,
    statistics.rows,
    1 - described.present::double precision / nullif(statistics.rows, 0) as null_rate,
    described.minimum,
    described.maximum,
    described.mean
from statistics
cross join lateral (
    values
    {%- for feature in features %}
    (
        {{ loop.index }},
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.name)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.description)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.meta.category)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.meta.unit)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.meta.null_means)) }},
        n_{{ loop.index }}, min_{{ loop.index }}, max_{{ loop.index }}, mean_{{ loop.index }}
    ){{ ',' if not loop.last }}
    {%- endfor %}
) as described (position, feature, description, category, unit, null_means, present, minimum, maximum, mean)
