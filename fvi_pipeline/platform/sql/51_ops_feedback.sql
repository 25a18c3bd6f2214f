-- What people said about answers. Written by fvi_pipeline.serving.feedback, appended to and never changed. Idempotent.

create table if not exists ops.feedback (
    feedback_id uuid primary key default gen_random_uuid(),
    given_at timestamptz not null default clock_timestamp(),
    request_id uuid not null,
    mine_id text not null,
    horizon_years smallint,
    client text,
    verdict text not null check (verdict in ('agree', 'disagree', 'unsure')),
    expected_viable boolean,
    comment text check (length(comment) <= 2000)
);
create index if not exists feedback_of_prediction on ops.feedback (request_id, mine_id, horizon_years);
comment on table ops.feedback is
    'Feedback on predictions: request_id, mine_id and horizon_years are those of rows of ops.predictions that were there when '
    'it was given. Several from one client are opinions over time, the newest holds. expected_viable: what the giver expects '
    'of the mine at that horizon.';
