-- What was measured about features and scores: how they lie, how far they have moved from the data that the model was
-- fitted on, and whether scores came true. Written by fvi_pipeline/monitoring, appended to and never changed;
-- mart.feature_catalogue reads the newest rows. Other things that are watched over time belong here too, under a subject
-- of their own. Idempotent.
create table if not exists ops.monitoring (
    measured_at timestamptz not null,
    subject text not null,
    name text not null,
    measure text not null,
    value double precision check (value not in ('NaN', 'Infinity', '-Infinity')),
    reference text,
    details jsonb not null default '{}' check (jsonb_typeof(details) = 'object'),
    primary key (subject, name, measure, measured_at)
);
create index if not exists monitoring_runs on ops.monitoring (subject, measured_at);
comment on table ops.monitoring is
'Measurements over time: one row per subject, name, measure and moment. All rows of a run have the same moment; a run in which nothing came out differently adds none.';
comment on column ops.monitoring.measured_at is 'The run''s moment.';
comment on column ops.monitoring.subject is
'What kind of thing was measured: ''feature'', ''score'', ''performance''; ''promise'': what a version''s test measured; ''retraining'': requests for a training.';
comment on column ops.monitoring.name is
'Which one. A feature: the column of gold.gold_mine_features; a score: its horizon (h5); performance: version and horizon (v3 h5).';
comment on column ops.monitoring.measure is
'feature: rows, null_rate, minimum, maximum, mean, deviation of the newest cohort; psi, ks, outside_training against the training data; information_gain, model_input, importance. score: rows, mean, psi, ks, outside_training. performance: rows, viable_share, mean_probability, brier, auc, calibration_error, coverage; promise: the same figures of its test. retraining: request.';
comment on column ops.monitoring.value is
'Null: it could not be measured, for instance no value, or no model yet to compare with; or it would mean nothing (psi of what all mines of a year share).';
comment on column ops.monitoring.reference is 'On which rows it was measured, or with which it was compared; of a request, why.';
comment on column ops.monitoring.details is
'What the value was made of. psi: the level, by what it was judged (mines or years), both distributions or the years'' values, and what is usual. performance: interval, promise, is_worse. promise: each year of the test. request: its reasons.';
