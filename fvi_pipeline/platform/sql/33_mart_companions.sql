-- What the companions of the viability model say of the newest cohort. Written by fvi_pipeline.model.companions,
-- idempotent.

create table if not exists mart.production_forecasts (
    mine_id text not null,
    as_of_year integer not null,
    forecast_year integer not null,
    production_short_tons double precision not null,
    median_short_tons double precision not null,
    low_short_tons double precision not null check (low_short_tons >= 0),
    high_short_tons double precision not null,
    confidence double precision not null check (confidence > 0 and confidence < 1),
    model_version text not null,
    scored_at timestamptz not null,
    primary key (mine_id, as_of_year),
    constraint production_forecasts_next_year check (forecast_year = as_of_year + 1),
    constraint production_forecasts_interval_contains_median
    check (median_short_tons between low_short_tons and high_short_tons)
);
comment on table mart.production_forecasts is
    'Production of the next year of every mine of the cohort if it still produces then, which is what '
    'mart.fvi_scores says at a horizon of one year: the median, and an interval that holds it with the stated confidence. '
    'production_short_tons: that of the as-of year.';

create table if not exists mart.status_forecasts (
    mine_id text not null,
    as_of_year integer not null,
    forecast_year integer not null,
    status text not null,
    probability double precision not null check (probability between 0 and 1),
    model_version text not null,
    scored_at timestamptz not null,
    primary key (mine_id, as_of_year, status),
    constraint status_forecasts_next_year check (forecast_year = as_of_year + 1)
);
comment on table mart.status_forecasts is
    'The probability of each status at the end of the next year, for every mine of the cohort; those of a mine sum to one. '
    'gold.gold_mine_next_year says what the statuses mean.';

create table if not exists mart.closing_years (
    mine_id text not null,
    as_of_year integer not null,
    closing_year integer,
    closing_year_low integer,
    closing_year_high integer,
    quarter_closed_by integer,
    three_quarters_closed_by integer,
    last_year integer not null,
    tested_until_year integer not null,
    is_tested boolean not null,
    in_words text not null,
    model_version text not null,
    scored_at timestamptz not null,
    primary key (mine_id, as_of_year),
    constraint closing_years_in_order check (
        coalesce(closing_year_low, closing_year, last_year) <= coalesce(closing_year, last_year + 1)
        and coalesce(closing_year, last_year + 1) <= coalesce(closing_year_high, last_year + 1)
        and coalesce(quarter_closed_by, last_year + 1) <= coalesce(closing_year, last_year + 1)
        and coalesce(closing_year, last_year + 1) <= coalesce(three_quarters_closed_by, last_year + 1)
    )
);
comment on table mart.closing_years is
    'The first year in which a mine of the cohort more likely does not produce than does, read off its scores with a '
    'constant hazard between the horizons; null: after last_year. closing_year_low and _high: the same by the ends of the '
    'scores'' intervals. A quarter and three quarters of such mines have closed by the years so called. is_tested: the '
    'closing year lies in tested_until_year or before, the last year that scores of this model could be checked for.';
