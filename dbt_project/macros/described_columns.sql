{#
    The columns of a model that its .yml gives a role, in the order of the .yml: [{name, description, meta}].
    The .yml is the one description of a feature or metric; the marts and the Python packages read it from there.
#}
{% macro described_columns(model_name, role) -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- set node = graph.nodes['model.' ~ project_name ~ '.' ~ model_name] -%}
        {%- for column in node.columns.values() if column.meta.get('role') == role -%}
            {%- do found.append({'name': column.name, 'description': column.description, 'meta': column.meta}) -%}
        {%- endfor -%}
        {%- if not found -%}
            {{ exceptions.raise_compiler_error('No column of ' ~ model_name ~ ' has the role ' ~ role ~ ' in its .yml.') }}
        {%- endif -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}
