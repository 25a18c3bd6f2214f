-- Why each score is what it is: the contribution of every feature, and the base that they add to. Written by
-- fvi_pipeline.model beside the scores; the strongest few, in words, are in mart.score_reasons. Idempotent.

create table if not exists mart.score_explanations (
    mine_id text not null,
    as_of_year integer not null,
    horizon_years integer not null check (horizon_years > 0),
    feature text not null,
    value double precision,
    contribution double precision not null,
    model_version text not null,
    primary key (mine_id, as_of_year, horizon_years, feature)
);
comment on table mart.score_explanations is
    'What every feature adds to the log-odds of viability of a score (TreeSHAP of the calibrated score): the base in '
    'mart.score_explanation_bases plus all contributions is ln(p / (1 - p)) with p = fvi_score / 100.';
comment on column mart.score_explanations.value is 'As the model saw it, in single precision; null: missing.';
comment on column mart.score_explanations.contribution is
    'Above 0 it speaks for the mine; for the same mine and horizon, contributions can be added and compared.';

create table if not exists mart.score_explanation_bases (
    mine_id text not null,
    as_of_year integer not null,
    horizon_years integer not null check (horizon_years > 0),
    base double precision not null,
    model_version text not null,
    feature_service text not null,
    primary key (mine_id, as_of_year, horizon_years)
);
comment on table mart.score_explanation_bases is
    'Where the contributions to a score start from, in log-odds: the model''s mean, what the horizon itself adds, and '
    'the calibration''s intercept of the horizon.';
comment on column mart.score_explanation_bases.feature_service is
    'The version of the features that the model reads, and by which a value is put into words.';

alter table mart.score_reasons add column if not exists reason_in_words text;
comment on column mart.score_reasons.reason_in_words is
    'The value as a sentence, and whether it speaks for or against the mine.';
