{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ discard_stale_parts('feature_vintages') }}",
    post_hook="{{ note_built_parts('feature_vintages') }}",
) }}
{# How the values of each feature lie at each vintage, so that the catalogue need not read all vintages every night. #}
{%- set features = described_columns('gold_mine_features', 'feature') %}
with

missing as materialized (

    {{ missing_parts('feature_vintages') | indent(4) }}

),

statistics as (

    select
        missing.as_of_year,
        missing.created_timestamp,
        {% for feature in features -%}
        count(history.{{ feature.name }}) as n_{{ loop.index }},
        min(history.{{ feature.name }}) as min_{{ loop.index }},
        max(history.{{ feature.name }}) as max_{{ loop.index }},
        -- as numeric: a sum of floating-point numbers depends on the order of the rows, and `^ 2` would round
        sum(history.{{ feature.name }}::numeric) as sum_{{ loop.index }},
        sum(history.{{ feature.name }}::numeric * history.{{ feature.name }}::numeric) as squares_{{ loop.index }},
        {% endfor -%}
        count(*) as rows_count
    from missing
    inner join lateral (
        {{ rows_with(
            'gold_mine_feature_history',
            {'as_of_year': 'missing.as_of_year', 'created_timestamp': 'missing.created_timestamp'},
        ) | indent(8) }}
    ) as history on true
    group by missing.as_of_year, missing.created_timestamp

)

select
    statistics.as_of_year,
    statistics.created_timestamp,
    described.feature,
    statistics.rows_count,
    described.present_count,
    described.minimum,
    described.maximum,
    described.total::numeric(60, 20) as total,
    described.total_of_squares::numeric(90, 40) as total_of_squares
from statistics
inner join lateral (
    values
    {%- for feature in features %}
    (
        '{{ feature.name }}',
        n_{{ loop.index }}, min_{{ loop.index }}, max_{{ loop.index }}, sum_{{ loop.index }}, squares_{{ loop.index }}
    ){{ ',' if not loop.last }}
    {%- endfor %}
) as described (feature, present_count, minimum, maximum, total, total_of_squares) on true
