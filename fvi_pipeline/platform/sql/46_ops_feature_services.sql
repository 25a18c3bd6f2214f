-- Versions of the feature services: which features each was made of, and by which definitions.
create table if not exists ops.feature_services (
    version integer primary key check (version > 0),
    digest text not null,
    columns jsonb not null,
    created_at timestamptz not null default clock_timestamp(),
    frozen_at timestamptz,
    frozen_because text,
    retired_at timestamptz,
    check ((frozen_at is null) = (frozen_because is null))
);
comment on table ops.feature_services is
    'Version N of the feature services: fvi_vN (the model''s inputs) and fvi_serving_vN (with their context and the index).';
comment on column ops.feature_services.digest is 'Of the definitions of its features and the names of its context.';
comment on column ops.feature_services.columns is 'Its columns in order, each with a digest of what decides its values.';
comment on column ops.feature_services.frozen_at is
    'Since when gold no longer has all its columns as defined: its online values stay, none are written.';
comment on column ops.feature_services.retired_at is 'When it left the feature store.';

-- What a frozen version's history reads: no row, and the reason in place of an answer that would be wrong.
create or replace function ops.refuse(reason text) returns boolean language plpgsql as $$
begin
    raise exception '%', reason;
end
$$;
