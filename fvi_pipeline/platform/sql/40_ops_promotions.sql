-- The ledger of promotions. Aliases in the model registry keep no history; this table is it. Written by
-- fvi_pipeline.model.ledger, appended to and never changed.

create table if not exists ops.promotions (
    promoted_at timestamptz not null,
    model_name text not null,
    version text not null,
    previous_version text,
    decision text not null check (decision in ('promoted', 'refused', 'rolled_back')),
    reason text not null,
    metrics jsonb not null default '{}',
    actor text not null,
    primary key (model_name, promoted_at)
);
alter table ops.promotions
    add column if not exists refused_for text[] not null default '{}',
    add column if not exists onnx_sha256 text,
    add column if not exists train_until_year integer;
comment on table ops.promotions is
    'Every decision on a version of a model: who, when, what, why, on which measurements. version: the version decided '
    'on (the one that reigns afterwards, unless refused); previous_version: the champion before the decision; refused_for: '
    'the criteria of the gate that were failed; onnx_sha256 and train_until_year: of the version decided on.';
