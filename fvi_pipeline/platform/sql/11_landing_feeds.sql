-- Generated from fvi_pipeline/feeds/catalogue by `python -m fvi_pipeline.feeds.generate`: change the description.
-- A landing table for each feed: what its files say, row by row. Written by the ingest, read by dbt.

-- A table that an earlier description made: columns whose type has changed are converted, the views that read the table
-- dropped; the next dbt build makes them anew.
create or replace procedure landing.follow_types(feed text, wanted jsonb)
language plpgsql as $$
declare
    feed_table regclass := format('landing.%I', feed);
    changed record;
    reader text;
begin
    for changed in
        select attname as name, value as data_type
        from jsonb_each_text(wanted)
        inner join pg_attribute on attrelid = feed_table and attname = key
        where format_type(atttypid, atttypmod) <> value
    loop
        for reader in
            select distinct ev_class::regclass::text
            from pg_rewrite
            inner join pg_depend on objid = pg_rewrite.oid and classid = 'pg_rewrite'::regclass
            where refclassid = 'pg_class'::regclass and refobjid = feed_table
        loop
            execute format('drop view if exists %s cascade', reader);
        end loop;
        execute format(
            'alter table %s alter column %I type %s using %I::%s',
            feed_table, changed.name, changed.data_type, changed.name, changed.data_type
        );
    end loop;
end
$$;

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
    average_employees bigint,
    labor_hours bigint,
    other_values jsonb,
    primary key (file_id, row_number)
);
alter table landing.eia_coal_mines add column if not exists as_of_year integer;
alter table landing.eia_coal_mines add column if not exists msha_id text check (msha_id ~ '^[0-9]{7}$');
alter table landing.eia_coal_mines add column if not exists mine_name text;
alter table landing.eia_coal_mines add column if not exists mine_state text;
alter table landing.eia_coal_mines add column if not exists mine_county text;
alter table landing.eia_coal_mines add column if not exists mine_basin text;
alter table landing.eia_coal_mines add column if not exists coal_supply_region text;
alter table landing.eia_coal_mines add column if not exists mine_status text;
alter table landing.eia_coal_mines add column if not exists mine_type text;
alter table landing.eia_coal_mines add column if not exists company_type text;
alter table landing.eia_coal_mines add column if not exists operation_type text;
alter table landing.eia_coal_mines add column if not exists operating_company text;
alter table landing.eia_coal_mines add column if not exists operating_company_address text;
alter table landing.eia_coal_mines add column if not exists union_code text;
alter table landing.eia_coal_mines add column if not exists production_short_tons bigint;
alter table landing.eia_coal_mines add column if not exists average_employees bigint;
alter table landing.eia_coal_mines add column if not exists labor_hours bigint;
alter table landing.eia_coal_mines add column if not exists other_values jsonb;
call landing.follow_types('eia_coal_mines', '{
    "file_id": "bigint",
    "row_number": "integer",
    "as_of_year": "integer",
    "msha_id": "text",
    "mine_name": "text",
    "mine_state": "text",
    "mine_county": "text",
    "mine_basin": "text",
    "coal_supply_region": "text",
    "mine_status": "text",
    "mine_type": "text",
    "company_type": "text",
    "operation_type": "text",
    "operating_company": "text",
    "operating_company_address": "text",
    "union_code": "text",
    "production_short_tons": "bigint",
    "average_employees": "bigint",
    "labor_hours": "bigint",
    "other_values": "jsonb"
}');
comment on table landing.eia_coal_mines is 'Historical coal production data by mine, one file per year (U.S. Energy Information Administration; public domain).';
comment on column landing.eia_coal_mines.file_id is 'The file in landing.files.';
comment on column landing.eia_coal_mines.row_number is 'The row as a person sees it in the file, the header included.';
comment on column landing.eia_coal_mines.as_of_year is 'Year that the row describes.';
comment on column landing.eia_coal_mines.msha_id is 'ID of the mine at the U.S. Mine Safety and Health Administration, with its leading zeros (seven digits)';
comment on column landing.eia_coal_mines.mine_name is 'Name of the mine.';
comment on column landing.eia_coal_mines.mine_state is 'State of the mine; carries the sub-basin in brackets, and ''Refuse Recovery'' for recovered waste coal.';
comment on column landing.eia_coal_mines.mine_county is 'County of the mine.';
comment on column landing.eia_coal_mines.mine_basin is 'Coal basin of the mine; in the files up to 2011.';
comment on column landing.eia_coal_mines.coal_supply_region is 'Coal supply region of the mine; in the files from 2013 on.';
comment on column landing.eia_coal_mines.mine_status is 'Status of the mine at or after the end of the year; unusable before 2001.';
comment on column landing.eia_coal_mines.mine_type is 'Surface, Underground or Refuse.';
comment on column landing.eia_coal_mines.company_type is 'Kind of the operating company, as the agency spells it.';
comment on column landing.eia_coal_mines.operation_type is 'Mine, preparation plant or both; with the mine''s type it tells apart the rows of one mine and year.';
comment on column landing.eia_coal_mines.operating_company is 'Company that operates the mine, cut at 30 characters.';
comment on column landing.eia_coal_mines.operating_company_address is 'Postal address of the operating company.';
comment on column landing.eia_coal_mines.union_code is 'Union of the workforce, in several spellings.';
comment on column landing.eia_coal_mines.production_short_tons is 'Coal produced in the year. Unit: short tons.';
comment on column landing.eia_coal_mines.average_employees is 'Average number of employees in the year; in the files from 2001 on. Unit: people.';
comment on column landing.eia_coal_mines.labor_hours is 'Hours worked in the year; in the files from 2001 on. Unit: hours.';
comment on column landing.eia_coal_mines.other_values is 'Values of columns that the feed does not describe, by header; null when there are none.';

