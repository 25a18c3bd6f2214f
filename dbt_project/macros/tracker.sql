{#
    How rows of the tracker become facts about mines: which mine a row tells of, how several rows of one mine are put
    together, and which release a row of gold may use. Which rows are read is for the models to say.
#}

{%- macro short_tons_per_million_tonnes() -%} 1102311.31 {%- endmacro %}

{#
    The mine of each tracker mine in `rows`, within each `moment`. A tracker mine that carries the MSHA ID of a mine in
    the panel is that mine. Should it carry several, the newest file and then the first in the order of the sheets counts,
    so that its facts are not counted twice.
#}
{% macro tracker_links(rows, panel, moment=[]) -%}
{%- set moments = moment | join(', ') ~ (', ' if moment else '') -%}
select distinct on ({{ moments }}gem_mine_id)
    {%- for column in moment %}
    {{ column }},
    {%- endfor %}
    gem_mine_id,
    msha_id,
    panel.mine_id as panel_mine_id,
    gem.known_at
from {{ rows }} as gem
left join {{ panel }} as panel using ({{ moments }}msha_id)
order by
    {%- for column in moment %}
    {{ column }},
    {%- endfor %}
    gem_mine_id,
    panel.mine_id is null,
    gem.known_at desc,
    gem.file_id desc,
    gem.sheet desc,
    gem.row_number
{%- endmacro %}

{# Rank of a mine's tracker rows; the first gives the attributes: the open sheet before the closed one, by status, by row. #}
{% macro tracker_lead_rank(mine) -%}
row_number() over (
    partition by {{ mine | join(', ') }}
    order by
        gem.sheet desc,
        array_position(
            array['Operating', 'Mothballed', 'Proposed', 'Shelved', 'Cancelled'], gem.status
        ) nulls last,
        gem.row_number
)
{%- endmacro %}

{#
    What the rows of a mine (with mine_id, tracker_status and lead_rank) say together. Amounts are summed over the rows
    that share the leading row's status; what phases have in common (reserves, area, workforce) is taken once, as the
    largest value. Sums follow the rank: floating-point numbers in another order may give another sum.
#}
{% macro tracker_amounts(rows, mine=['mine_id']) -%}
select
    {%- for column in mine %}
    members.{{ column }},
    {%- endfor %}
    array_agg(distinct members.gem_mine_id order by members.gem_mine_id) as gem_mine_ids,
    count(*)::int as tracker_rows_count,
    {%- for amount in ['capacity_mt_per_year', 'production_mt_per_year', 'methane_million_tonnes_per_year'] %}
    sum(members.{{ amount }} order by members.lead_rank)
        filter (where members.tracker_status = lead_row.tracker_status) as {{ amount }},
    {%- endfor %}
    max(members.production_year) filter (where members.tracker_status = lead_row.tracker_status) as production_year,
    max(members.reserves_mt) as reserves_mt,
    max(members.resources_mt) as resources_mt,
    max(members.workforce_size) as workforce_size,
    max(members.mine_size_km2) as mine_size_km2,
    max(members.mine_depth_m) as mine_depth_m,
    min(members.opening_year) as opening_year
from {{ rows }} as members
inner join {{ rows }} as lead_row
    on lead_row.lead_rank = 1
    {%- for column in mine %}
    and lead_row.{{ column }} = members.{{ column }}
    {%- endfor %}
group by {% for column in mine %}members.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}

{# Condition: a row of as-of year t at a vintage may use this fact or release of the tracker. #}
{% macro is_usable_tracker(tracker, as_of_year, created_timestamp) -%}
{{ tracker }}.release_year <= {{ as_of_year }}
    and {{ tracker }}.known_at <= {{ created_timestamp }}
    and ({{ tracker }}.known_until is null or {{ tracker }}.known_until > {{ created_timestamp }})
{%- endmacro %}

{#
    The tracker's facts for the vintages in `releases` (with as_of_year and created_timestamp), of the newest release that
    each may use. A mine that this release does not name has none: the release before it is no longer looked at.
#}
{% macro tracker_facts(releases) -%}
select
    releases.as_of_year,
    releases.created_timestamp,
    facts.mine_id,
    facts.mine_depth_m,
    facts.mine_size_km2,
    facts.capacity_short_tons_per_year,
    facts.reserves_short_tons,
    facts.reserve_to_production_years,
    facts.is_metallurgical,
    facts.opening_year,
    facts.known_at
from {{ releases }} as releases
inner join lateral (
    select usable.*
    from {{ ref('silver_mine_tracker_history') }} as usable
    where usable.release_year = (
        select max(newest.release_year)
        from {{ ref('silver_mine_tracker_history') }} as newest
        where {{ is_usable_tracker('newest', 'releases.as_of_year', 'releases.created_timestamp') | indent(12) }}
    )
    and {{ is_usable_tracker('usable', 'releases.as_of_year', 'releases.created_timestamp') | indent(8) }}
    offset 0
) as facts on true
{%- endmacro %}
