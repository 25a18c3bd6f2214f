-- The card of each registered version of each model. Written by fvi_pipeline.model.card, replaced when its facts change.
-- Idempotent.
create table if not exists ops.model_cards (
    model_name text not null,
    version text not null,
    markdown text not null,
    facts_digest text not null,
    measurements jsonb,
    made_at timestamptz not null,
    primary key (model_name, version)
);
comment on table ops.model_cards is
    'What a version is, what it was measured on, for whom it works less well, and its limits, as Markdown. facts_digest: '
    'of the card without the language model''s summary. measurements: by group, region and rival, as last measured on the '
    'version''s own test predictions; null: they never were.';