create table if not exists landing.gem_coal_mines (
    file_id bigint not null,
    sheet text not null check (sheet in ('closed', 'open')),
    row_number integer not null,
    gem_mine_id text not null,
    msha_id text check (msha_id ~ '^[0-9]{7}$'),
    country text,
    mine_name text,
    mine_name_aliases text,
    mine_name_local text,
    wiki_url text,
    wiki_url_local text,
    status text,
    status_detail text,
    project_type text,
    project_phase text,
    owners text,
    owners_local text,
    owners_entity_id text,
    parent_company text,
    parent_entity_id text,
    company_headquarters text,
    capacity_mt_per_year double precision,
    production_mt_per_year double precision,
    production_year integer,
    output_million_short_tons double precision,
    mine_type text,
    mining_method text,
    mine_size_km2 double precision,
    mine_depth_m double precision,
    depth_accuracy text,
    workforce_size double precision,
    workforce_accuracy text,
    coal_type text,
    coal_grade text,
    reserves_mt double precision,
    reserves_recorded text,
    resources_mt double precision,
    reserve_to_production_years double precision,
    opening_year integer,
    closing_year integer,
    reported_life_years double precision,
    closure_reason text,
    site_status text,
    coalfield text,
    location text,
    prefecture_district text,
    state_province text,
    subregion text,
    region text,
    latitude double precision,
    longitude double precision,
    location_accuracy text,
    primary_consumer text,
    consumer_name text,
    consumer_wiki_url text,
    reported_methane_thousand_tonnes_co2e double precision,
    reported_methane_thousand_tonnes double precision,
    reported_methane_year integer,
    methane_million_m3_per_year double precision,
    methane_million_tonnes_per_year double precision,
    co2e_20_years_million_tonnes double precision,
    co2e_100_years_million_tonnes double precision,
    other_values jsonb,
    primary key (file_id, sheet, row_number)
);
alter table landing.gem_coal_mines add column if not exists gem_mine_id text;
alter table landing.gem_coal_mines add column if not exists msha_id text check (msha_id ~ '^[0-9]{7}$');
alter table landing.gem_coal_mines add column if not exists country text;
alter table landing.gem_coal_mines add column if not exists mine_name text;
alter table landing.gem_coal_mines add column if not exists mine_name_aliases text;
alter table landing.gem_coal_mines add column if not exists mine_name_local text;
alter table landing.gem_coal_mines add column if not exists wiki_url text;
alter table landing.gem_coal_mines add column if not exists wiki_url_local text;
alter table landing.gem_coal_mines add column if not exists status text;
alter table landing.gem_coal_mines add column if not exists status_detail text;
alter table landing.gem_coal_mines add column if not exists project_type text;
alter table landing.gem_coal_mines add column if not exists project_phase text;
alter table landing.gem_coal_mines add column if not exists owners text;
alter table landing.gem_coal_mines add column if not exists owners_local text;
alter table landing.gem_coal_mines add column if not exists owners_entity_id text;
alter table landing.gem_coal_mines add column if not exists parent_company text;
alter table landing.gem_coal_mines add column if not exists parent_entity_id text;
alter table landing.gem_coal_mines add column if not exists company_headquarters text;
alter table landing.gem_coal_mines add column if not exists capacity_mt_per_year double precision;
alter table landing.gem_coal_mines add column if not exists production_mt_per_year double precision;
alter table landing.gem_coal_mines add column if not exists production_year integer;
alter table landing.gem_coal_mines add column if not exists output_million_short_tons double precision;
alter table landing.gem_coal_mines add column if not exists mine_type text;
alter table landing.gem_coal_mines add column if not exists mining_method text;
alter table landing.gem_coal_mines add column if not exists mine_size_km2 double precision;
alter table landing.gem_coal_mines add column if not exists mine_depth_m double precision;
alter table landing.gem_coal_mines add column if not exists depth_accuracy text;
alter table landing.gem_coal_mines add column if not exists workforce_size double precision;
alter table landing.gem_coal_mines add column if not exists workforce_accuracy text;
alter table landing.gem_coal_mines add column if not exists coal_type text;
alter table landing.gem_coal_mines add column if not exists coal_grade text;
alter table landing.gem_coal_mines add column if not exists reserves_mt double precision;
alter table landing.gem_coal_mines add column if not exists reserves_recorded text;
alter table landing.gem_coal_mines add column if not exists resources_mt double precision;
alter table landing.gem_coal_mines add column if not exists reserve_to_production_years double precision;
alter table landing.gem_coal_mines add column if not exists opening_year integer;
alter table landing.gem_coal_mines add column if not exists closing_year integer;
alter table landing.gem_coal_mines add column if not exists reported_life_years double precision;
alter table landing.gem_coal_mines add column if not exists closure_reason text;
alter table landing.gem_coal_mines add column if not exists site_status text;
alter table landing.gem_coal_mines add column if not exists coalfield text;
alter table landing.gem_coal_mines add column if not exists location text;
alter table landing.gem_coal_mines add column if not exists prefecture_district text;
alter table landing.gem_coal_mines add column if not exists state_province text;
alter table landing.gem_coal_mines add column if not exists subregion text;
alter table landing.gem_coal_mines add column if not exists region text;
alter table landing.gem_coal_mines add column if not exists latitude double precision;
alter table landing.gem_coal_mines add column if not exists longitude double precision;
alter table landing.gem_coal_mines add column if not exists location_accuracy text;
alter table landing.gem_coal_mines add column if not exists primary_consumer text;
alter table landing.gem_coal_mines add column if not exists consumer_name text;
alter table landing.gem_coal_mines add column if not exists consumer_wiki_url text;
alter table landing.gem_coal_mines add column if not exists reported_methane_thousand_tonnes_co2e double precision;
alter table landing.gem_coal_mines add column if not exists reported_methane_thousand_tonnes double precision;
alter table landing.gem_coal_mines add column if not exists reported_methane_year integer;
alter table landing.gem_coal_mines add column if not exists methane_million_m3_per_year double precision;
alter table landing.gem_coal_mines add column if not exists methane_million_tonnes_per_year double precision;
alter table landing.gem_coal_mines add column if not exists co2e_20_years_million_tonnes double precision;
alter table landing.gem_coal_mines add column if not exists co2e_100_years_million_tonnes double precision;
alter table landing.gem_coal_mines add column if not exists other_values jsonb;
call landing.follow_types('gem_coal_mines', '{
    "file_id": "bigint",
    "sheet": "text",
    "row_number": "integer",
    "gem_mine_id": "text",
    "msha_id": "text",
    "country": "text",
    "mine_name": "text",
    "mine_name_aliases": "text",
    "mine_name_local": "text",
    "wiki_url": "text",
    "wiki_url_local": "text",
    "status": "text",
    "status_detail": "text",
    "project_type": "text",
    "project_phase": "text",
    "owners": "text",
    "owners_local": "text",
    "owners_entity_id": "text",
    "parent_company": "text",
    "parent_entity_id": "text",
    "company_headquarters": "text",
    "capacity_mt_per_year": "double precision",
    "production_mt_per_year": "double precision",
    "production_year": "integer",
    "output_million_short_tons": "double precision",
    "mine_type": "text",
    "mining_method": "text",
    "mine_size_km2": "double precision",
    "mine_depth_m": "double precision",
    "depth_accuracy": "text",
    "workforce_size": "double precision",
    "workforce_accuracy": "text",
    "coal_type": "text",
    "coal_grade": "text",
    "reserves_mt": "double precision",
    "reserves_recorded": "text",
    "resources_mt": "double precision",
    "reserve_to_production_years": "double precision",
    "opening_year": "integer",
    "closing_year": "integer",
    "reported_life_years": "double precision",
    "closure_reason": "text",
    "site_status": "text",
    "coalfield": "text",
    "location": "text",
    "prefecture_district": "text",
    "state_province": "text",
    "subregion": "text",
    "region": "text",
    "latitude": "double precision",
    "longitude": "double precision",
    "location_accuracy": "text",
    "primary_consumer": "text",
    "consumer_name": "text",
    "consumer_wiki_url": "text",
    "reported_methane_thousand_tonnes_co2e": "double precision",
    "reported_methane_thousand_tonnes": "double precision",
    "reported_methane_year": "integer",
    "methane_million_m3_per_year": "double precision",
    "methane_million_tonnes_per_year": "double precision",
    "co2e_20_years_million_tonnes": "double precision",
    "co2e_100_years_million_tonnes": "double precision",
    "other_values": "jsonb"
}');
comment on table landing.gem_coal_mines is 'Global Coal Mine Tracker (Global Energy Monitor; CC BY 4.0).';
comment on column landing.gem_coal_mines.file_id is 'The file in landing.files.';
comment on column landing.gem_coal_mines.sheet is 'The part of the file: closed or open.';
comment on column landing.gem_coal_mines.row_number is 'The row as a person sees it in the file, the header included.';
comment on column landing.gem_coal_mines.gem_mine_id is 'ID of the mine; phases may share one.';
comment on column landing.gem_coal_mines.msha_id is 'ID of the mine at the U.S. Mine Safety and Health Administration, with its leading zeros (seven digits)';
comment on column landing.gem_coal_mines.country is 'Country or area of the mine.';
comment on column landing.gem_coal_mines.mine_name is 'Name of the mine in English.';
comment on column landing.gem_coal_mines.mine_name_aliases is 'Other names of the mine.';
comment on column landing.gem_coal_mines.mine_name_local is 'Name of the mine in the language of its country.';
comment on column landing.gem_coal_mines.wiki_url is 'Address of the mine''s page in GEM.wiki.';
comment on column landing.gem_coal_mines.wiki_url_local is 'The same page in another language.';
comment on column landing.gem_coal_mines.status is 'Status of the mine; the sheet of closed mines has none.';
comment on column landing.gem_coal_mines.status_detail is 'How far a project is, or why a mine rests.';
comment on column landing.gem_coal_mines.project_type is 'New, Expansion, Extension or Recommission.';
comment on column landing.gem_coal_mines.project_phase is 'Phase of a project whose mine has several rows.';
comment on column landing.gem_coal_mines.owners is 'Owners with their shares.';
comment on column landing.gem_coal_mines.owners_local is 'Owners in the language of the country.';
comment on column landing.gem_coal_mines.owners_entity_id is 'IDs of the owners at GEM.';
comment on column landing.gem_coal_mines.parent_company is 'Parent companies with their shares.';
comment on column landing.gem_coal_mines.parent_entity_id is 'IDs of the parent companies at GEM.';
comment on column landing.gem_coal_mines.company_headquarters is 'Country of the company''s headquarters.';
comment on column landing.gem_coal_mines.capacity_mt_per_year is 'Output that the mine is designed for. Unit: million tonnes/year.';
comment on column landing.gem_coal_mines.production_mt_per_year is 'Output in the year of production. Unit: million tonnes/year.';
comment on column landing.gem_coal_mines.production_year is 'Year of the production figure.';
comment on column landing.gem_coal_mines.output_million_short_tons is 'Output of a U.S. mine in the year of production. Unit: million short tons.';
comment on column landing.gem_coal_mines.mine_type is 'Underground, Surface or both.';
comment on column landing.gem_coal_mines.mining_method is 'Open Pit, Longwall, Bord and Pillar ….';
comment on column landing.gem_coal_mines.mine_size_km2 is 'Area of the mine. Unit: km².';
comment on column landing.gem_coal_mines.mine_depth_m is 'Depth of the mine.';
comment on column landing.gem_coal_mines.depth_accuracy is 'Whether the depth is an estimate.';
comment on column landing.gem_coal_mines.workforce_size is 'Number of workers. Unit: people.';
comment on column landing.gem_coal_mines.workforce_accuracy is 'Whether the number of workers is an estimate.';
comment on column landing.gem_coal_mines.coal_type is 'Rank of the coal: Bituminous, Lignite ….';
comment on column landing.gem_coal_mines.coal_grade is 'Use of the coal: Thermal (heat and power), Met (steel) or both.';
comment on column landing.gem_coal_mines.reserves_mt is 'Proven and probable reserves. Unit: million tonnes.';
comment on column landing.gem_coal_mines.reserves_recorded is 'Year or day of the reserves, as printed.';
comment on column landing.gem_coal_mines.resources_mt is 'Inferred, indicated and measured resources. Unit: million tonnes.';
comment on column landing.gem_coal_mines.reserve_to_production_years is 'Years that the reserves last at the present output. Unit: years.';
comment on column landing.gem_coal_mines.opening_year is 'Year in which the mine opened or is to open.';
comment on column landing.gem_coal_mines.closing_year is 'Year in which the mine closed or is to close.';
comment on column landing.gem_coal_mines.reported_life_years is 'Life of the mine as its owner states it. Unit: years.';
comment on column landing.gem_coal_mines.closure_reason is 'Why the mine was closed.';
comment on column landing.gem_coal_mines.site_status is 'What became of the site of a closed mine.';
comment on column landing.gem_coal_mines.coalfield is 'Coalfield of the mine.';
comment on column landing.gem_coal_mines.location is 'Place nearest to the mine.';
comment on column landing.gem_coal_mines.prefecture_district is 'Prefecture or district of the mine.';
comment on column landing.gem_coal_mines.state_province is 'State or province of the mine.';
comment on column landing.gem_coal_mines.subregion is 'Part of the world, as the United Nations divide it.';
comment on column landing.gem_coal_mines.region is 'Part of the world.';
comment on column landing.gem_coal_mines.latitude is 'Latitude of the mine. Unit: degrees.';
comment on column landing.gem_coal_mines.longitude is 'Longitude of the mine. Unit: degrees.';
comment on column landing.gem_coal_mines.location_accuracy is 'Whether the place is exact.';
comment on column landing.gem_coal_mines.primary_consumer is 'Kind of the main customer.';
comment on column landing.gem_coal_mines.consumer_name is 'Plants or terminals supplied.';
comment on column landing.gem_coal_mines.consumer_wiki_url is 'Addresses of their pages in GEM.wiki.';
comment on column landing.gem_coal_mines.reported_methane_thousand_tonnes_co2e is 'Methane as reported by the mine, in the releases that state it as CO2 equivalent. Unit: thousand tonnes CO2e.';
comment on column landing.gem_coal_mines.reported_methane_thousand_tonnes is 'Methane as reported by the mine, in the releases that state it as methane. Unit: thousand tonnes/year.';
comment on column landing.gem_coal_mines.reported_methane_year is 'Year of the reported methane.';
comment on column landing.gem_coal_mines.methane_million_m3_per_year is 'Methane as GEM estimates it, as a volume. Unit: million m³/year.';
comment on column landing.gem_coal_mines.methane_million_tonnes_per_year is 'Methane as GEM estimates it. Unit: million tonnes/year.';
comment on column landing.gem_coal_mines.co2e_20_years_million_tonnes is 'Estimated methane by its warming over 20 years. Unit: million tonnes CO2e/year.';
comment on column landing.gem_coal_mines.co2e_100_years_million_tonnes is 'Estimated methane by its warming over 100 years. Unit: million tonnes CO2e/year.';
comment on column landing.gem_coal_mines.other_values is 'Values of columns that the feed does not describe, by header; null when there are none.';

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
    owners_local text,
    parent_company text,
    wiki_url text,
    wiki_url_local text,
    coal_grade text,
    coordinates_precision text,
    last_researched date,
    data_source_date date,
    build_version text,
    geometry_type text,
    other_values jsonb,
    primary key (file_id, row_number)
);
alter table landing.gem_mine_features add column if not exists feature_id text;
alter table landing.gem_mine_features add column if not exists gem_mine_id text;
alter table landing.gem_mine_features add column if not exists category text;
alter table landing.gem_mine_features add column if not exists subcategory text;
alter table landing.gem_mine_features add column if not exists notes text;
alter table landing.gem_mine_features add column if not exists description text;
alter table landing.gem_mine_features add column if not exists mine_name text;
alter table landing.gem_mine_features add column if not exists country text;
alter table landing.gem_mine_features add column if not exists owners text;
alter table landing.gem_mine_features add column if not exists owners_local text;
alter table landing.gem_mine_features add column if not exists parent_company text;
alter table landing.gem_mine_features add column if not exists wiki_url text;
alter table landing.gem_mine_features add column if not exists wiki_url_local text;
alter table landing.gem_mine_features add column if not exists coal_grade text;
alter table landing.gem_mine_features add column if not exists coordinates_precision text;
alter table landing.gem_mine_features add column if not exists last_researched date;
alter table landing.gem_mine_features add column if not exists data_source_date date;
alter table landing.gem_mine_features add column if not exists build_version text;
alter table landing.gem_mine_features add column if not exists geometry_type text;
alter table landing.gem_mine_features add column if not exists other_values jsonb;
call landing.follow_types('gem_mine_features', '{
    "file_id": "bigint",
    "row_number": "integer",
    "feature_id": "text",
    "gem_mine_id": "text",
    "category": "text",
    "subcategory": "text",
    "notes": "text",
    "description": "text",
    "mine_name": "text",
    "country": "text",
    "owners": "text",
    "owners_local": "text",
    "parent_company": "text",
    "wiki_url": "text",
    "wiki_url_local": "text",
    "coal_grade": "text",
    "coordinates_precision": "text",
    "last_researched": "date",
    "data_source_date": "date",
    "build_version": "text",
    "geometry_type": "text",
    "other_values": "jsonb"
}');
comment on table landing.gem_mine_features is 'Coal Mine Boundaries and Methane Sources (Global Energy Monitor; CC BY 4.0).';
comment on column landing.gem_mine_features.file_id is 'The file in landing.files.';
comment on column landing.gem_mine_features.row_number is 'The row as a person sees it in the file, the header included.';
comment on column landing.gem_mine_features.feature_id is 'ID of the feature: the mine''s, and a letter and number.';
comment on column landing.gem_mine_features.gem_mine_id is 'ID of the mine that it belongs to.';
comment on column landing.gem_mine_features.category is 'Kind of the feature.';
comment on column landing.gem_mine_features.subcategory is 'Kind of the feature, closer.';
comment on column landing.gem_mine_features.notes is 'How the feature was found, with sources.';
comment on column landing.gem_mine_features.description is 'What the feature is.';
comment on column landing.gem_mine_features.mine_name is 'Name of the mine in English.';
comment on column landing.gem_mine_features.country is 'Country or area of the mine.';
comment on column landing.gem_mine_features.owners is 'Owners with their shares.';
comment on column landing.gem_mine_features.owners_local is 'Owners in the language of the country.';
comment on column landing.gem_mine_features.parent_company is 'Parent companies with their shares.';
comment on column landing.gem_mine_features.wiki_url is 'Address of the mine''s page in GEM.wiki.';
comment on column landing.gem_mine_features.wiki_url_local is 'The same page in another language.';
comment on column landing.gem_mine_features.coal_grade is 'Use of the mine''s coal.';
comment on column landing.gem_mine_features.coordinates_precision is 'How the coordinates were found.';
comment on column landing.gem_mine_features.last_researched is 'Day of the last look at the mine.';
comment on column landing.gem_mine_features.data_source_date is 'Day of the source, if it has one.';
comment on column landing.gem_mine_features.build_version is 'Release and build of the file.';
comment on column landing.gem_mine_features.geometry_type is 'Point, Polygon …; the coordinates stay in the file.';
comment on column landing.gem_mine_features.other_values is 'Values of columns that the feed does not describe, by header; null when there are none.';

