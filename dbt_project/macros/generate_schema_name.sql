{# The schema is the layer's name, without the profile's schema before it; a replay is made in schemas beside the layers. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}{{ '_replay' if is_replay() }}
{%- endmacro %}
