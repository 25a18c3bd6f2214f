-- What was answered where an answer is no score: forecasts of production, status and closing year. Idempotent.

alter table ops.predictions add column if not exists answer jsonb;
comment on column ops.predictions.answer is
    'The forecast as answered (production, next_status or closing_year); null: a score was asked for, or there was none.';