create table if not exists landing.world_bank_prices (
    file_id bigint not null,
    row_number integer not null,
    month date not null,
    coal_australian_usd_per_tonne double precision,
    coal_south_african_usd_per_tonne double precision,
    natural_gas_us_usd_per_mmbtu double precision,
    natural_gas_europe_usd_per_mmbtu double precision,
    crude_oil_average_usd_per_barrel double precision,
    other_values jsonb,
    primary key (file_id, row_number)
);
alter table landing.world_bank_prices add column if not exists month date;
alter table landing.world_bank_prices add column if not exists coal_australian_usd_per_tonne double precision;
alter table landing.world_bank_prices add column if not exists coal_south_african_usd_per_tonne double precision;
alter table landing.world_bank_prices add column if not exists natural_gas_us_usd_per_mmbtu double precision;
alter table landing.world_bank_prices add column if not exists natural_gas_europe_usd_per_mmbtu double precision;
alter table landing.world_bank_prices add column if not exists crude_oil_average_usd_per_barrel double precision;
alter table landing.world_bank_prices add column if not exists other_values jsonb;
call landing.follow_types('world_bank_prices', '{
    "file_id": "bigint",
    "row_number": "integer",
    "month": "date",
    "coal_australian_usd_per_tonne": "double precision",
    "coal_south_african_usd_per_tonne": "double precision",
    "natural_gas_us_usd_per_mmbtu": "double precision",
    "natural_gas_europe_usd_per_mmbtu": "double precision",
    "crude_oil_average_usd_per_barrel": "double precision",
    "other_values": "jsonb"
}');
comment on table landing.world_bank_prices is 'Commodity Price Data (The Pink Sheet), monthly (World Bank; CC BY 4.0).';
comment on column landing.world_bank_prices.file_id is 'The file in landing.files.';
comment on column landing.world_bank_prices.row_number is 'The row as a person sees it in the file, the header included.';
comment on column landing.world_bank_prices.month is 'First day of the month that the prices are the average of.';
comment on column landing.world_bank_prices.coal_australian_usd_per_tonne is 'Thermal coal, Newcastle, Australia. Unit: USD/tonne.';
comment on column landing.world_bank_prices.coal_south_african_usd_per_tonne is 'Thermal coal, Richards Bay, South Africa. Unit: USD/tonne.';
comment on column landing.world_bank_prices.natural_gas_us_usd_per_mmbtu is 'Natural gas, Henry Hub, United States. Unit: USD/MMBtu.';
comment on column landing.world_bank_prices.natural_gas_europe_usd_per_mmbtu is 'Natural gas, Europe. Unit: USD/MMBtu.';
comment on column landing.world_bank_prices.crude_oil_average_usd_per_barrel is 'Crude oil, average of Brent, Dubai and West Texas Intermediate. Unit: USD/barrel.';
comment on column landing.world_bank_prices.other_values is 'Values of columns that the feed does not describe, by header; null when there are none.';

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
    other_values jsonb,
    primary key (file_id, row_number)
);
alter table landing.owid_energy add column if not exists iso_code text;
alter table landing.owid_energy add column if not exists country text;
alter table landing.owid_energy add column if not exists as_of_year integer;
alter table landing.owid_energy add column if not exists coal_share_of_electricity_percent double precision;
alter table landing.owid_energy add column if not exists coal_production_twh double precision;
alter table landing.owid_energy add column if not exists coal_consumption_twh double precision;
alter table landing.owid_energy add column if not exists electricity_generation_twh double precision;
alter table landing.owid_energy add column if not exists coal_electricity_twh double precision;
alter table landing.owid_energy add column if not exists gas_electricity_twh double precision;
alter table landing.owid_energy add column if not exists coal_share_of_energy_percent double precision;
alter table landing.owid_energy add column if not exists other_values jsonb;
call landing.follow_types('owid_energy', '{
    "file_id": "bigint",
    "row_number": "integer",
    "iso_code": "text",
    "country": "text",
    "as_of_year": "integer",
    "coal_share_of_electricity_percent": "double precision",
    "coal_production_twh": "double precision",
    "coal_consumption_twh": "double precision",
    "electricity_generation_twh": "double precision",
    "coal_electricity_twh": "double precision",
    "gas_electricity_twh": "double precision",
    "coal_share_of_energy_percent": "double precision",
    "other_values": "jsonb"
}');
comment on table landing.owid_energy is 'Data on Energy (Our World in Data; CC BY 4.0).';
comment on column landing.owid_energy.file_id is 'The file in landing.files.';
comment on column landing.owid_energy.row_number is 'The row as a person sees it in the file, the header included.';
comment on column landing.owid_energy.iso_code is 'ISO 3166 alpha-3 code of the country, OWID_… for some regions, nothing for others.';
comment on column landing.owid_energy.country is 'Country or region, as Our World in Data names it.';
comment on column landing.owid_energy.as_of_year is 'Year that the row describes.';
comment on column landing.owid_energy.coal_share_of_electricity_percent is 'Share of the country''s electricity that is generated from coal. Unit: %.';
comment on column landing.owid_energy.coal_production_twh is 'Coal produced, as energy. Unit: TWh.';
comment on column landing.owid_energy.coal_consumption_twh is 'Primary energy consumed as coal. Unit: TWh.';
comment on column landing.owid_energy.electricity_generation_twh is 'Electricity generated. Unit: TWh.';
comment on column landing.owid_energy.coal_electricity_twh is 'Electricity generated from coal. Unit: TWh.';
comment on column landing.owid_energy.gas_electricity_twh is 'Electricity generated from gas. Unit: TWh.';
comment on column landing.owid_energy.coal_share_of_energy_percent is 'Share of primary energy consumption that comes from coal. Unit: %.';
comment on column landing.owid_energy.other_values is 'Values of columns that the feed does not describe, by header; null when there are none.';

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
    other_values jsonb,
    primary key (file_id, row_number)
);
alter table landing.owid_co2 add column if not exists iso_code text;
alter table landing.owid_co2 add column if not exists country text;
alter table landing.owid_co2 add column if not exists as_of_year integer;
alter table landing.owid_co2 add column if not exists co2_million_tonnes double precision;
alter table landing.owid_co2 add column if not exists coal_co2_million_tonnes double precision;
alter table landing.owid_co2 add column if not exists population double precision;
alter table landing.owid_co2 add column if not exists gdp_usd double precision;
alter table landing.owid_co2 add column if not exists other_values jsonb;
call landing.follow_types('owid_co2', '{
    "file_id": "bigint",
    "row_number": "integer",
    "iso_code": "text",
    "country": "text",
    "as_of_year": "integer",
    "co2_million_tonnes": "double precision",
    "coal_co2_million_tonnes": "double precision",
    "population": "double precision",
    "gdp_usd": "double precision",
    "other_values": "jsonb"
}');
comment on table landing.owid_co2 is 'Data on CO2 and Greenhouse Gas Emissions (Our World in Data; CC BY 4.0).';
comment on column landing.owid_co2.file_id is 'The file in landing.files.';
comment on column landing.owid_co2.row_number is 'The row as a person sees it in the file, the header included.';
comment on column landing.owid_co2.iso_code is 'ISO 3166 alpha-3 code of the country, OWID_… for some regions, nothing for others.';
comment on column landing.owid_co2.country is 'Country or region, as Our World in Data names it.';
comment on column landing.owid_co2.as_of_year is 'Year that the row describes.';
comment on column landing.owid_co2.co2_million_tonnes is 'CO2 emitted by the territory, without land-use change. Unit: million tonnes.';
comment on column landing.owid_co2.coal_co2_million_tonnes is 'CO2 from coal. Unit: million tonnes.';
comment on column landing.owid_co2.population is 'Population of the country. Unit: people.';
comment on column landing.owid_co2.gdp_usd is 'Gross domestic product, adjusted for inflation and differences in the cost of living. Unit: international-$.';
comment on column landing.owid_co2.other_values is 'Values of columns that the feed does not describe, by header; null when there are none.';

