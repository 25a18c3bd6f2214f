-- What the model says: scores of now, their reasons, and the predictions that it was tested with. Written by
-- fvi_pipeline.model, idempotent. Tables of the index and the weights are defined beside the code that writes them.

create table if not exists mart.fvi_scores (
    mine_id text not null,
    as_of_year integer not null,
    horizon_years integer not null check (horizon_years > 0),
    fvi_score double precision not null check (fvi_score between 0 and 100),
    interval_low double precision not null check (interval_low between 0 and 100),
    interval_high double precision not null check (interval_high between 0 and 100),
    model_version text not null,
    scored_at timestamptz not null,
    primary key (mine_id, as_of_year, horizon_years),
    constraint fvi_scores_interval_contains_score check (fvi_score between interval_low and interval_high)
);
create index if not exists fvi_scores_as_of_year on mart.fvi_scores (as_of_year, horizon_years);
comment on table mart.fvi_scores is
    'The champion''s score of every mine of the cohort: 100 x P(production > 0 in as_of_year + horizon_years), and its '
    'interval on the same scale. 0 to 100 means that nothing has been measured for the horizon.';
comment on column mart.fvi_scores.interval_low is
    'Lower end of the 90% interval: where the share of mines like this one that still produce in the year may lie in nine '
    'of ten cases, by the choice of mines that the model was fitted on and by what is peculiar to single years';
comment on column mart.fvi_scores.interval_high is 'Upper end of the same interval';

create table if not exists mart.score_reasons (
    mine_id text not null,
    as_of_year integer not null,
    horizon_years integer not null check (horizon_years > 0),
    rank integer not null check (rank > 0),
    feature text not null,
    value double precision,
    contribution double precision not null,
    primary key (mine_id, as_of_year, horizon_years, rank)
);
comment on table mart.score_reasons is
    'The features that move a score most, strongest first. contribution: added to the log-odds of viability (TreeSHAP); '
    'value null: the feature is missing for the mine.';

create table if not exists mart.backtest_predictions (
    mine_id text not null,
    as_of_year integer not null,
    horizon_years integer not null check (horizon_years > 0),
    train_until_year integer not null,
    viability_probability double precision not null check (viability_probability between 0 and 1),
    viable boolean not null,
    primary key (train_until_year, mine_id, as_of_year, horizon_years),
    constraint backtest_predictions_out_of_sample check (as_of_year > train_until_year)
);
alter table mart.backtest_predictions
    add column if not exists interval_low double precision not null default 0
    check (interval_low between 0 and viability_probability),
    add column if not exists interval_high double precision not null default 1
    check (interval_high between viability_probability and 1);
comment on table mart.backtest_predictions is
    'Predictions for as-of years after train_until_year by a model that was fitted, tuned and calibrated on outcomes of '
    'years up to train_until_year only, beside what came. One fold for each train_until_year. interval_low and '
    'interval_high: 0 to 1 means that nothing has been measured for the horizon.';

create table if not exists mart.backtest_rival_predictions (
    model text not null,
    mine_id text not null,
    as_of_year integer not null,
    horizon_years integer not null check (horizon_years > 0),
    train_until_year integer not null,
    viability_probability double precision not null check (viability_probability between 0 and 1),
    viable boolean not null,
    primary key (model, train_until_year, mine_id, as_of_year, horizon_years),
    constraint backtest_rival_predictions_out_of_sample check (as_of_year > train_until_year)
);
comment on table mart.backtest_rival_predictions is
    'What simpler models, fitted on the same rows, say of the rows of mart.backtest_predictions.';
