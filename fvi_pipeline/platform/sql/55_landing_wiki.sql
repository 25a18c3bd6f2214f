-- Where the spider is with each page of Global Energy Monitor's wiki. Written by fvi_pipeline/evidence/spider; the pages'
-- texts are in landing.documents (kind wiki). dbt shows both in bronze.bronze_gem_spider.

create table if not exists landing.wiki_pages (
    wiki_url text primary key,
    title text not null,
    state text not null default 'new' check (state in ('new', 'waiting', 'current', 'missing', 'failed')),
    page_id bigint,
    page_title text,
    revision_id bigint,
    revision_at timestamptz,
    fetched_revision_id bigint,
    checked_at timestamptz,
    fetched_at timestamptz,
    attempts integer not null default 0,
    error text,
    document_id text
);
create index if not exists wiki_pages_waiting on landing.wiki_pages (page_id) where state in ('waiting', 'failed');
comment on table landing.wiki_pages is
    'new: not asked about yet; waiting: has a revision that was not fetched; current: its newest known revision is in '
    'landing.documents; missing: the wiki has no such page; failed: the last attempt to fetch it failed (error), it is tried '
    'again. title: as the address names it; page_title: where the wiki''s redirects lead. revision_id: the newest that the '
    'wiki told of; fetched_revision_id: the one that was read.';

create table if not exists landing.wiki_answers (
    call text primary key,
    etag text,
    last_modified text,
    answered_at timestamptz not null
);
comment on table landing.wiki_answers is
    'What the wiki gave to recognise its answers by: a call whose answer is still the same is answered in a few bytes.';