create table if not exists landing.eia_api_mine_production (
    file_id bigint not null,
    row_number integer not null,
    as_of_year integer not null,
    msha_id text check (msha_id ~ '^[0-9]{7}$'),
    mine_name text,
    state_code text,
    state text,
    county_code text,
    county text,
    supply_region_code text,
    supply_region text,
    mine_status_code text,
    mine_status text,
    mine_type_code text,
    mine_type text,
    coal_rank_code text,
    coal_rank text,
    operating_company text,
    operating_company_address text,
    production_short_tons double precision,
    average_employees double precision,
    labor_hours double precision,
    latitude double precision,
    longitude double precision,
    refuse_flag text,
    other_values jsonb,
    primary key (file_id, row_number)
);
alter table landing.eia_api_mine_production add column if not exists as_of_year integer;
alter table landing.eia_api_mine_production add column if not exists msha_id text check (msha_id ~ '^[0-9]{7}$');
alter table landing.eia_api_mine_production add column if not exists mine_name text;
alter table landing.eia_api_mine_production add column if not exists state_code text;
alter table landing.eia_api_mine_production add column if not exists state text;
alter table landing.eia_api_mine_production add column if not exists county_code text;
alter table landing.eia_api_mine_production add column if not exists county text;
alter table landing.eia_api_mine_production add column if not exists supply_region_code text;
alter table landing.eia_api_mine_production add column if not exists supply_region text;
alter table landing.eia_api_mine_production add column if not exists mine_status_code text;
alter table landing.eia_api_mine_production add column if not exists mine_status text;
alter table landing.eia_api_mine_production add column if not exists mine_type_code text;
alter table landing.eia_api_mine_production add column if not exists mine_type text;
alter table landing.eia_api_mine_production add column if not exists coal_rank_code text;
alter table landing.eia_api_mine_production add column if not exists coal_rank text;
alter table landing.eia_api_mine_production add column if not exists operating_company text;
alter table landing.eia_api_mine_production add column if not exists operating_company_address text;
alter table landing.eia_api_mine_production add column if not exists production_short_tons double precision;
alter table landing.eia_api_mine_production add column if not exists average_employees double precision;
alter table landing.eia_api_mine_production add column if not exists labor_hours double precision;
alter table landing.eia_api_mine_production add column if not exists latitude double precision;
alter table landing.eia_api_mine_production add column if not exists longitude double precision;
alter table landing.eia_api_mine_production add column if not exists refuse_flag text;
alter table landing.eia_api_mine_production add column if not exists other_values jsonb;
call landing.follow_types('eia_api_mine_production', '{
    "file_id": "bigint",
    "row_number": "integer",
    "as_of_year": "integer",
    "msha_id": "text",
    "mine_name": "text",
    "state_code": "text",
    "state": "text",
    "county_code": "text",
    "county": "text",
    "supply_region_code": "text",
    "supply_region": "text",
    "mine_status_code": "text",
    "mine_status": "text",
    "mine_type_code": "text",
    "mine_type": "text",
    "coal_rank_code": "text",
    "coal_rank": "text",
    "operating_company": "text",
    "operating_company_address": "text",
    "production_short_tons": "double precision",
    "average_employees": "double precision",
    "labor_hours": "double precision",
    "latitude": "double precision",
    "longitude": "double precision",
    "refuse_flag": "text",
    "other_values": "jsonb"
}');
comment on table landing.eia_api_mine_production is 'Open Data API v2: coal mine production, by year (U.S. Energy Information Administration; public domain).';
comment on column landing.eia_api_mine_production.file_id is 'The file in landing.files.';
comment on column landing.eia_api_mine_production.row_number is 'The row as a person sees it in the file, the header included.';
comment on column landing.eia_api_mine_production.as_of_year is 'Year that the row describes.';
comment on column landing.eia_api_mine_production.msha_id is 'ID of the mine at the U.S. Mine Safety and Health Administration, with its leading zeros (seven digits)';
comment on column landing.eia_api_mine_production.mine_name is 'Name of the mine.';
comment on column landing.eia_api_mine_production.state_code is 'Code of the mine''s state or basin.';
comment on column landing.eia_api_mine_production.state is 'State of the mine, some with their part: Kentucky (East)';
comment on column landing.eia_api_mine_production.county_code is 'Code of the mine''s county.';
comment on column landing.eia_api_mine_production.county is 'County of the mine.';
comment on column landing.eia_api_mine_production.supply_region_code is 'Code of the coal supply region.';
comment on column landing.eia_api_mine_production.supply_region is 'Coal supply region.';
comment on column landing.eia_api_mine_production.mine_status_code is 'Code of the status.';
comment on column landing.eia_api_mine_production.mine_status is 'Status at or after the end of the year.';
comment on column landing.eia_api_mine_production.mine_type_code is 'Code of the kind of mine.';
comment on column landing.eia_api_mine_production.mine_type is 'Surface, underground or refuse.';
comment on column landing.eia_api_mine_production.coal_rank_code is 'Code of the rank of coal.';
comment on column landing.eia_api_mine_production.coal_rank is 'Rank of the coal.';
comment on column landing.eia_api_mine_production.operating_company is 'Company that operates the mine.';
comment on column landing.eia_api_mine_production.operating_company_address is 'Its address.';
comment on column landing.eia_api_mine_production.production_short_tons is 'Coal produced in the year. Unit: short tons.';
comment on column landing.eia_api_mine_production.average_employees is 'Average number of employees in the year. Unit: people.';
comment on column landing.eia_api_mine_production.labor_hours is 'Hours worked in the year. Unit: hours.';
comment on column landing.eia_api_mine_production.latitude is 'Latitude of the mine. Unit: °.';
comment on column landing.eia_api_mine_production.longitude is 'Longitude of the mine. Unit: °.';
comment on column landing.eia_api_mine_production.refuse_flag is 'Whether the coal was recovered from refuse.';
comment on column landing.eia_api_mine_production.other_values is 'Values of columns that the feed does not describe, by header; null when there are none.';

