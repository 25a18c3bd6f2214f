-- How well the index tells viable mines from the others, by the way of weighting. Written by
-- fvi_pipeline/weights/separation_store.py. Idempotent.
create table if not exists mart.index_separation (
    first_year integer not null,
    last_year integer not null check (last_year >= first_year),
    weighting text not null,
    compared_with text not null,
    rows integer not null,
    auc double precision not null,
    low double precision not null,
    high double precision not null,
    measured_at timestamptz not null,
    primary key (first_year, last_year, weighting, compared_with)
);
comment on table mart.index_separation is
'AUC of the index for viability three years on, over as-of years, with weights made of what was known then; mines of one year are compared with each other.';
comment on column mart.index_separation.weighting is
'dynamic, equal, base, or gain alone (the information gains themselves as weights).';
comment on column mart.index_separation.compared_with is
'Empty: auc is the AUC. Otherwise auc is the AUC less that of this weighting, on the same rows.';
comment on column mart.index_separation.low is 'Lower end of the 95% interval; whole mines were drawn.';
