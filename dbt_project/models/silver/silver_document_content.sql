{#
    The mines that a document names, in our own identifiers. A link may be written as a tracker ID, an MSHA ID or one of
    our own identifiers; one that leads to no mine is left out here and stays readable in bronze.
#}
with

links as (

    select
        documents.document_id,
        crosswalk.mine_id
    from {{ source('landing', 'documents') }} as documents
    cross join lateral unnest(documents.mine_links) as link (mine)
    inner join {{ ref('silver_mine_crosswalk') }} as crosswalk
        on regexp_replace(link.mine, '^gem:', '') = crosswalk.gem_mine_id

    union

    select
        documents.document_id,
        crosswalk.mine_id
    from {{ source('landing', 'documents') }} as documents
    cross join lateral unnest(documents.mine_links) as link (mine)
    inner join {{ ref('silver_mine_crosswalk') }} as crosswalk
        on regexp_replace(link.mine, '^msha:', '') = crosswalk.msha_id

),

mines as (

    select
        document_id,
        array_agg(mine_id order by mine_id) as mine_ids
    from links
    group by document_id

)

select
    chunks.chunk_id,
    chunks.document_id,
    chunks.position,
    chunks.title,
    chunks.source,
    chunks.text,
    chunks.content_sha256,
    coalesce(mines.mine_ids, '{}') as mine_ids,
    chunks.mine_links,
    chunks.known_at
from {{ ref('bronze_document_chunks') }} as chunks
left join mines on mines.document_id = chunks.document_id
where btrim(chunks.text) <> ''