create table if not exists landing.eia_api_coal_prices (
    file_id bigint not null,
    row_number integer not null,
    as_of_year integer not null,
    region_code text not null,
    region text,
    coal_rank_code text not null,
    coal_rank text,
    price_usd_per_short_ton double precision,
    other_values jsonb,
    primary key (file_id, row_number)
);
alter table landing.eia_api_coal_prices add column if not exists as_of_year integer;
alter table landing.eia_api_coal_prices add column if not exists region_code text;
alter table landing.eia_api_coal_prices add column if not exists region text;
alter table landing.eia_api_coal_prices add column if not exists coal_rank_code text;
alter table landing.eia_api_coal_prices add column if not exists coal_rank text;
alter table landing.eia_api_coal_prices add column if not exists price_usd_per_short_ton double precision;
alter table landing.eia_api_coal_prices add column if not exists other_values jsonb;
call landing.follow_types('eia_api_coal_prices', '{
    "file_id": "bigint",
    "row_number": "integer",
    "as_of_year": "integer",
    "region_code": "text",
    "region": "text",
    "coal_rank_code": "text",
    "coal_rank": "text",
    "price_usd_per_short_ton": "double precision",
    "other_values": "jsonb"
}');
comment on table landing.eia_api_coal_prices is 'Open Data API v2: coal prices by rank and region (U.S. Energy Information Administration; public domain).';
comment on column landing.eia_api_coal_prices.file_id is 'The file in landing.files.';
comment on column landing.eia_api_coal_prices.row_number is 'The row as a person sees it in the file, the header included.';
comment on column landing.eia_api_coal_prices.as_of_year is 'Year that the row describes.';
comment on column landing.eia_api_coal_prices.region_code is 'Code of the state or region.';
comment on column landing.eia_api_coal_prices.region is 'State or region.';
comment on column landing.eia_api_coal_prices.coal_rank_code is 'Code of the rank of coal, TOT for all.';
comment on column landing.eia_api_coal_prices.coal_rank is 'Rank of the coal.';
comment on column landing.eia_api_coal_prices.price_usd_per_short_ton is 'Average price at the mine; nothing where it would show one company''s. Unit: $/short ton.';
comment on column landing.eia_api_coal_prices.other_values is 'Values of columns that the feed does not describe, by header; null when there are none.';

