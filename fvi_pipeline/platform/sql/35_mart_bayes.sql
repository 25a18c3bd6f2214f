-- The second opinion: what a hierarchical Bayesian model without features expects of states, mine types and size classes,
-- beside the champion's scores. Written by fvi_pipeline.model.bayes_opinion, replaced whole. Idempotent.
create table if not exists mart.bayes_opinion (
    horizon_years integer not null check (horizon_years > 0),
    as_of_year integer not null,
    mine_state text not null,
    mine_type text not null,
    size_class text not null,
    mines integer not null check (mines > 0),
    share_mean double precision not null check (share_mean between 0 and 1),
    share_low double precision not null check (share_low between 0 and 1),
    share_high double precision not null check (share_high between share_low and 1),
    outcome_low double precision not null check (outcome_low between 0 and 1),
    outcome_high double precision not null check (outcome_high between outcome_low and 1),
    champion_mean double precision not null,
    champion_low double precision not null,
    champion_high double precision not null,
    verdict text not null check (verdict in ('agrees', 'champion higher', 'champion lower', 'too few mines')),
    model_version text not null,
    train_until_year integer not null,
    primary key (horizon_years, as_of_year, mine_state, mine_type, size_class)
);
comment on table mart.bayes_opinion is
    'The viable share that is expected of a cell of the newest cohort, from outcomes up to train_until_year: share_low to '
    'share_high with what the year may bring, outcome_low to outcome_high with the chance of so few mines too. champion_*: '
    'means of the scores of the cell''s mines, 0 to 1. verdict: whether champion_mean lies in share_low to share_high; of a '
    'handful of mines that is not asked.';

create table if not exists mart.bayes_quality (
    horizon_years integer primary key check (horizon_years > 0),
    train_until_year integer not null,
    cells_fitted integer not null,
    mines_fitted integer not null,
    largest_r_hat double precision not null,
    least_effective_draws double precision not null,
    divergences integer not null,
    is_sound boolean not null,
    nominal_coverage double precision not null,
    test_cells integer not null,
    test_mines integer not null,
    coverage double precision,
    large_test_cells integer not null,
    large_cells_coverage double precision
);
comment on table mart.bayes_quality is
    'Whether the chains behind mart.bayes_opinion agree, and how often its intervals held on cells of the as-of years after '
    'train_until_year. coverage: of all cells; large_cells_coverage: of those with ten mines or more, where the steps of '
    'single mines widen the intervals less. Null: no such cell.';
