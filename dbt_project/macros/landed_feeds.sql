{# Generated from fvi_pipeline/feeds/catalogue by `python -m fvi_pipeline.feeds.generate`: change the description. #}
{% macro landed_feeds() -%}
{{ return({
    "eia_coal_mines": {
        "table": "eia_coal_mines",
        "part": "",
        "columns": [
            "file_id",
            "row_number",
            "as_of_year",
            "msha_id",
            "mine_name",
            "mine_state",
            "mine_county",
            "mine_basin",
            "coal_supply_region",
            "mine_status",
            "mine_type",
            "company_type",
            "operation_type",
            "operating_company",
            "operating_company_address",
            "union_code",
            "production_short_tons",
            "average_employees",
            "labor_hours",
            "other_values"
        ],
        "period": {}
    },
    "gem_coal_mines": {
        "table": "gem_coal_mines",
        "part": "sheet",
        "columns": [
            "file_id",
            "sheet",
            "row_number",
            "gem_mine_id",
            "msha_id",
            "country",
            "mine_name",
            "mine_name_aliases",
            "mine_name_local",
            "wiki_url",
            "wiki_url_local",
            "status",
            "status_detail",
            "project_type",
            "project_phase",
            "owners",
            "owners_local",
            "owners_entity_id",
            "parent_company",
            "parent_entity_id",
            "company_headquarters",
            "capacity_mt_per_year",
            "production_mt_per_year",
            "production_year",
            "output_million_short_tons",
            "mine_type",
            "mining_method",
            "mine_size_km2",
            "mine_depth_m",
            "depth_accuracy",
            "workforce_size",
            "workforce_accuracy",
            "coal_type",
            "coal_grade",
            "reserves_mt",
            "reserves_recorded",
            "resources_mt",
            "reserve_to_production_years",
            "opening_year",
            "closing_year",
            "reported_life_years",
            "closure_reason",
            "site_status",
            "coalfield",
            "location",
            "prefecture_district",
            "state_province",
            "subregion",
            "region",
            "latitude",
            "longitude",
            "location_accuracy",
            "primary_consumer",
            "consumer_name",
            "consumer_wiki_url",
            "reported_methane_thousand_tonnes_co2e",
            "reported_methane_thousand_tonnes",
            "reported_methane_year",
            "methane_million_m3_per_year",
            "methane_million_tonnes_per_year",
            "co2e_20_years_million_tonnes",
            "co2e_100_years_million_tonnes",
            "other_values"
        ],
        "period": {}
    },
    "gem_mine_features": {
        "table": "gem_mine_features",
        "part": "",
        "columns": [
            "file_id",
            "row_number",
            "feature_id",
            "gem_mine_id",
            "category",
            "subcategory",
            "notes",
            "description",
            "mine_name",
            "country",
            "owners",
            "owners_local",
            "parent_company",
            "wiki_url",
            "wiki_url_local",
            "coal_grade",
            "coordinates_precision",
            "last_researched",
            "data_source_date",
            "build_version",
            "geometry_type",
            "other_values"
        ],
        "period": {}
    },
    "world_bank_prices": {
        "table": "world_bank_prices",
        "part": "",
        "columns": [
            "file_id",
            "row_number",
            "month",
            "coal_australian_usd_per_tonne",
            "coal_south_african_usd_per_tonne",
            "natural_gas_us_usd_per_mmbtu",
            "natural_gas_europe_usd_per_mmbtu",
            "crude_oil_average_usd_per_barrel",
            "other_values"
        ],
        "period": {
            "columns": [
                "month"
            ],
            "public_at": "(r.month + interval '1 month' + interval '7 days') at time zone 'UTC'"
        }
    },
    "owid_energy": {
        "table": "owid_energy",
        "part": "",
        "columns": [
            "file_id",
            "row_number",
            "iso_code",
            "country",
            "as_of_year",
            "coal_share_of_electricity_percent",
            "coal_production_twh",
            "coal_consumption_twh",
            "electricity_generation_twh",
            "coal_electricity_twh",
            "gas_electricity_twh",
            "coal_share_of_energy_percent",
            "other_values"
        ],
        "period": {
            "columns": [
                "country",
                "as_of_year"
            ],
            "public_at": "make_timestamptz(r.as_of_year + 1, 10, 1, 0, 0, 0, 'UTC')"
        }
    },
    "owid_co2": {
        "table": "owid_co2",
        "part": "",
        "columns": [
            "file_id",
            "row_number",
            "iso_code",
            "country",
            "as_of_year",
            "co2_million_tonnes",
            "coal_co2_million_tonnes",
            "population",
            "gdp_usd",
            "other_values"
        ],
        "period": {
            "columns": [
                "country",
                "as_of_year"
            ],
            "public_at": "make_timestamptz(r.as_of_year + 1, 10, 1, 0, 0, 0, 'UTC')"
        }
    },
    "eia_api_mine_production": {
        "table": "eia_api_mine_production",
        "part": "",
        "columns": [
            "file_id",
            "row_number",
            "as_of_year",
            "msha_id",
            "mine_name",
            "state_code",
            "state",
            "county_code",
            "county",
            "supply_region_code",
            "supply_region",
            "mine_status_code",
            "mine_status",
            "mine_type_code",
            "mine_type",
            "coal_rank_code",
            "coal_rank",
            "operating_company",
            "operating_company_address",
            "production_short_tons",
            "average_employees",
            "labor_hours",
            "latitude",
            "longitude",
            "refuse_flag",
            "other_values"
        ],
        "period": {}
    },
    "eia_api_coal_prices": {
        "table": "eia_api_coal_prices",
        "part": "",
        "columns": [
            "file_id",
            "row_number",
            "as_of_year",
            "region_code",
            "region",
            "coal_rank_code",
            "coal_rank",
            "price_usd_per_short_ton",
            "other_values"
        ],
        "period": {
            "columns": [
                "as_of_year",
                "region_code",
                "coal_rank_code"
            ],
            "public_at": "case when f.restates_file_id is null then make_timestamptz(r.as_of_year + 2, 4, 1, 0, 0, 0, 'UTC') end"
        }
    },
    "world_bank_indicators": {
        "table": "world_bank_indicators",
        "part": "",
        "columns": [
            "file_id",
            "row_number",
            "indicator_code",
            "indicator_name",
            "country_iso2",
            "country",
            "country_iso3",
            "as_of_year",
            "value",
            "unit",
            "observation_status",
            "decimals",
            "other_values"
        ],
        "period": {
            "columns": [
                "indicator_code",
                "country",
                "as_of_year"
            ],
            "public_at": "case when f.restates_file_id is null and r.indicator_code = 'NY.GDP.PCAP.CD' then make_timestamptz(r.as_of_year + 1, 10, 1, 0, 0, 0, 'UTC') end"
        }
    },
    "un_comtrade_coal": {
        "table": "un_comtrade_coal",
        "part": "",
        "columns": [
            "file_id",
            "row_number",
            "as_of_year",
            "reporter_code",
            "reporter_iso3",
            "reporter",
            "flow_code",
            "partner_code",
            "commodity_code",
            "commodity",
            "net_weight_kg",
            "net_weight_estimated",
            "value_usd",
            "reported",
            "other_values"
        ],
        "period": {}
    },
    "imf_outlook": {
        "table": "imf_outlook",
        "part": "",
        "columns": [
            "file_id",
            "row_number",
            "indicator_code",
            "country_code",
            "as_of_year",
            "value",
            "other_values"
        ],
        "period": {
            "columns": [
                "indicator_code",
                "country_code",
                "as_of_year"
            ],
            "public_at": "case when f.restates_file_id is null then make_timestamptz(r.as_of_year + 1, 10, 1, 0, 0, 0, 'UTC') end"
        }
    }
}) }}
{%- endmacro %}
