{{ config(meta={'dagster': {'ref': {'name': 'gold_mine_index_metrics'}}}) }}
-- Every mine of the warehouse has exactly one row that says what is known now.
select
    profiles.mine_id,
    count(metrics.mine_id) as current_rows
from {{ ref('silver_mine_profiles') }} as profiles
left join {{ ref('gold_mine_index_metrics') }} as metrics
    on metrics.mine_id = profiles.mine_id
    and metrics.is_current
group by profiles.mine_id
having count(metrics.mine_id) <> 1