create table if not exists landing.world_bank_indicators (
    file_id bigint not null,
    row_number integer not null,
    indicator_code text not null,
    indicator_name text,
    country_iso2 text,
    country text not null,
    country_iso3 text,
    as_of_year integer not null,
    value double precision,
    unit text,
    observation_status text,
    decimals text,
    other_values jsonb,
    primary key (file_id, row_number)
);
alter table landing.world_bank_indicators add column if not exists indicator_code text;
alter table landing.world_bank_indicators add column if not exists indicator_name text;
alter table landing.world_bank_indicators add column if not exists country_iso2 text;
alter table landing.world_bank_indicators add column if not exists country text;
alter table landing.world_bank_indicators add column if not exists country_iso3 text;
alter table landing.world_bank_indicators add column if not exists as_of_year integer;
alter table landing.world_bank_indicators add column if not exists value double precision;
alter table landing.world_bank_indicators add column if not exists unit text;
alter table landing.world_bank_indicators add column if not exists observation_status text;
alter table landing.world_bank_indicators add column if not exists decimals text;
alter table landing.world_bank_indicators add column if not exists other_values jsonb;
call landing.follow_types('world_bank_indicators', '{
    "file_id": "bigint",
    "row_number": "integer",
    "indicator_code": "text",
    "indicator_name": "text",
    "country_iso2": "text",
    "country": "text",
    "country_iso3": "text",
    "as_of_year": "integer",
    "value": "double precision",
    "unit": "text",
    "observation_status": "text",
    "decimals": "text",
    "other_values": "jsonb"
}');
comment on table landing.world_bank_indicators is 'World Development Indicators, API v2 (World Bank; CC BY 4.0).';
comment on column landing.world_bank_indicators.file_id is 'The file in landing.files.';
comment on column landing.world_bank_indicators.row_number is 'The row as a person sees it in the file, the header included.';
comment on column landing.world_bank_indicators.indicator_code is 'Code of the indicator.';
comment on column landing.world_bank_indicators.indicator_name is 'The indicator in words.';
comment on column landing.world_bank_indicators.country_iso2 is 'Two-letter code of the country or group.';
comment on column landing.world_bank_indicators.country is 'Country or group of countries.';
comment on column landing.world_bank_indicators.country_iso3 is 'Three-letter code of the country or group, nothing for some groups.';
comment on column landing.world_bank_indicators.as_of_year is 'Year that the row describes.';
comment on column landing.world_bank_indicators.value is 'The indicator''s value; nothing where none is known.';
comment on column landing.world_bank_indicators.unit is 'Unit, where the World Bank states one.';
comment on column landing.world_bank_indicators.observation_status is 'The World Bank''s mark of an estimate or forecast.';
comment on column landing.world_bank_indicators.decimals is 'Decimals that the World Bank shows.';
comment on column landing.world_bank_indicators.other_values is 'Values of columns that the feed does not describe, by header; null when there are none.';

