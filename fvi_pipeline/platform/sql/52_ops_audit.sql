-- Who was refused and who did what only few may do. Written by fvi_pipeline.serving.audit in batches, appended to and never
-- changed. Idempotent.

create table if not exists ops.audit (
    happened_at timestamptz not null,
    event text not null,
    request_id uuid,
    client text,
    address text,
    method text,
    path text,
    details jsonb not null default '{}' check (jsonb_typeof(details) = 'object')
);
create index if not exists audit_happened on ops.audit using brin (happened_at);
comment on table ops.audit is
    'Events of the service''s guard: started, refused_token, refused_scope, rate_limited, admin, feedback, log_lost. client: the '
    'token''s subject, null where no token was accepted. No token and no body is ever written here.';
comment on column ops.audit.details is
    'rate_limited: repeated, how often since the row before. refused_token: the reason. log_lost: rows, how many predictions '
    'were answered and not written.';
