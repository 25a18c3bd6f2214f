{#
    A replay makes silver and gold as they were at a moment of the past: `fvi run --as-of DATE` runs dbt with the var
    `as_of`, a time. It is made from scratch, from landing alone, in schemas of its own (generate_schema_name), and neither
    reads nor writes the notes about the parts of the live tables (parts.sql).

    What was known then is decided where rows leave landing, and nowhere else: `landed_feed` for every bronze view,
    silver_mine_releases for the panel's files. With `as_received: true` a file counts only if it had come by then: that is
    what this warehouse itself held at the moment. Without it, a file that came late counts from its publisher's date.
#}

{# Whether dbt makes a replay. #}
{% macro is_replay() -%}
{{- 'yes' if var('as_of', none) -}}
{%- endmacro %}

{# Condition on a fact's known_at and on the moment at which its file came. #}
{% macro known_by_the_as_of_date(known_at) -%}
{%- if is_replay() -%}
{{ known_at }} <= '{{ var("as_of") }}'::timestamptz
{%- else -%}
true
{%- endif -%}
{%- endmacro %}

{# Condition on the moment at which a file came, for what is found out by looking at several files. #}
{% macro received_by_the_as_of_date(ingested_at) -%}
{%- if is_replay() and var('as_received', false) -%}
{{ ingested_at }} <= '{{ var("as_of") }}'::timestamptz
{%- else -%}
true
{%- endif -%}
{%- endmacro %}
