{{ config(materialized='view') }}
{#
    Quality of each metric over the current rows of the mines that were seen in the panel's newest year or later. Values that
    the feeds rejected count as stated and invalid, and rows that they could not load as mines without a value: what was wrong
    in a file shows here although it never got past landing. Nothing depends on today's date: an age is counted back from the
    newest time of knowing among the facts that the index uses.
#}
{%- set metrics = described_columns('gold_mine_index_metrics', 'metric') %}
{#- publishers bring the next figure within a year or so; twenty years is the longest horizon that anybody asks for -#}
{%- set young_for_years, worthless_after_years = 1, 21 %}
with

described as (

    select *
    from (
        values
        {%- for metric in metrics %}
        {%- set feeds = [] %}
        {%- for column in metric.meta.landing %}{% do feeds.append(column.split('.')[0]) %}{% endfor %}
        (
            '{{ metric.name }}',
            {{ metric.meta.get('usual_completeness', 1) }}::double precision,
            array['{{ feeds | unique | join("', '") }}'],
            array['{{ metric.meta.landing | join("', '") }}']
        ){{ ',' if not loop.last }}
        {%- endfor %}
    ) as metric (name, usual_completeness, feeds, landing)

),

panel as (

    select max(as_of_year) as newest_year
    from {{ ref('gold_vintages') }}

),

loaded as (

    select coalesce(array_agg(distinct feed), '{}') as feeds
    from {{ source('landing', 'files') }}
    where status = 'loaded'

),

-- the files that the panel's newest year and the tracker's facts stand on
in_force as (

    select distinct on (files.feed)
        files.feed,
        files.file_id,
        files.rows_loaded
    from {{ source('landing', 'files') }} as files
    cross join panel
    where files.status = 'loaded'
        and (
            files.feed = 'gem_coal_mines'
            or files.feed = 'eia_coal_mines' and files.period = panel.newest_year::text
        )
    order by files.feed, files.known_at desc, files.file_id desc

),

lost as (

    select
        in_force.feed,
        in_force.rows_loaded,
        count(quarantine.file_id) as rows_lost
    from in_force
    left join {{ source('landing', 'quarantine') }} as quarantine
        on quarantine.file_id = in_force.file_id
        -- nothing is lost with a row that the file has twice
        and quarantine.reason not like 'The row is an exact copy of %'
    group by in_force.feed, in_force.rows_loaded

),

rejected_values as (

    select
        'msha:' || mines.msha_id as mine_id,
        in_force.feed || '.' || rejected.column_name as landing_column
    from in_force
    inner join {{ source('landing', 'rejected_values') }} as rejected on rejected.file_id = in_force.file_id
    inner join {{ ref('bronze_eia_coal_mines') }} as mines
        on mines.file_id = rejected.file_id
        and mines.row_number = rejected.row_number
    where in_force.feed = 'eia_coal_mines'

    union all

    select
        crosswalk.mine_id,
        in_force.feed || '.' || rejected.column_name as landing_column
    from in_force
    inner join {{ source('landing', 'rejected_values') }} as rejected on rejected.file_id = in_force.file_id
    inner join {{ ref('bronze_gem_coal_mines') }} as mines
        on mines.file_id = rejected.file_id
        and mines.sheet = rejected.part
        and mines.row_number = rejected.row_number
    inner join {{ ref('silver_mine_crosswalk') }} as crosswalk on crosswalk.gem_mine_id = mines.gem_mine_id
    where in_force.feed = 'gem_coal_mines'

),

rejected_by_mine as (

    select
        mine_id,
        array_agg(landing_column) as rejected_columns
    from rejected_values
    group by mine_id

),

current_rows as (

    select
        metrics.*,
        profiles.tracker_status,
        profiles.panel_as_of_year is not null as is_in_panel,
        loaded.feeds as loaded_feeds,
        rejected.rejected_columns,
        max(greatest(
            metrics.operations_known_at, metrics.asset_known_at, metrics.energy_known_at, metrics.prices_known_at
        )) over () as newest_known_at
    from {{ ref('gold_mine_index_metrics') }} as metrics
    cross join panel
    cross join loaded
    left join {{ ref('silver_mine_profiles') }} as profiles on profiles.mine_id = metrics.mine_id
    left join rejected_by_mine as rejected on rejected.mine_id = metrics.mine_id
    where metrics.is_current
        and metrics.as_of_year >= coalesce(panel.newest_year, 0)

),

-- per mine and metric: should there be a value, is there one, and can it be true
judged as (

    select
        judgement.name,
        judgement.is_expected and current_rows.loaded_feeds && described.feeds as is_expected,
        judgement.is_present,
        coalesce(current_rows.rejected_columns && described.landing, false) as is_rejected,
        judgement.is_valid,
        judgement.is_consistent,
        greatest(0, least(1, (
            {{ worthless_after_years }}
            - extract(epoch from current_rows.newest_known_at - judgement.known_at) / (365.25 * 86400)
        ) / {{ worthless_after_years - young_for_years }})) as freshness
    from current_rows
    cross join
        lateral (
            values
            {%- for metric in metrics %}
            {%- set name, meta = metric.name, metric.meta %}
            (
                '{{ name }}',
                {{ meta.known_at }},
                coalesce({{ meta.stated_when }}, false),
                {{ name }} is not null,
                {{ name }} between {{ meta.valid[0] }} and {{ meta.valid[1] }},
                ({{ meta.get('consistent_when', 'true') }}) is not false
            ){{ ',' if not loop.last }}
            {%- endfor %}
        ) as judgement (name, known_at, is_expected, is_present, is_valid, is_consistent)
    inner join described on described.name = judgement.name

),

counts as (

    select
        name,
        count(*) filter (where is_expected or is_rejected) as expected,
        count(*) filter (where (is_expected or is_rejected) and (is_present or is_rejected)) as expected_and_stated,
        count(*) filter (where is_present or is_rejected) as stated,
        count(*) filter (where is_present) as present,
        count(*) filter (where is_present and is_valid and not is_rejected) as possible,
        count(*) filter (where is_present and is_consistent) as consistent,
        avg(freshness) filter (where is_present) as freshness
    from judged
    group by name

),

expectations as (

    select
        described.name as metric,
        described.usual_completeness,
        counts.expected_and_stated,
        counts.stated,
        counts.present,
        counts.possible,
        counts.consistent,
        counts.freshness,
        -- a lost row would have been expected to have a value as often as those that were loaded are
        coalesce(counts.expected, 0) + coalesce(round(counts.expected * (
            select sum(lost.rows_lost) / nullif(sum(lost.rows_loaded), 0)
            from lost
            where lost.feed = any(described.feeds)
        )), 0)::bigint as expected
    from described
    left join counts on counts.name = described.name

),

-- nothing to expect gives no marks; an expected value that is nowhere gives the lowest ones
marked as (

    select
        metric,
        expected,
        usual_completeness,
        coalesce(expected_and_stated, 0) / nullif(expected, 0)::double precision as completeness,
        case when expected > 0 then coalesce(freshness, 0)::double precision end as freshness,
        case when expected > 0 then coalesce(possible / nullif(stated, 0)::double precision, 0) end as validity,
        case when expected > 0 then coalesce(consistent / nullif(present, 0)::double precision, 0) end as consistency
    from expectations

),

measured as (

    select
        *,
        least(1, completeness / usual_completeness) as completeness_to_usual,
        (completeness + freshness + validity + consistency) / 4 as quality
    from marked

)

select
    metric,
    completeness,
    freshness,
    validity,
    consistency,
    quality,
    usual_completeness,
    case
        when completeness is not null
            then 100 * least(quality, completeness_to_usual, freshness, validity, consistency)
    end as score,
    case least(completeness_to_usual, freshness, validity, consistency)
        when completeness_to_usual then 'completeness'
        when validity then 'validity'
        when consistency then 'consistency'
        when freshness then 'freshness'
    end as weakest,
    expected as rows  -- noqa: RF04
from measured
