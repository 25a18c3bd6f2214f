{# The database itself refuses rows that break these named rules: asked of its catalogue, not of all rows. #}
{% test enforced_checks(model, constraints) %}
select wanted.name as missing_constraint
from unnest(array['{{ constraints | join("', '") }}']) as wanted (name)
left join pg_constraint as c
    on c.conrelid = '{{ model }}'::regclass
    and c.conname = wanted.name
where c.convalidated is distinct from true
{% endtest %}
