-- The quality view has a row for each metric that the yml describes.
{%- set metrics = described_columns('gold_mine_index_metrics', 'metric') %}
select described.metric
from (
    values
    {%- for metric in metrics %}
    ('{{ metric.name }}'){{ ',' if not loop.last }}
    {%- endfor %}
) as described (metric)
left join {{ ref('vw_metric_dq') }} as measured on measured.metric = described.metric
where measured.metric is null
