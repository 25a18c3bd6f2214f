-- What more is known of a document and of its chunks than their text, and the mines that a chunk speaks of.
-- Written by fvi_pipeline/evidence beside 20_evidence.sql; silver.silver_document_content shows all of it. What is
-- computed from the texts to find them again (vectors, words) is not here.

alter table landing.documents
    add column if not exists kind text not null default 'file',
    add column if not exists series text,
    add column if not exists language text,
    add column if not exists document_date date,
    add column if not exists url text,
    add column if not exists revision_id bigint,
    add column if not exists revision_at timestamptz,
    add column if not exists cutter text;
update landing.documents set kind = 'note' where kind = 'file' and document_id like 'gem-note:%';
update landing.documents as d set series = f.name
from landing.files as f
where d.series is null and d.kind = 'file' and f.file_id = d.file_id;
alter table landing.documents drop constraint if exists documents_kind_known;
alter table landing.documents add constraint documents_kind_known
    check (kind in ('file', 'note', 'wiki', 'fact_sheet', 'system'));
create unique index if not exists documents_one_current_version
    on landing.documents (series) where superseded_at is null;
create index if not exists documents_versions on landing.documents (series);
comment on column landing.documents.kind is
    'file: of documents/; note: of GEM''s geojson; wiki: a page of GEM''s wiki; fact_sheet: of a mine, made from the marts; '
    'system: about this system, its runs, metrics, features and models.';
comment on column landing.documents.series is
    'What this is a version of: a file''s name, a wiki page, the fact sheet of a mine. One version is current; the others '
    'stay, with superseded_at. Null for a note, which has no versions.';
comment on column landing.documents.language is 'ISO 639-1, as the text itself shows it; null where it is too short to tell.';
comment on column landing.documents.document_date is 'The date that the document gives itself; null where it gives none.';
comment on column landing.documents.revision_id is 'Of a wiki page: the revision that was read. revision_at: when it was written.';
comment on column landing.documents.cutter is
    'Digest of the rules that cut the text into its chunks; other rules cut it again. Null: not yet cut.';

alter table landing.document_chunks
    add column if not exists section text,
    add column if not exists dates date[] not null default '{}',
    add column if not exists duplicate_group text,
    add column if not exists linked_with text;
create index if not exists document_chunks_of_a_group on landing.document_chunks (duplicate_group);
comment on column landing.document_chunks.section is 'Headings above the chunk, from the outermost in, joined by " > ".';
comment on column landing.document_chunks.dates is 'Days, first days of months and of years that the text names, in order.';
comment on column landing.document_chunks.duplicate_group is
    'chunk_id of the first of its near-duplicates; its own where it has none; null until they were looked for.';

comment on column landing.document_chunks.linked_with is
    'Digest of the mines and the rules with which the chunk was read for mines; null: not yet read.';

create table if not exists evidence.chunk_mines (
    chunk_id text not null references landing.document_chunks (chunk_id) on delete cascade,
    mine_id text not null,
    how text not null check (how in ('source', 'identifier', 'name', 'alias', 'title')),
    mention text,
    primary key (chunk_id, mine_id)
);
create index if not exists chunk_mines_of_a_mine on evidence.chunk_mines (mine_id);
comment on table evidence.chunk_mines is
    'The mines that a chunk is about. how: its source says so, or its text holds an identifier, a name or an alias of the '
    'mine (mention), or its document''s title does.';

create table if not exists evidence.duplicate_leaders (
    chunk_id text primary key references landing.document_chunks (chunk_id) on delete cascade,
    bands bigint[] not null
);
create index if not exists duplicate_leaders_bands on evidence.duplicate_leaders using gin (bands);
comment on table evidence.duplicate_leaders is
    'The first chunk of each group of near-duplicates, with its locality-sensitive hashes: one in common makes a candidate.';
