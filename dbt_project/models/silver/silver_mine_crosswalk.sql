{# Which tracker mine is which mine of the panel stands in tracker.sql. #}
with

panel as (

    select distinct
        mine_id,
        msha_id
    from {{ ref('silver_mine_years') }}
    where known_until is null
        and msha_id is not null

),

tracker as (

    {{ tracker_links(ref('bronze_gem_coal_mines'), 'panel') | indent(4) }}

)

select
    coalesce(tracker.panel_mine_id, panel.mine_id, 'gem:' || tracker.gem_mine_id) as mine_id,
    coalesce(panel.msha_id, tracker.msha_id) as msha_id,
    tracker.gem_mine_id,
    case
        when tracker.gem_mine_id is null then 'panel only'
        when panel.mine_id is null then 'tracker only'
        else 'both, by MSHA ID'
    end as link,
    tracker.known_at as linked_known_at
from panel
full outer join tracker on tracker.panel_mine_id = panel.mine_id
