-- What the service answered. Written by fvi_pipeline.serving.prediction_log in batches behind the answers, appended to and
-- never changed. Old rows may be deleted by answered_at. Idempotent.

create table if not exists ops.predictions (
    request_id uuid not null,
    entry_number bigint not null,
    answered_at timestamptz not null,
    endpoint text not null,
    client text,
    mine_id text not null,
    prediction_type text not null,
    horizon_years smallint,
    what_if jsonb,
    is_what_if boolean not null generated always as (what_if is not null) stored,
    as_of_asked text,
    feature_service text,
    as_of_year smallint,
    known_at timestamptz,
    feature_age_seconds double precision,
    fvi_score double precision,
    model_name text not null,
    model_version text not null,
    arm text not null,
    latency_milliseconds double precision not null,
    is_cached boolean not null,
    is_degraded boolean not null,
    primary key (request_id, entry_number)
);
create index if not exists predictions_answered on ops.predictions using brin (answered_at);
comment on table ops.predictions is
    'Every prediction that the service answered: one row per request, of a batch one per item. request_id: the answer''s '
    'X-Request-ID; entry_number: counts the rows of the process that answered; client: the token''s subject.';
comment on column ops.predictions.what_if is 'The caller''s own values by feature; null: the stored ones alone were used.';
comment on column ops.predictions.as_of_asked is 'The past that was asked for; null: now.';
comment on column ops.predictions.feature_service is
    'With known_at it says which features were used: the rows of gold.gold_mine_features as known then, of that version.';
comment on column ops.predictions.feature_age_seconds is 'Time from known_at to the answer.';
comment on column ops.predictions.fvi_score is 'As answered; null: the mine has none, or another prediction was asked for.';
comment on column ops.predictions.arm is 'Who answered: champion or challenger.';
comment on column ops.predictions.is_degraded is 'The features came from PostgreSQL, for want of the online store.';
