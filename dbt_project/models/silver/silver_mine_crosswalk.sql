{#
    A tracker mine that carries the MSHA ID of a mine in the panel is that mine. Should a tracker mine carry several, the
    first in the order of the sheets counts, so that its facts are not counted twice.
#}
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

    select distinct on (gem.gem_mine_id)
        gem.gem_mine_id,
        gem.msha_id,
        panel.mine_id as panel_mine_id,
        gem.known_at
    from {{ ref('bronze_gem_coal_mines') }} as gem
    left join panel on panel.msha_id = gem.msha_id
    order by
        gem.gem_mine_id,
        panel.mine_id is null,
        gem.known_at desc,
        gem.file_id desc,
        gem.sheet desc,
        gem.row_number

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
