{#
    The parts of each kind of incremental model: `key` maps its key columns to their types, `computed` says how to get those
    that the model's rows have no column for, `wanted` is the query of the parts that there should be now, with inputs_digest
    and as_of_year. A digest is made of contents (hashes of files, the market's figures), not of times of running.
#}
{% macro parts_of(kind) -%}
{%- if kind == 'mine_releases' -%}
    {{ return({'key': {'file_id': 'bigint'}, 'wanted': _wanted_mine_releases()}) }}
{%- elif kind == 'panel_vintages' -%}
    {{ return({'key': {'as_of_year': 'integer', 'created_timestamp': 'timestamptz'}, 'wanted': _wanted_vintages()}) }}
{%- elif kind == 'feature_vintages' -%}
    {{ return({
        'key': {'as_of_year': 'integer', 'created_timestamp': 'timestamptz'}, 'wanted': _wanted_feature_vintages()
    }) }}
{%- elif kind == 'outcomes' -%}
    {{ return({'key': {'as_of_year': 'integer', 'horizon_years': 'integer'}, 'wanted': _wanted_outcomes()}) }}
{%- elif kind == 'next_years' -%}
    {{ return({'key': {'as_of_year': 'integer'}, 'wanted': _wanted_next_years()}) }}
{%- elif kind == 'index_years' -%}
    {{ return({
        'key': {'as_of_year': 'integer', 'mine_bucket': 'integer'},
        'computed': {'mine_bucket': mine_bucket('mine_id')},
        'wanted': _wanted_index_years(),
    }) }}
{%- else -%}
    {{ exceptions.raise_compiler_error('There is no kind of parts called ' ~ kind ~ '; wanted_parts.sql has them.') }}
{%- endif -%}
{%- endmacro %}

{% macro _wanted_mine_releases() -%}
select
    file_id,
    as_of_year,
    md5(
        concat_ws('|', content_digest, as_of_year, known_at, known_until, superseded_by_file_id, precedence_rule)
    ) as inputs_digest
from {{ ref('silver_mine_releases') }}
{%- endmacro %}

{% macro _wanted_vintages() -%}
select
    as_of_year,
    created_timestamp,
    md5(string_agg(concat_ws('|', fact_year, file_id, content_digest, known_at), ';' order by fact_year))
        as inputs_digest
from {{ ref('gold_vintage_releases') }}
group by as_of_year, created_timestamp
{%- endmacro %}

{# The tracker counts for the vintages whose rows may use it: a release leaves those of other years as they are. #}
{% macro _wanted_feature_vintages() -%}
with

tracker_releases as materialized (

    select
        release_year,
        known_at,
        known_until,
        sum(content_hash) as digest
    from {{ ref('silver_mine_tracker_history') }}
    group by release_year, known_at, known_until

)

select
    vintages.as_of_year,
    vintages.created_timestamp,
    md5(concat_ws('|', vintages.inputs_digest, market::text, tracker.digest)) as inputs_digest
from (
    {{ _wanted_vintages() | indent(4) }}
) as vintages
left join {{ ref('gold_market_measures') }} as market
    on market.country = 'United States'
    and market.as_of_year = vintages.as_of_year
    and market.created_timestamp = vintages.created_timestamp
left join lateral (
    select tracker_releases.digest
    from tracker_releases
    where {{ is_usable_tracker('tracker_releases', 'vintages.as_of_year', 'vintages.created_timestamp') | indent(8) }}
    order by tracker_releases.release_year desc
    limit 1
) as tracker on true
{%- endmacro %}

{% macro _wanted_outcomes() -%}
with

first_releases as (

    select
        releases.as_of_year,
        concat_ws('|', releases.file_id, releases.content_digest, releases.created_timestamp) as release
    from {{ ref('gold_vintage_releases') }} as releases
    inner join {{ ref('gold_vintages') }} as vintages
        on vintages.as_of_year = releases.as_of_year
        and vintages.created_timestamp = releases.created_timestamp
    where vintages.is_first
        and releases.fact_year = releases.as_of_year

)

select
    cohort.as_of_year,
    horizons.horizon_years,
    md5(concat_ws(';', cohort.release, outcome.release)) as inputs_digest
from first_releases as cohort
cross join (values (1), (2), (3), (5), (10), (20)) as horizons (horizon_years)
inner join first_releases as outcome on outcome.as_of_year = cohort.as_of_year + horizons.horizon_years
{%- endmacro %}

{# Made of the same two releases as the outcomes at a horizon of one year. #}
{% macro _wanted_next_years() -%}
select
    outcomes.as_of_year,
    outcomes.inputs_digest
from (
    {{ _wanted_outcomes() | indent(4) }}
) as outcomes
where outcomes.horizon_years = 1
{%- endmacro %}

{#
    Each year brings mines whose newest row was an older one, some in many of the years before: a year has parts by mine,
    so that few of its rows are made anew for them.
#}
{%- macro mine_buckets() -%} 64 {%- endmacro %}

{%- macro mine_bucket(mine_id) -%}
    abs(hashtext({{ mine_id }}) % {{ mine_buckets() }})
{%- endmacro %}

{# A year's parts hold the panel's rows of that year, and of the mines that only the tracker has those of its release. #}
{% macro _wanted_index_years() -%}
{%- set tracker_year = "extract(year from tracker_known_at at time zone 'UTC')::integer - 1" -%}
with

features as (

    select
        wanted.as_of_year,
        buckets.mine_bucket,
        string_agg(wanted.inputs_digest, ';' order by wanted.created_timestamp) as digest
    from (
        {{ _wanted_feature_vintages() | indent(8) }}
    ) as wanted
    cross join generate_series(0, {{ mine_buckets() }} - 1) as buckets (mine_bucket)
    group by wanted.as_of_year, buckets.mine_bucket

),

profiles as (

    select
        coalesce(panel_as_of_year, {{ tracker_year }}) as as_of_year,
        {{ mine_bucket('mine_id') }} as mine_bucket,
        sum(content_hash) as digest
    from {{ ref('silver_mine_profiles') }}
    group by 1, 2

),

-- the parent companies of the tracker's mines count mines of the panel too
parents as (

    select
        max({{ tracker_year }}) as as_of_year,
        sum(hashtextextended(concat_ws('|', mine_id, parent_key, production_mt_per_year), 0)) as digest
    from {{ ref('silver_mine_profiles') }}
    where tracker_status = 'Operating'

),

market as (

    select
        as_of_year,
        sum(hashtextextended(market::text, 0)) as digest
    from {{ ref('gold_market_measures') }} as market
    group by as_of_year

)

select
    as_of_year,
    mine_bucket,
    md5(concat_ws('|', features.digest, profiles.digest, parents.digest, market.digest)) as inputs_digest
from profiles
full outer join features using (as_of_year, mine_bucket)
left join parents using (as_of_year)
left join market using (as_of_year)
where as_of_year is not null
{%- endmacro %}
