-- Dynamic weights and the index. Written by fvi_pipeline/weights.
create table if not exists mart.fvi_weights (
    metric text not null,
    night date not null,
    weight double precision not null check (weight between 0 and 1),
    bounded_weight double precision not null check (bounded_weight between 0.1 and 1),
    information_gain double precision,
    quality double precision not null,
    base_weight double precision not null,
    computed_at timestamptz not null,
    primary key (metric, night)
);
-- nights before overrides were kept have neither; their target is not known any more
alter table mart.fvi_weights
add column if not exists target_weight double precision,
add column if not exists override_weight double precision check (override_weight between 0 and 1),
add column if not exists override_author text,
add column if not exists override_reason text;
comment on table mart.fvi_weights is
'Dynamic weight of each metric of the index, one row per metric and night (UTC); the newest night is in force.';
comment on column mart.fvi_weights.weight is 'Share of the index, all metrics of a night add up to 1.';
comment on column mart.fvi_weights.bounded_weight is
'Before it is made a share: 0.8 of the night before and 0.2 of this night, kept within 0.1 and 1; the next night blends with it.';
comment on column mart.fvi_weights.target_weight is
'Where the night draws the bounded weight to: base weight x (quality / 2 + information gain measured against the night''s best / 2).';
comment on column mart.fvi_weights.override_weight is
'Set by override_author in place of bounded_weight, for override_reason; null without an override.';
comment on column mart.fvi_weights.information_gain is
'Mutual information between the metric as known at t and viability at t+3, as a share of the uncertainty of viability; null without a history.';
comment on column mart.fvi_weights.quality is 'Data quality of the metric that night, 0-1, from mart.vw_metric_dq.';

create table if not exists mart.fvi_weight_overrides (
    override_id bigint generated always as identity primary key,
    metric text not null,
    weight double precision not null check (weight between 0 and 1),
    author text not null check (author <> ''),
    reason text not null check (reason <> ''),
    set_at timestamptz not null,
    ended_at timestamptz,
    ended_by text,
    check ((ended_at is null) = (ended_by is null))
);
create unique index if not exists fvi_weight_overrides_in_force
on mart.fvi_weight_overrides (metric) where ended_at is null;
comment on table mart.fvi_weight_overrides is
'Weights that people set in place of the dynamic ones; one in force per metric, the ended ones are kept.';

create table if not exists mart.fvi_index (
    mine_id text not null,
    as_of_year integer not null,
    event_timestamp timestamptz not null,
    created_timestamp timestamptz not null,
    index_score double precision check (index_score between 0 and 100),
    coverage double precision not null check (coverage between 0 and 1),
    necessity_points double precision,
    resource_points double precision,
    economics_points double precision,
    emissions_points double precision,
    workforce_points double precision,
    ecology_points double precision,
    support_points double precision,
    ownership_points double precision,
    computed_at timestamptz not null,
    primary key (mine_id, as_of_year)
);
comment on table mart.fvi_index is
'The transparent index of every mine as known now, 0-100; the pillars'' points add up to it. Null where a mine has no metric.';
comment on column mart.fvi_index.coverage is 'Share of the weights for which the mine has a value; nothing is imputed.';
