-- The history of data quality. What it is now is the view mart.vw_metric_dq, built by dbt. Written by fvi_pipeline/quality.
create table if not exists mart.metric_dq_history (
    metric text not null,
    night date not null,
    rows bigint not null,
    completeness double precision check (completeness between 0 and 1),
    freshness double precision check (freshness between 0 and 1),
    validity double precision check (validity between 0 and 1),
    consistency double precision check (consistency between 0 and 1),
    quality double precision check (quality between 0 and 1),
    usual_completeness double precision not null,
    score double precision check (score between 0 and 100),
    weakest text,
    computed_at timestamptz not null,
    primary key (metric, night)
);
comment on table mart.metric_dq_history is
'Data quality of each metric of the index, one row per metric and night (UTC), as mart.vw_metric_dq had it; the newest night is what training was or was not stopped by. Null marks: no loaded file should state the metric.';
