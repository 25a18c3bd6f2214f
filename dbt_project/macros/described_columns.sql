{#
    The columns of a model that its .yml gives a role, in the order of the .yml: [{name, description, meta}].
    The .yml is the one description of a feature or metric; the marts and the Python packages read it from there. A column
    that lacks a part of its description ends the build with a sentence that names it.
#}
{% macro described_columns(model_name, role) -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- set node = graph.nodes['model.' ~ project_name ~ '.' ~ model_name] -%}
        {%- set faults = [] -%}
        {%- for column in node.columns.values() -%}
            {%- do _note_faults_of_description(column, faults) -%}
            {%- if column.meta.get('role') == role -%}
                {%- do found.append({'name': column.name, 'description': column.description, 'meta': column.meta}) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if not found -%}
            {%- do faults.append('no column has the role ' ~ role) -%}
        {%- endif -%}
        {%- if faults -%}
            {{ exceptions.raise_compiler_error('The .yml of ' ~ model_name ~ ': ' ~ faults | join('; ') ~ '.') }}
        {%- endif -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}

{# Adds to `faults` what a column's description lacks for its role; a column without a role needs a description alone. #}
{% macro _note_faults_of_description(column, faults) -%}
    {%- set role = column.meta.get('role') -%}
    {%- set needed = {
        'feature': ['unit', 'category', 'null_means', 'sources'],
        'metric': ['unit', 'pillar', 'direction', 'normalisation', 'base_weight'],
    } -%}
    {%- set categories = ['operations', 'asset and geology', 'ownership and transactions', 'market', 'time'] -%}
    {%- if not column.description | trim -%}
        {%- do faults.append(column.name ~ ' needs a description') -%}
    {%- endif -%}
    {%- for part in needed.get(role, []) if not column.meta.get(part) -%}
        {%- do faults.append(column.name ~ ' needs meta.' ~ part) -%}
    {%- endfor -%}
    {%- if role == 'feature' and column.meta.get('category', categories[0]) not in categories -%}
        {%- do faults.append(column.name ~ ' needs a category that is one of: ' ~ categories | join(', ')) -%}
    {%- endif -%}
{%- endmacro %}
