{#
    Tests that read only what is new. A test whose config has `meta: {new_parts_of: MODEL}` reads the parts of that
    incremental model that it has not passed yet; when it passes, they are noted (ops.checked_parts). A part that failed, or
    that a killed run left unread, is read again by the next build, and a rebuilt part is a new one. `dbt test` reads all.
#}

{# The model of which this test reads new parts only; nothing for any other test, and while dbt parses. #}
{% macro _model_checked_in_parts() -%}
{%- set meta = config.get('meta', {}) -%}
{{- meta.get('new_parts_of', '') if meta is mapping -}}
{%- endmacro %}

{# Condition on the part's name, for the SQL of such a test. #}
{% macro is_unchecked(part_name) -%}
{%- set checked_model = _model_checked_in_parts() -%}
{%- if flags.WHICH == 'build' -%}
{{ part_name }} in (
    select built.part
    from ops.built_parts as built
    where built.model = '{{ checked_model }}'
        and not exists (
            select
            from ops.checked_parts as checked
            where checked.test = '{{ model.name }}'
                and checked.part = built.part
                and checked.refreshed_at = built.refreshed_at
        )
)
{%- else -%}
true
{%- endif -%}
{%- endmacro %}

{# dbt's own macro, which gives a generic test the rows to read: here those of files that the test has not passed yet. #}
{% macro get_where_subquery(relation) -%}
{%- if _model_checked_in_parts() and flags.WHICH == 'build' -%}
    (select * from {{ relation }} where file_id = any(array(
        select part::bigint from (select part from ops.built_parts) as parts where {{ is_unchecked('part') }}
    ))) as dbt_subquery
{%- else -%}
    {{ default__get_where_subquery(relation) }}
{%- endif -%}
{%- endmacro %}

{# on-run-end: notes what passed. #}
{% macro note_checked_parts(results) -%}
{%- for result in results if result.node.resource_type == 'test' and result.status == 'pass' -%}
{%- set checked_model = result.node.config.meta.get('new_parts_of') -%}
{%- if checked_model %}
insert into ops.checked_parts (test, part, refreshed_at)
select
    '{{ result.node.name }}',
    part,
    refreshed_at
from ops.built_parts
where model = '{{ checked_model }}'
on conflict (test, part) do update set refreshed_at = excluded.refreshed_at
;
{%- endif -%}
{%- endfor -%}
{%- endmacro %}
