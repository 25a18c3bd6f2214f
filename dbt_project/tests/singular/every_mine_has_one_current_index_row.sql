{{ config(meta={'dagster': {'ref': {'name': 'gold_mine_index_metrics'}}}) }}
-- Every mine of the warehouse has exactly one row that says what is known now.
select
    mine_id,
    profiles.mine_id is not null as has_profile,
    metrics.current_rows
from {{ ref('silver_mine_profiles') }} as profiles
full outer join (
    select
        mine_id,
        count(*) as current_rows
    from {{ ref('gold_mine_index_metrics') }}
    where is_current
    group by mine_id
) as metrics using (mine_id)
where profiles.mine_id is null
    or metrics.current_rows is distinct from 1
