{# The last day of a year: the event time of what describes that year. #}
{% macro end_of_year(expression) -%}
    make_timestamptz(({{ expression }})::int, 12, 31, 0, 0, 0, 'UTC')
{%- endmacro %}

{# Relative change; null when there is nothing to compare with. #}
{% macro relative_change(now, before) -%}
    ({{ now }})::double precision / nullif({{ before }}, 0) - 1
{%- endmacro %}
