-- What was measured about features, night by night: how their values lie, and how far they have moved from the data that
-- the model was fitted on. Written by fvi_pipeline/monitoring, appended to and never changed; mart.feature_catalogue reads
-- the newest rows. Other things that are watched over time belong here too, under a subject of their own. Idempotent.
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
comment on column ops.monitoring.subject is 'What kind of thing was measured: ''feature''.';
comment on column ops.monitoring.name is 'Which one, for a feature the column of gold.gold_mine_features.';
comment on column ops.monitoring.measure is
'For a feature: rows, null_rate, minimum, maximum, mean, deviation of the newest cohort; psi, ks, outside_training against the training data; information_gain, model_input.';
comment on column ops.monitoring.value is 'Null: it could not be measured, for instance no value, or no model yet to compare with.';
comment on column ops.monitoring.reference is 'On which rows it was measured, or with which it was compared.';
comment on column ops.monitoring.details is
'What the value was made of; for psi the bins, both distributions, what chance alone would give, and the level.';
