{# Text as one spells it: no blanks around, null for nothing. #}
{% macro trimmed(expression) -%}
    nullif(btrim({{ expression }}), '')
{%- endmacro %}

{# What two spellings of the same company share: letters and digits in capitals, one blank between words. #}
{% macro company_key(expression) -%}
    nullif(btrim(regexp_replace(upper({{ expression }}), '[^A-Z0-9]+', ' ', 'g')), '')
{%- endmacro %}