create table if not exists landing.un_comtrade_coal (
    file_id bigint not null,
    row_number integer not null,
    as_of_year integer not null,
    reporter_code text not null,
    reporter_iso3 text,
    reporter text,
    flow_code text not null,
    partner_code text not null,
    commodity_code text not null,
    commodity text,
    net_weight_kg double precision,
    net_weight_estimated text,
    value_usd double precision,
    reported text,
    other_values jsonb,
    primary key (file_id, row_number)
);
alter table landing.un_comtrade_coal add column if not exists as_of_year integer;
alter table landing.un_comtrade_coal add column if not exists reporter_code text;
alter table landing.un_comtrade_coal add column if not exists reporter_iso3 text;
alter table landing.un_comtrade_coal add column if not exists reporter text;
alter table landing.un_comtrade_coal add column if not exists flow_code text;
alter table landing.un_comtrade_coal add column if not exists partner_code text;
alter table landing.un_comtrade_coal add column if not exists commodity_code text;
alter table landing.un_comtrade_coal add column if not exists commodity text;
alter table landing.un_comtrade_coal add column if not exists net_weight_kg double precision;
alter table landing.un_comtrade_coal add column if not exists net_weight_estimated text;
alter table landing.un_comtrade_coal add column if not exists value_usd double precision;
alter table landing.un_comtrade_coal add column if not exists reported text;
alter table landing.un_comtrade_coal add column if not exists other_values jsonb;
call landing.follow_types('un_comtrade_coal', '{
    "file_id": "bigint",
    "row_number": "integer",
    "as_of_year": "integer",
    "reporter_code": "text",
    "reporter_iso3": "text",
    "reporter": "text",
    "flow_code": "text",
    "partner_code": "text",
    "commodity_code": "text",
    "commodity": "text",
    "net_weight_kg": "double precision",
    "net_weight_estimated": "text",
    "value_usd": "double precision",
    "reported": "text",
    "other_values": "jsonb"
}');
comment on table landing.un_comtrade_coal is 'UN Comtrade: trade in coal (HS 2701) with the world, by year (United Nations; UN Comtrade''s terms: internal use and derived results, no passing on of the data).';
comment on column landing.un_comtrade_coal.file_id is 'The file in landing.files.';
comment on column landing.un_comtrade_coal.row_number is 'The row as a person sees it in the file, the header included.';
comment on column landing.un_comtrade_coal.as_of_year is 'Year that the row describes.';
comment on column landing.un_comtrade_coal.reporter_code is 'UN code of the country that reports.';
comment on column landing.un_comtrade_coal.reporter_iso3 is 'Three-letter code of the country that reports.';
comment on column landing.un_comtrade_coal.reporter is 'Country that reports.';
comment on column landing.un_comtrade_coal.flow_code is 'M for imports, X for exports.';
comment on column landing.un_comtrade_coal.partner_code is 'UN code of the other side; 0 is the world.';
comment on column landing.un_comtrade_coal.commodity_code is 'Code of the Harmonised System.';
comment on column landing.un_comtrade_coal.commodity is 'The commodity in words.';
comment on column landing.un_comtrade_coal.net_weight_kg is 'Net weight; 0 where it is not known. Unit: kg.';
comment on column landing.un_comtrade_coal.net_weight_estimated is 'Whether the weight is estimated: true or false.';
comment on column landing.un_comtrade_coal.value_usd is 'Value: imports with freight, exports without. Unit: $.';
comment on column landing.un_comtrade_coal.reported is 'Whether the country reported this total itself: true or false.';
comment on column landing.un_comtrade_coal.other_values is 'Values of columns that the feed does not describe, by header; null when there are none.';

