-- Every state that mart.fvi_scores ever had: what was said of which mine, when, and by which version. Written by
-- fvi_pipeline.model.batch in the transaction that writes mart.fvi_scores, appended to and never changed. Idempotent.
create table if not exists mart.fvi_score_history (
    mine_id text not null,
    as_of_year integer not null,
    horizon_years integer not null check (horizon_years > 0),
    fvi_score double precision not null check (fvi_score between 0 and 100),
    interval_low double precision not null check (interval_low between 0 and 100),
    interval_high double precision not null check (interval_high between 0 and 100),
    model_version text not null,
    scored_at timestamptz not null,
    primary key (as_of_year, scored_at, mine_id, horizon_years),
    constraint fvi_score_history_interval_contains_score check (fvi_score between interval_low and interval_high)
);
comment on table mart.fvi_score_history is
    'mart.fvi_scores over time. A scoring is whole: all rows of one as_of_year and scored_at. What was served at a moment '
    'is the newest scoring of the year by then; a mine that it does not have had left the cohort.';
comment on column mart.fvi_score_history.scored_at is 'When the score was made; it holds until the next scoring of its year.';

-- what was scored before there was a history
insert into mart.fvi_score_history (
    mine_id, as_of_year, horizon_years, fvi_score, interval_low, interval_high, model_version, scored_at
)
select
    mine_id,
    as_of_year,
    horizon_years,
    fvi_score,
    interval_low,
    interval_high,
    model_version,
    scored_at
from mart.fvi_scores
on conflict do nothing;
