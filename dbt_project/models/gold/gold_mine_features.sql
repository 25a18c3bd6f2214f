{{ config(materialized='view') }}
{# Before anything reads a feature: each is described, or the build ends here. #}
{%- do described_columns('gold_mine_features', 'feature') %}
select history.*
from {{ ref('gold_mine_feature_history') }} as history
inner join {{ ref('gold_vintages') }} as vintages
    on vintages.as_of_year = history.as_of_year
    and vintages.created_timestamp = history.created_timestamp
where vintages.is_latest
