-- The landing tables: what publishers' files say, value by value, with the ledger of files, the
-- quarantine of rows and the list of rejected values. Written by fvi_pipeline.feeds, read by dbt as the
-- source "landing". Idempotent. What documents say is in the evidence tables, not here.

-- A number that an identity sequence skips on a rolled-back transaction would make the second run after a
-- crash differ from an undisturbed one; the writer holds an advisory lock while it takes the next number.
create or replace function landing.next_file_id() returns bigint
language plpgsql as $$
begin
    return (select coalesce(max(file_id), 0) + 1 from landing.files);
end
$$;

create table if not exists landing.files (
    file_id bigint primary key default landing.next_file_id(),
    publisher text,
    feed text,
    name text not null,
    sha256 text,
    size_bytes bigint,
    period text,
    known_at timestamptz,
    ingested_at timestamptz not null,
    rows_read integer not null,
    rows_loaded integer not null,
    rows_quarantined integer not null,
    status text not null check (status in ('loaded', 'rejected', 'ignored')),
    reason text,
    simulated boolean not null default false,
    constraint files_rows_reconcile check (rows_read = rows_loaded + rows_quarantined)
);
alter table landing.files
    add column if not exists known_at_rule text,
    add column if not exists restates_file_id bigint,
    add column if not exists unknown_columns text[],
    add column if not exists facts_digest text,
    add column if not exists parser_digest text;
alter table landing.files drop constraint if exists files_content_once;
create index if not exists files_of_a_name on landing.files (name);
comment on table landing.files is
    'Ledger: one row for each content that a file was seen to have, again when old content comes back. period: what the file covers (a year, a release); '
    'sha256 is null when the file could not be read. known_at_rule: in words, why known_at is what it is. '
    'restates_file_id: the file whose facts hold until this one is known. unknown_columns: titles of columns that the '
    'feed does not describe. facts_digest: equal for files that say the same, row for row. parser_digest: the code that '
    'read the file; another one tries again what it refused.';
create index if not exists files_of_a_period on landing.files (feed, period, file_id) where status = 'loaded';
create or replace view landing.known_contents as
select
    files.file_id,
    files.name,
    files.sha256,
    files.status,
    files.parser_digest
from landing.files
where not exists (
    select 1 from landing.files as later
    where later.name = files.name and later.file_id > files.file_id and later.status = 'loaded'
        and later.sha256 is distinct from files.sha256
);
comment on view landing.known_contents is
    'The content that each file was last seen to have. Content that comes back after other content was loaded is not '
    'here: it restates.';

create table if not exists landing.quarantine (
    file_id bigint not null references landing.files (file_id),
    part text not null default '',
    row_number integer not null,
    reason text not null,
    raw text not null,
    primary key (file_id, part, row_number)
);
comment on table landing.quarantine is
    'Rows that could not be loaded, whole, with the reason. row_number as a spreadsheet shows it.';

create table if not exists landing.rejected_values (
    file_id bigint not null references landing.files (file_id),
    part text not null default '',
    row_number integer not null,
    column_name text not null,
    reason text not null,
    raw text not null,
    primary key (file_id, part, row_number, column_name)
);
comment on table landing.rejected_values is
    'Single unreadable or impossible values of rows that were loaded; the value is null in the row.';
