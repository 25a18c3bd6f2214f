{#
    Rows of a landing table with their file's ledger entry and the time of knowing of each fact.

    A file is known from its known_at. A feed that carries its whole past in every file (prices by month, countries by
    year) was published period by period: the first file that carries a period proves it public soon after the period's
    end, later files with the same period restate it.
#}
{% macro landed_feed(feed) -%}
{%- set part = {'gem_coal_mines': 'r.sheet'}.get(feed, "''::text") -%}
{%- set period = {
    'world_bank_prices': {
        'columns': 'r.month',
        'public_at': "(r.month + interval '1 month' + interval '7 days') at time zone 'UTC'",
    },
    'owid_energy': {
        'columns': 'r.country, r.as_of_year',
        'public_at': "make_timestamptz(r.as_of_year + 1, 10, 1, 0, 0, 0, 'UTC')",
    },
    'owid_co2': {
        'columns': 'r.country, r.as_of_year',
        'public_at': "make_timestamptz(r.as_of_year + 1, 10, 1, 0, 0, 0, 'UTC')",
    },
}.get(feed) -%}
select
    r.*,
    {{ part }} as part,
    f.publisher,
    f.feed,
    f.name as file_name,
    f.sha256,
    f.ingested_at,
    f.simulated,
    {% if period -%}
    case
        when r.file_id = first_value(r.file_id)
            over (partition by {{ period.columns }} order by f.known_at, r.file_id)
            then least({{ period.public_at }}, f.known_at)
        else f.known_at
    end as known_at
    {%- else -%}
    f.known_at
    {%- endif %}
from {{ source('landing', feed) }} as r
inner join {{ source('landing', 'files') }} as f on f.file_id = r.file_id
{%- endmacro %}
