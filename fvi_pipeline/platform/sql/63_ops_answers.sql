-- What was answered in words, and which questions the next evaluation asks. Written by fvi_pipeline.answers behind the
-- answers; only mlflow_trace_id is filled in afterwards. Old rows may be deleted by answered_at. Idempotent.

create table if not exists ops.answers (
    answer_id uuid primary key,
    trace_id text not null,
    answered_at timestamptz not null,
    client text,
    conversation_id text,
    question text not null,
    answer text not null,
    kind text not null,
    quantity text,
    mine_ids text[] not null default '{}',
    variant text not null,
    prompt_version text,
    model text,
    mode text not null check (mode in ('extractive', 'generated')),
    status text not null check (status in ('answered', 'clarify', 'declined')),
    reason text,
    claims integer not null,
    supported integer not null,
    prompt_tokens integer,
    completion_tokens integer,
    cost_microdollars bigint,
    milliseconds double precision not null,
    steps jsonb not null
);
alter table ops.answers add column if not exists mlflow_trace_id text;
create index if not exists answers_answered on ops.answers using brin (answered_at);
create index if not exists answers_not_traced on ops.answers (answered_at) where mlflow_trace_id is null;
comment on table ops.answers is
    'Every answer in words: question and answer with contacts masked, how it came about (steps, with their times in '
    'nanoseconds), what it cost, and how many of its sentences are supported by what they cite. answer_id is the '
    'X-Request-ID of POST /chat, and the request_id of feedback on it.';

create table if not exists ops.answer_questions (
    answer_id uuid primary key,
    collected_at timestamptz not null default clock_timestamp(),
    question text not null,
    mine_id text,
    verdict text not null,
    comment text,
    kind text check (kind in ('number', 'why', 'change', 'list', 'unanswerable')),
    expected_status text check (expected_status in ('answered', 'clarify', 'declined')),
    expected_numbers double precision[] not null default '{}',
    expected_texts text[] not null default '{}',
    expected_mine_ids text[] not null default '{}',
    reviewed_by text,
    check (reviewed_by is null or (kind is not null and expected_status is not null))
);
comment on table ops.answer_questions is
    'Questions whose answers people disagreed with. Somebody says what the right answer has (reviewed_by); from then on the '
    'evaluation asks them too.';

-- feedback on an answer in words need not be about a mine, and leads to the answer's trace
alter table ops.feedback alter column mine_id drop not null;
alter table ops.feedback
    add column if not exists trace_id text,
    add column if not exists mlflow_assessed_at timestamptz;
