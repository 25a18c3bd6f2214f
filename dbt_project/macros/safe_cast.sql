{# dbt's own macro, for the rows of unit tests: PostgreSQL tells dbt only that a column is an ARRAY, which is no type. #}
{% macro postgres__safe_cast(field, type) -%}
{%- if type == 'ARRAY' -%}
    {{ field }}
{%- else -%}
    cast({{ field }} as {{ type }})
{%- endif -%}
{%- endmacro %}
