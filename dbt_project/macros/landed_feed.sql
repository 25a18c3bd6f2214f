{#
    Rows of a landing table with their file's ledger entry and the time of knowing of each fact. What a feed's rows are
    is generated from its description: see `landed_feeds`.

    A file is known from its known_at. A feed that carries its whole past in every file (prices by month, countries by
    year) was published period by period: the first file that carries a period proves it public soon after the period's
    end, later files with the same period restate it. A replay has those facts that were known at its moment.
#}
{% macro landed_feed(name) -%}
{%- if is_replay() -%}
select landed.*
from (
    {{ _landed_feed(name) | indent(4) }}
) as landed
where {{ known_by_the_as_of_date('landed.known_at') }}
{%- else -%}
{{ _landed_feed(name) }}
{%- endif -%}
{%- endmacro %}

{% macro _landed_feed(name) -%}
{%- set feed = landed_feeds()[name] -%}
{%- set period = feed.period -%}
select
    {%- for column in feed.columns %}
    r.{{ column }},
    {%- endfor %}
    {{ 'r.' ~ feed.part if feed.part else "''::text" }} as part,
    f.publisher,
    f.feed,
    f.name as file_name,
    f.sha256,
    f.ingested_at,
    f.simulated,
    f.restates_file_id,
    {% if period -%}
    case when {{ first_with_its_period(period) }} then least({{ period.public_at }}, f.known_at) else f.known_at end
        as known_at,
    case
        when {{ first_with_its_period(period) }} and {{ period.public_at }} < f.known_at
            then 'first file with its period: known when that period was public'
        else f.known_at_rule
    end as known_at_rule
    {%- else -%}
    f.known_at,
    f.known_at_rule
    {%- endif %}
from {{ source('landing', feed.table) }} as r
inner join {{ source('landing', 'files') }} as f on f.file_id = r.file_id
{%- if is_replay() %}
where {{ received_by_the_as_of_date('f.ingested_at') }}
{%- endif %}
{%- endmacro %}

{% macro first_with_its_period(period) -%}
r.file_id = first_value(r.file_id) over (
        partition by {% for column in period.columns %}r.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
        order by f.known_at, r.file_id
    )
{%- endmacro %}
