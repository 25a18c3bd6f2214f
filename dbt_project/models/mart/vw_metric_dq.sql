{{ config(materialized='view') }}
{#
    Quality of each metric over the current rows of the mines that were seen in the panel's newest year or later. Nothing
    here depends on today's date: an age is counted back from the newest time of knowing among the facts that the index uses.
#}
{%- set metrics = described_columns('gold_mine_index_metrics', 'metric') %}
{%- set worthless_after_years = 10 %}
with

newest as (

    select
        (select max(as_of_year) from {{ ref('silver_mine_years') }}) as panel_year,
        max(greatest(operations_known_at, asset_known_at, energy_known_at, prices_known_at)) as known_at
    from {{ ref('gold_mine_index_metrics') }}

),

current_rows as (

    select
        metrics.*,
        newest.known_at as newest_known_at
    from {{ ref('gold_mine_index_metrics') }} as metrics
    cross join newest
    where metrics.is_current
        and metrics.as_of_year >= coalesce(newest.panel_year, 0)

),

counts as (

    select
        count(*) as rows,
        {% for metric in metrics -%}
        {% set name, valid = metric.name, metric.meta.valid -%}
        count({{ name }}) as n_{{ loop.index }},
        count(*) filter (where {{ name }} between {{ valid[0] }} and {{ valid[1] }}) as valid_{{ loop.index }},
        count(*) filter (
            where {{ name }} is not null and ({{ metric.meta.get('consistent_when', 'true') }})
        ) as consistent_{{ loop.index }},
        avg(
            greatest(
                0,
                1 - extract(epoch from newest_known_at - {{ metric.meta.known_at }})
                / ({{ worthless_after_years }} * 365.25 * 86400)
            )
        ) filter (where {{ name }} is not null) as freshness_{{ loop.index }}{{ ',' if not loop.last }}
        {% endfor %}
    from current_rows

),

measured as (

    select
        metric.name as metric,
        counts.rows,
        coalesce(metric.present::double precision / nullif(counts.rows, 0), 0) as completeness,
        coalesce(metric.freshness, 0)::double precision as freshness,
        coalesce(metric.valid::double precision / nullif(metric.present, 0), 0) as validity,
        coalesce(metric.consistent::double precision / nullif(metric.present, 0), 0) as consistency
    from counts
    cross join lateral (
        values
        {%- for metric in metrics %}
        ('{{ metric.name }}', n_{{ loop.index }}, valid_{{ loop.index }}, consistent_{{ loop.index }},
            freshness_{{ loop.index }}){{ ',' if not loop.last }}
        {%- endfor %}
    ) as metric (name, present, valid, consistent, freshness)

)

select
    metric,
    completeness,
    freshness,
    validity,
    consistency,
    (completeness + freshness + validity + consistency) / 4 as quality,
    rows
from measured