create table if not exists landing.imf_outlook (
    file_id bigint not null,
    row_number integer not null,
    indicator_code text not null,
    country_code text not null,
    as_of_year integer not null,
    value double precision,
    other_values jsonb,
    primary key (file_id, row_number)
);
alter table landing.imf_outlook add column if not exists indicator_code text;
alter table landing.imf_outlook add column if not exists country_code text;
alter table landing.imf_outlook add column if not exists as_of_year integer;
alter table landing.imf_outlook add column if not exists value double precision;
alter table landing.imf_outlook add column if not exists other_values jsonb;
call landing.follow_types('imf_outlook', '{
    "file_id": "bigint",
    "row_number": "integer",
    "indicator_code": "text",
    "country_code": "text",
    "as_of_year": "integer",
    "value": "double precision",
    "other_values": "jsonb"
}');
comment on table landing.imf_outlook is 'World Economic Outlook, DataMapper API (International Monetary Fund; IMF''s terms: free use with attribution).';
comment on column landing.imf_outlook.file_id is 'The file in landing.files.';
comment on column landing.imf_outlook.row_number is 'The row as a person sees it in the file, the header included.';
comment on column landing.imf_outlook.indicator_code is 'Code of the indicator.';
comment on column landing.imf_outlook.country_code is 'Code of the country (ISO) or group.';
comment on column landing.imf_outlook.as_of_year is 'Year that the row describes, past or projected.';
comment on column landing.imf_outlook.value is 'Annual change. Unit: %.';
comment on column landing.imf_outlook.other_values is 'Values of columns that the feed does not describe, by header; null when there are none.';
