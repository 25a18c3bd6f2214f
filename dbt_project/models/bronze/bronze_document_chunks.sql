select
    chunks.chunk_id,
    chunks.document_id,
    chunks.position,
    chunks.section,
    chunks.text,
    chunks.content_sha256,
    chunks.dates,
    chunks.duplicate_group,
    documents.file_id,
    documents.kind,
    documents.source,
    documents.title,
    documents.url,
    documents.language,
    documents.document_date,
    documents.licence,
    documents.mine_links,
    documents.known_at
from {{ source('landing', 'document_chunks') }} as chunks
inner join {{ source('landing', 'documents') }} as documents on documents.document_id = chunks.document_id
where documents.superseded_at is null
