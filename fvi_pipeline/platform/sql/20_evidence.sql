-- Documents, their chunks and the chunks' embeddings.
--
-- Written by fvi_pipeline/evidence. dbt reads the two landing tables as sources
-- (bronze.bronze_document_chunks, silver.silver_document_content); the embeddings are computed
-- from silver.silver_document_content and live beside it. No foreign key crosses from evidence to
-- landing: dbt rebuilds what lies between, and a build must never wait for a writer.

CREATE TABLE IF NOT EXISTS landing.documents (
    document_id    text PRIMARY KEY,              -- 'document:' or 'gem-note:' + start of the content hash
    file_id        bigint,                        -- landing.files; null when no file is known
    source         text NOT NULL,                 -- what a reader is told: publisher and file
    title          text,
    text           text NOT NULL,
    content_sha256 text NOT NULL,
    mine_links     text[] NOT NULL DEFAULT '{}',  -- mine identifiers as the source gives them
    known_at       timestamptz NOT NULL,
    licence        text,
    superseded_at  timestamptz                    -- a newer content of the same file took its place; it has no chunks
);
CREATE INDEX IF NOT EXISTS documents_file_id ON landing.documents (file_id);

CREATE TABLE IF NOT EXISTS landing.document_chunks (
    chunk_id       text PRIMARY KEY,              -- document_id + '#' + position + '-' + start of the content hash
    document_id    text NOT NULL REFERENCES landing.documents (document_id) ON DELETE CASCADE,
    position       int NOT NULL,                  -- 0-based order within the document
    text           text NOT NULL,
    content_sha256 text NOT NULL,
    UNIQUE (document_id, position)
);

