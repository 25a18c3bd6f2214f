-- What each incremental dbt model holds: a row for each part (a file, a vintage, a year) with the digest of the inputs
-- from which it was built. Written by dbt in the transaction that writes the part (dbt_project/macros/parts.sql).
-- Idempotent.

create table if not exists ops.built_parts (
    model text not null,
    part text not null,
    inputs_digest text not null,
    refreshed_at timestamptz not null default now(),
    primary key (model, part)
);
comment on table ops.built_parts is
    'Parts of the incremental dbt models and the digest of the inputs of each; a part whose digest differs is rebuilt.';

create table if not exists ops.checked_parts (
    test text not null,
    part text not null,
    refreshed_at timestamptz not null,
    primary key (test, part)
);
comment on table ops.checked_parts is
    'Parts that passed a dbt test which reads only what is new; refreshed_at is that of the part as it was tested.';
