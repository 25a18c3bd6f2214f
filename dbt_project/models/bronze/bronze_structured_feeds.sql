{# Built on landing, not on the other bronze views: replacing one of those would drop this one with it. #}
{%- for feed in landed_feeds() %}
select
    '{{ feed }}' as feed,
    landed.file_id,
    landed.part,
    landed.row_number,
    landed.known_at,
    landed.known_at_rule,
    to_jsonb(landed) - array[
        'file_id', 'part', 'row_number', 'publisher', 'feed', 'file_name', 'sha256', 'ingested_at', 'simulated',
        'restates_file_id', 'known_at', 'known_at_rule'
    ] as record
from (
    {{ landed_feed(feed) | indent(4) }}
) as landed
{{ 'union all' if not loop.last }}
{%- endfor %}
