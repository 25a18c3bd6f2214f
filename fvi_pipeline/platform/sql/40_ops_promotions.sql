-- The ledger of promotions. Aliases in the model registry keep no history; this table is it. Written by
-- fvi_pipeline.model.ledger, appended to and never changed, but for the tag of the Bento, which is built afterwards.

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
    add column if not exists train_until_year integer,
    add column if not exists bento_tag text;
do $$
begin
    if not exists (select 1 from pg_constraint where conname = 'promotions_decision_is_known') then
        alter table ops.promotions drop constraint if exists promotions_decision_check;
        alter table ops.promotions add constraint promotions_decision_is_known
            check (decision in ('promoted', 'refused', 'rolled_back', 'challenging'));
    end if;
end
$$;
comment on table ops.promotions is
    'Every decision on a version of a model: who, when, what, why, on which measurements. version: the version decided '
    'on (the one that reigns afterwards, unless refused); previous_version: the champion before the decision; refused_for: '
    'the criteria of the gate that were failed; onnx_sha256 and train_until_year: of the version decided on; challenging: '
    'it is asked beside the champion; bento_tag: the newest Bento that was built of the version while this decision held.';
