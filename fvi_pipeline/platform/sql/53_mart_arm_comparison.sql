-- Champion and challenger side by side, each figure with its interval. Written by fvi_pipeline.model.arm_comparison,
-- appended to and never changed; a comparison that says the same as the one before adds nothing. Idempotent.
create table if not exists mart.arm_comparison (
    compared_at timestamptz not null,
    champion_version text not null,
    challenger_version text not null,
    basis text not null check (basis in ('cohort', 'held_out', 'answers')),
    horizon_years integer not null check (horizon_years > 0),
    arm text not null check (arm in ('champion', 'challenger', 'difference')),
    measure text not null,
    value double precision not null,
    interval_low double precision,
    interval_high double precision,
    row_count integer not null,
    mine_count integer not null,
    primary key (compared_at, basis, horizon_years, arm, measure)
);
comment on table mart.arm_comparison is
    'Champion and challenger compared. difference: the challenger''s figure less the champion''s on the same rows, or how far '
    'their scores lie apart. The newest comparison is that of the largest compared_at.';
comment on column mart.arm_comparison.basis is
    'cohort: both score the mines of now, so how far do they agree; held_out: rows of years after both were fitted, whose '
    'outcome is known; answers: what the service answered or scored in the shadow (ops.predictions), once the outcome came.';
comment on column mart.arm_comparison.interval_low is '90% of the draws of whole mines; null: too few draws define the figure.';
