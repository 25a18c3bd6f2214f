-- Which folds of the rolling-origin backtest are stored, and the digest of what each was computed from. Written by
-- fvi_pipeline.model.backtest in the transaction that writes the fold's predictions. Idempotent.

create table if not exists ops.backtest_folds (
    model text not null,
    train_until_year integer not null,
    inputs_digest text not null,
    is_served boolean not null default false,
    test_rows integer not null check (test_rows >= 0),
    seconds double precision not null,
    computed_at timestamptz not null default now(),
    primary key (model, train_until_year)
);
comment on table ops.backtest_folds is
    'Stored folds of mart.backtest_predictions (model fvi_viability) and mart.backtest_rival_predictions. inputs_digest: '
    'of the rows that the fold fits and tests on, the features, the code and the settings; a fold whose digest differs '
    'is computed again. is_served: answered by the challenger itself, the others by refits of its procedure.';
