-- What has been refreshed from which input, and how long each stage took. Written by fvi_pipeline/run.
create table if not exists ops.refreshed_inputs (
    feed text primary key,
    digest text not null,
    refreshed_at timestamptz not null
);
comment on table ops.refreshed_inputs is
'Digest of the loaded files of each feed (and of the code) that every downstream table was last built from; a feed whose ledger differs is refreshed by the next run.';

create table if not exists ops.stage_runs (
    run_id text not null,
    stage text not null,
    started_at timestamptz not null,
    seconds double precision not null,
    peak_memory_megabytes double precision,
    primary key (run_id, stage)
);
comment on table ops.stage_runs is
'Wall time of each stage of a run and the largest resident memory (proportional set size of the run, its children and the embedded servers) seen while it ran.';
