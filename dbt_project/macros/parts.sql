{#
    Incremental models that rebuild what changed, and nothing else.

    Such a model consists of parts (a file, a vintage, some mines of a year). `parts_of` (wanted_parts.sql) says for each kind which parts
    there should be now: their key columns and a digest of all that a part is made of. ops.built_parts keeps the digests of
    the parts that a table has. Before a model runs, parts that are not wanted any more, or whose digest differs, are deleted
    (discard_stale_parts); its query appends those that are missing (missing_parts); then they are noted (note_built_parts).
    All this is one transaction: a killed run leaves table and note as they were. No date decides, so files that come late
    and restatements are found whenever they arrive.
#}

{# The key columns as one text; a time in a form that does not depend on the session's time zone. #}
{% macro part_name(key, table) -%}
concat_ws(
    '@'
    {%- for column, type in key.items() -%}
    , {% if type == 'timestamptz' -%}
    to_char({{ table }}.{{ column }} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    {%- else -%}
    {{ table }}.{{ column }}
    {%- endif %}
    {%- endfor %}
)
{%- endmacro %}

{# Pre-hook: takes stale parts out of the table and out of the notes. #}
{% macro discard_stale_parts(kind) -%}
{%- set parts = parts_of(kind) -%}
{%- set years = var('rebuild_years', []) -%}
{%- if is_replay() -%}
{{ _insist_on_a_new_table() }}
{%- elif is_incremental() -%}
with stale as (
    delete from ops.built_parts as built
    where built.model = '{{ this.identifier }}'
        and not exists (
            select
            from (
                {{ parts.wanted | indent(16) }}
            ) as wanted
            where {{ part_name(parts.key, 'wanted') }} = built.part
                and wanted.inputs_digest = built.inputs_digest
                {%- if years %}
                and wanted.as_of_year not in ({{ years | join(', ') }})
                {%- endif %}
        )
    returning built.part
)

delete from {{ this }}
where ({% for column in parts.key %}{{ parts.get('computed', {}).get(column, column) }}{{ ', ' if not loop.last }}{% endfor %}) in (
    select
    {%- for column, type in parts.key.items() %}
        split_part(stale.part, '@', {{ loop.index }})::{{ type }}{{ ',' if not loop.last }}
    {%- endfor %}
    from stale
);
-- without notes nobody knows what the rows are made of
delete from {{ this }}
where not exists (select from ops.built_parts as built where built.model = '{{ this.identifier }}')
{%- else -%}
delete from ops.built_parts where model = '{{ this.identifier }}'
{%- endif -%}
{%- endmacro %}

{# A replay has no notes: ops.built_parts is about the live tables. #}
{% macro _insist_on_a_new_table() -%}
{%- if is_incremental() -%}
    {{ exceptions.raise_compiler_error('A replay is made from scratch: run dbt with --full-refresh.') }}
{%- endif -%}
{%- endmacro %}

{# The key columns of the parts that the model's query has to make: all of them when the table is made anew. #}
{% macro missing_parts(kind) -%}
{%- set parts = parts_of(kind) -%}
select
    {%- for column in parts.key %}
    wanted.{{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
from (
    {{ parts.wanted | indent(4) }}
) as wanted
{%- if is_incremental() %}
where not exists (
    select
    from ops.built_parts as built
    where built.model = '{{ this.identifier }}'
        and built.part = {{ part_name(parts.key, 'wanted') }}
)
{%- endif %}
{%- endmacro %}

{#
    Post-hook: notes the parts that the model's query made; when these are a fifth of all, the planner's statistics are read
    anew, also those of a table that grew with the model and whose rows views read.
#}
{% macro note_built_parts(kind, grown_too=none) -%}
{%- set parts = parts_of(kind) -%}
{%- if is_replay() -%}
analyze {{ this }}
{%- else -%}
insert into ops.built_parts (model, part, inputs_digest)
select
    '{{ this.identifier }}',
    {{ part_name(parts.key, 'wanted') }},
    wanted.inputs_digest
from (
    {{ parts.wanted | indent(4) }}
) as wanted
on conflict do nothing;
do $$
begin
    if (
        select 5 * count(*) filter (where refreshed_at = now()) > count(*)
        from ops.built_parts
        where model = '{{ this.identifier }}'
    ) then
        analyze {{ this }}{{ ', ' ~ grown_too if grown_too }};
    end if;
end
$$
{%- endif -%}
{%- endmacro %}

{# Condition for a view that puts an incremental model's rows beside others: the model has this part. #}
{% macro is_built(model_name, part_name) -%}
{%- if is_replay() -%}
true
{%- else -%}
exists (
    select
    from ops.built_parts as built
    where built.model = '{{ model_name }}'
        and built.part = {{ part_name }}
)
{%- endif -%}
{%- endmacro %}

{#
    The rows of a model in which columns have given values, for a lateral join. `offset 0` keeps the planner from turning it
    into a join that reads the whole table: few parts are looked up through their index, however long the history is.
#}
{% macro rows_with(model_name, values, columns=['*']) -%}
select {{ columns | join(', ') }}
from {{ ref(model_name) }} as found
where {% for column, value in values.items() -%}
    found.{{ column }} = {{ value }}{{ ' and ' if not loop.last }}
    {%- endfor %}
offset 0
{%- endmacro %}

{#
    Post-hook of every table: statistics for the planner. A part more or less does not change those of an incremental one
    (note_built_parts looks after them), and to read them anew would cost more the longer the history is.
#}
{% macro refresh_statistics() -%}
{%- if model.config.materialized == 'table' -%}
analyze {{ this }}
{%- endif -%}
{%- endmacro %}
