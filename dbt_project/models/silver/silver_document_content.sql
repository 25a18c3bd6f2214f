{{ config(materialized='view') }}
{#
    The pieces that can be searched, with the mines that they are about in our own identifiers.

    A view, because pieces come after this model was built as well: fact sheets are made from the marts, and a document that
    a user adds is searchable without dbt. evidence.chunk_mines is read by its name and not as a source for the same reason:
    links are found with silver_mine_profiles, so as a source it would stand between models of dbt.
#}
select
    chunks.chunk_id,
    chunks.document_id,
    chunks.position,
    chunks.title,
    chunks.section,
    chunks.source,
    chunks.kind,
    chunks.url,
    chunks.text,
    chunks.content_sha256,
    chunks.language,
    chunks.document_date,
    chunks.dates,
    chunks.licence,
    coalesce(mines.mine_ids, '{}') as mine_ids,
    chunks.mine_links,
    chunks.known_at,
    coalesce(chunks.duplicate_group, chunks.chunk_id) as duplicate_group
from {{ ref('bronze_document_chunks') }} as chunks
left join lateral (
    select array_agg(links.mine_id order by links.mine_id) as mine_ids
    from evidence.chunk_mines as links
    where links.chunk_id = chunks.chunk_id
) as mines on true
where btrim(chunks.text) <> ''
