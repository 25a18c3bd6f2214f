-- What passages are found by: their words (BM25) and their vectors. Written by fvi_pipeline/evidence/index.py, read by
-- retrieval.py. evidence.passages is what was last published of silver.silver_document_content: it changes together with
-- evidence.postings in one transaction, so that a search never sees one without the other.

create table if not exists evidence.passages (
    passage_no      int generated always as identity primary key,  -- never used twice
    chunk_id        text not null unique,
    document_id     text not null,
    position        int not null,
    title           text,
    section         text,
    source          text not null,
    kind            text not null,
    url             text,
    text            text not null,
    content_sha256  text not null,
    language        text,
    document_date   date,
    licence         text,
    mine_ids        text[] not null,
    known_at        timestamptz not null,
    duplicate_group text not null,
    embedded_sha256 text not null,      -- of the text whose vector is the passage's: evidence.chunk_embeddings
    lexemes         tsvector not null,
    words           int not null        -- occurrences of lexemes in it: its length to BM25
);
create index if not exists passages_mine_ids on evidence.passages using gin (mine_ids) with (fastupdate = off);
create index if not exists passages_lexemes on evidence.passages using gin (lexemes) with (fastupdate = off);
create index if not exists passages_embedded on evidence.passages (embedded_sha256);
create index if not exists passages_known_at on evidence.passages (known_at);
create index if not exists passages_kind on evidence.passages (kind);
create index if not exists passages_language on evidence.passages (language);

create table if not exists evidence.segments (
    segment_id int generated always as identity primary key,  -- never used twice: what was read of one stays true
    sign       smallint not null check (sign in (1, -1)),     -- -1: passages that have left, taken off the counts
    passages   int not null,
    words      bigint not null,
    made_at    timestamptz not null default now()
);
comment on table evidence.segments is
    'Parts of the full-text index. A refresh adds one of the new passages and one of those that left; now and then all '
    'are made into one. Sums over sign give the number of passages and their mean length.';

create table if not exists evidence.postings (
    lexeme     text not null,
    segment_id int not null references evidence.segments (segment_id) on delete cascade,
    passages   int not null,
    records    bytea not null,  -- 8 bytes each, by passage_no: passage_no int4, occurrences int2, words int2, big-endian
    primary key (lexeme, segment_id)
);
alter table evidence.postings alter column records set storage external;  -- read whole: unpacking costs more than disk
create index if not exists postings_segment on evidence.postings (segment_id);

create table if not exists evidence.embedding_models (
    model_id   int generated always as identity primary key,
    model_name text not null,
    dimension  int not null check (dimension between 1 and 4000),
    probe      real[] not null,  -- vector of a fixed sentence: other weights under the same name are another model
    state      text not null check (state in ('building', 'current', 'retired')),
    created_at timestamptz not null default now(),
    current_at timestamptz
);
create unique index if not exists embedding_models_current on evidence.embedding_models (state) where state = 'current';
comment on table evidence.embedding_models is
    'Models with vectors. Another one is embedded beside the current one (building) and takes its place in one '
    'transaction; the former one stays (retired) until the next change, for services that still hold it.';

-- One partition a model, made with its own HNSW index by vectors.py. Before, the table had one model and one dimension.
do $$
begin
    if (select relkind from pg_class where oid = to_regclass('evidence.chunk_embeddings')) = 'r' then
        drop index if exists evidence.chunk_embeddings_cosine;
        alter table evidence.chunk_embeddings rename constraint chunk_embeddings_pkey to former_embeddings_pkey;
        alter table evidence.chunk_embeddings rename to former_embeddings;
    end if;
end
$$;
create table if not exists evidence.chunk_embeddings (
    model_id        int not null,
    embedded_sha256 text not null,
    embedding       vector not null,    -- unit length
    embedded_at     timestamptz not null default now(),
    primary key (model_id, embedded_sha256)
) partition by list (model_id);
