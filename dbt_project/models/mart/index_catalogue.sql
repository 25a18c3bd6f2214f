{{ config(materialized='view') }}
{#
    The metrics of the index as gold_mine_index_metrics.yml describes them, for people who read SQL.
#}
{%- set metrics = described_columns('gold_mine_index_metrics', 'metric') %}
-- depends_on: {{ ref('gold_mine_index_metrics') }}
with

described (position, metric, pillar, description, unit, direction, normalisation, base_weight, sources) as (

    values
    {%- for metric in metrics %}
    (
        {{ loop.index }},
        {{ dbt.string_literal(dbt.escape_single_quotes(metric.name)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(metric.meta.pillar)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(metric.description)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(metric.meta.unit)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(metric.meta.direction)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(metric.meta.normalisation)) }},
        {{ metric.meta.base_weight }}::double precision,
        array[
            {%- for source in metric.meta.sources %}
            {{ dbt.string_literal(dbt.escape_single_quotes(source)) }}{{ ',' if not loop.last }}
            {%- endfor %}
        ]::text[]
    ){{ ',' if not loop.last }}
    {%- endfor %}

)

select * from described
