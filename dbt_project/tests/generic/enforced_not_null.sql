{# The database itself refuses rows without a value in these columns: asked of its catalogue, not of all rows. #}
{% test enforced_not_null(model, columns) %}
select wanted.name as column_that_takes_nulls
from unnest(array['{{ columns | join("', '") }}']) as wanted (name)
left join pg_attribute as a
    on a.attrelid = '{{ model }}'::regclass
    and a.attname = wanted.name
where a.attnotnull is distinct from true
{% endtest %}
