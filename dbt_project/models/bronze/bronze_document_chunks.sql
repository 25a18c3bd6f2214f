select
    chunks.chunk_id,
    chunks.document_id,
    chunks.position,
    chunks.text,
    chunks.content_sha256,
    documents.file_id,
    documents.source,
    documents.title,
    documents.mine_links,
    documents.known_at
from {{ source('landing', 'document_chunks') }} as chunks
inner join {{ source('landing', 'documents') }} as documents on documents.document_id = chunks.document_id
