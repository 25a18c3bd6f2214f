{#
    silver_mine_profiles has a row per mine, made of all its years and of the tracker's newest release. What it is made of
    is noted by source (a year's file, the tracker's file); when a source differs from its note, the mines that it tells of
    are deleted before the model runs, which appends the mines that are missing.
#}

{% macro _wanted_profile_sources() -%}
select
    'panel@' || as_of_year as part,
    md5(concat_ws('|', file_id, content_digest, known_at)) as inputs_digest
from {{ ref('silver_mine_releases') }}
where known_until is null

union all

select
    'tracker',
    coalesce(string_agg(concat_ws('|', file_id, sha256, known_at), ';' order by file_id), '')
from {{ source('landing', 'files') }}
where feed = 'gem_coal_mines'
    and status = 'loaded'
{%- endmacro %}

{# Pre-hook, in the place of discard_stale_parts. #}
{% macro discard_stale_profiles() -%}
{%- if is_replay() -%}
{{ _insist_on_a_new_table() }}
{%- elif is_incremental() -%}
with

wanted as (

    {{ _wanted_profile_sources() | indent(4) }}

),

changed as (

    select coalesce(wanted.part, built.part) as part
    from wanted
    full outer join (
        select
            part,
            inputs_digest
        from ops.built_parts
        where model = '{{ this.identifier }}'
    ) as built on built.part = wanted.part
    where wanted.inputs_digest is distinct from built.inputs_digest
    {%- for year in var('rebuild_years', []) %}
        or wanted.part = 'panel@{{ year }}'
    {%- endfor %}

),

-- replaced files too: a mine that a restatement drops has them only
told_of as (

    select mine_id
    from {{ ref('silver_mine_years') }}
    where file_id = any(
        array(
            select releases.file_id
            from {{ ref('silver_mine_releases') }} as releases
            where 'panel@' || releases.as_of_year in (select changed.part from changed)
        )
    )

),

-- a mine that is new in the panel, or gone from it, can move the tracker's rows from one mine to another
links as (

    select
        crosswalk.mine_id,
        array_agg(distinct gem.gem_mine_id order by gem.gem_mine_id) filter (where gem.gem_mine_id is not null)
            as gem_mine_ids
    from {{ ref('silver_mine_crosswalk') }} as crosswalk
    left join ({{ newest_tracker_rows() | indent(8) }}) as gem on gem.gem_mine_id = crosswalk.gem_mine_id
    group by crosswalk.mine_id

),

outdated as (

    select told_of.mine_id
    from told_of

    union

    select profiles.mine_id
    from {{ this }} as profiles
    left join links on links.mine_id = profiles.mine_id
    where links.mine_id is null
        or links.gem_mine_ids is distinct from profiles.gem_mine_ids
        or exists (select from changed where changed.part = 'tracker')

)

delete from {{ this }}
where mine_id in (select outdated.mine_id from outdated)
{%- else -%}
delete from ops.built_parts where model = '{{ this.identifier }}'
{%- endif -%}
{%- endmacro %}

{# The tracker's rows as its newest release has them; where the sheets come as files of their own, the newest of each. #}
{% macro newest_tracker_rows() -%}
select gem.*
from {{ ref('bronze_gem_coal_mines') }} as gem
where (gem.sheet, gem.file_id) in (
    select distinct on (newest.sheet)
        newest.sheet,
        newest.file_id
    from {{ ref('bronze_gem_coal_mines') }} as newest
    order by newest.sheet, newest.known_at desc, newest.file_id desc
)
{%- endmacro %}

{# Post-hook, in the place of note_built_parts. #}
{% macro note_built_profiles() -%}
{%- if is_replay() -%}
analyze {{ this }}
{%- else -%}
delete from ops.built_parts where model = '{{ this.identifier }}';
insert into ops.built_parts (model, part, inputs_digest)
select
    '{{ this.identifier }}',
    wanted.part,
    wanted.inputs_digest
from (
    {{ _wanted_profile_sources() | indent(4) }}
) as wanted
{%- if not is_incremental() %};
analyze {{ this }}
{%- endif %}
{%- endif -%}
{%- endmacro %}
