{# The database itself refuses a second row with the same values in these columns: asked of its catalogue, not of all rows. #}
{% test enforced_unique(model, columns) %}
select '{{ columns | join(", ") }}' as columns_without_unique_index
where not exists (
    select
    from pg_index as i
    where i.indrelid = '{{ model }}'::regclass
        and i.indisunique
        and i.indisvalid
        and i.indpred is null
        and (
            select array_agg(a.attname::text order by a.attname::text)
            from pg_attribute as a
            where a.attrelid = i.indrelid
                and a.attnum = any(i.indkey)
        ) = array['{{ columns | sort | join("', '") }}']
)
{% endtest %}
