-- The landing tables: what publishers' files say, value by value, with the ledger of files, the
-- quarantine of rows and the list of rejected values. Written by fvi_pipeline.feeds, read by dbt as the
-- source "landing". Idempotent. What documents say is in the evidence tables, not here.

-- A number that an identity sequence skips on a rolled-back transaction would make the second run after a
-- crash differ from an undisturbed one; the writer holds an advisory lock while it takes the next number.
create or replace function landing.next_file_id() returns bigint
language plpgsql as $$
begin
    return (select coalesce(max(file_id), 0) + 1 from landing.files);
end
$$;

create table if not exists landing.files (
    file_id bigint primary key default landing.next_file_id(),
    publisher text,
    feed text,
    name text not null,
    sha256 text,
    size_bytes bigint,
    period text,
    known_at timestamptz,
    ingested_at timestamptz not null,
    rows_read integer not null,
    rows_loaded integer not null,
    rows_quarantined integer not null,
    status text not null check (status in ('loaded', 'rejected', 'ignored')),
    reason text,
    simulated boolean not null default false,
    constraint files_content_once unique nulls not distinct (sha256, name),
    constraint files_rows_reconcile check (rows_read = rows_loaded + rows_quarantined)
);
comment on table landing.files is
    'Ledger: one row for each content of each file that was seen. period: what the file covers (a year, a release); '
    'sha256 is null when the file could not be read.';

create table if not exists landing.quarantine (
    file_id bigint not null references landing.files (file_id),
    part text not null default '',
    row_number integer not null,
    reason text not null,
    raw text not null,
    primary key (file_id, part, row_number)
);
comment on table landing.quarantine is
    'Rows that could not be loaded, whole, with the reason. row_number as a spreadsheet shows it.';

create table if not exists landing.rejected_values (
    file_id bigint not null references landing.files (file_id),
    part text not null default '',
    row_number integer not null,
    column_name text not null,
    reason text not null,
    raw text not null,
    primary key (file_id, part, row_number, column_name)
);
comment on table landing.rejected_values is
    'Single unreadable or impossible values of rows that were loaded; the value is null in the row.';

create table if not exists landing.eia_coal_mines (
    file_id bigint not null,
    row_number integer not null,
    as_of_year integer not null,
    msha_id text check (msha_id ~ '^[0-9]{7}$'),
    mine_name text,
    mine_state text,
    mine_county text,
    mine_basin text,
    coal_supply_region text,
    mine_status text,
    mine_type text,
    company_type text,
    operation_type text,
    operating_company text,
    operating_company_address text,
    union_code text,
    production_short_tons bigint not null,
    average_employees integer,
    labor_hours bigint,
    primary key (file_id, row_number)
);

create table if not exists landing.gem_coal_mines (
    file_id bigint not null,
    sheet text not null check (sheet in ('open', 'closed')),
    row_number integer not null,
    gem_mine_id text not null,
    msha_id text check (msha_id ~ '^[0-9]{7}$'),
    country text,
    mine_name text,
    mine_name_aliases text,
    mine_name_local text,
    wiki_url text,
    status text,
    status_detail text,
    project_type text,
    project_phase text,
    owners text,
    parent_company text,
    capacity_mt_per_year double precision,
    production_mt_per_year double precision,
    production_year integer,
    mine_type text,
    mining_method text,
    mine_size_km2 double precision,
    mine_depth_m double precision,
    workforce_size double precision,
    coal_type text,
    coal_grade text,
    reserves_mt double precision,
    resources_mt double precision,
    reserve_to_production_years double precision,
    opening_year integer,
    closing_year integer,
    reported_life_years double precision,
    closure_reason text,
    coalfield text,
    state_province text,
    region text,
    latitude double precision,
    longitude double precision,
    methane_million_tonnes_per_year double precision,
    co2e_20_years_million_tonnes double precision,
    co2e_100_years_million_tonnes double precision,
    primary key (file_id, sheet, row_number)
);

create table if not exists landing.gem_mine_features (
    file_id bigint not null,
    row_number integer not null,
    feature_id text not null,
    gem_mine_id text,
    category text,
    subcategory text,
    notes text,
    description text,
    mine_name text,
    country text,
    owners text,
    parent_company text,
    wiki_url text,
    last_researched date,
    data_source_date date,
    geometry_type text,
    primary key (file_id, row_number)
);

create table if not exists landing.world_bank_prices (
    file_id bigint not null,
    row_number integer not null,
    month date not null,
    coal_australian_usd_per_tonne double precision,
    coal_south_african_usd_per_tonne double precision,
    natural_gas_us_usd_per_mmbtu double precision,
    natural_gas_europe_usd_per_mmbtu double precision,
    crude_oil_average_usd_per_barrel double precision,
    primary key (file_id, row_number)
);

create table if not exists landing.owid_energy (
    file_id bigint not null,
    row_number integer not null,
    iso_code text,
    country text not null,
    as_of_year integer not null,
    coal_share_of_electricity_percent double precision,
    coal_production_twh double precision,
    coal_consumption_twh double precision,
    electricity_generation_twh double precision,
    coal_electricity_twh double precision,
    gas_electricity_twh double precision,
    coal_share_of_energy_percent double precision,
    primary key (file_id, row_number)
);

create table if not exists landing.owid_co2 (
    file_id bigint not null,
    row_number integer not null,
    iso_code text,
    country text not null,
    as_of_year integer not null,
    co2_million_tonnes double precision,
    coal_co2_million_tonnes double precision,
    population double precision,
    gdp_usd double precision,
    primary key (file_id, row_number)
);
