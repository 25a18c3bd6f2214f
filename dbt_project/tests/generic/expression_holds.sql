{# Rows for which the expression is false; unknown (null) is not false. #}
{% test expression_holds(model, expression) %}
select *
from {{ model }}
where not ({{ expression }})
{% endtest %}
