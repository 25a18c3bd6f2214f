-- How well searches do on the project's own questions, by set, mode and measure; one measurement a run of its asset.

create table if not exists mart.retrieval_quality (
    measured_at  timestamptz not null,
    question_set text not null,
    mode         text not null check (mode in ('hybrid', 'text', 'vector')),
    measure      text not null,
    mean         double precision not null,
    low          double precision not null,
    high         double precision not null,
    questions    int not null,
    passages     bigint not null,
    model_name   text not null,
    primary key (measured_at, question_set, mode, measure)
);
comment on table mart.retrieval_quality is
    'nDCG, recall and reciprocal rank of the first ten documents, with 95 % intervals over questions. Sets: system_a and '
    'system_b, written by hand (fvi_pipeline/evidence/questions.yml); mines, drawn from the warehouse.';
