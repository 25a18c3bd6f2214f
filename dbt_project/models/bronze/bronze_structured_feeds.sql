{# Built on landing, not on the other bronze views: replacing one of those would drop this one with it. #}
{%- set feeds = [
    'eia_coal_mines', 'gem_coal_mines', 'gem_mine_features', 'world_bank_prices', 'owid_energy', 'owid_co2'
] -%}
{%- for feed in feeds %}
select
    '{{ feed }}' as feed,
    landed.file_id,
    landed.part,
    landed.row_number,
    landed.known_at,
    to_jsonb(landed)
    - '{file_id,part,row_number,known_at,publisher,feed,file_name,sha256,ingested_at,simulated}'::text[] as record
from (
    {{ landed_feed(feed) | indent(4) }}
) as landed
{{ 'union all' if not loop.last }}
{%- endfor %}
