-- How good answers in words are, as measured last on questions made from the warehouse. Written by
-- fvi_pipeline.answers.quality, replaced whole. Idempotent.
create table if not exists mart.answer_quality (
    generator text not null,
    measure text not null,
    value double precision,
    goal double precision,
    is_reached boolean,
    questions integer not null,
    measured_at timestamptz not null,
    primary key (generator, measure)
);
comment on table mart.answer_quality is
    'Measures of answers on the evaluation questions: generator is extractive, or the model''s name. is_reached: against the '
    'goal, null without one.';
