-- Of which state of the dbt project the warehouse's tables are. Written by the warehouse asset. Idempotent.
create table if not exists ops.dbt_state (
    only_row boolean primary key default true check (only_row),
    project_digest text not null,
    built_at timestamptz not null
);
comment on table ops.dbt_state is
    'Digest of the dbt project with which all models were last built. Another one means that incremental models are made '
    'anew: their old rows follow from other SQL.';
