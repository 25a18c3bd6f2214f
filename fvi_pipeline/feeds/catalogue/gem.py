"""The feeds of Global Energy Monitor. Descriptions only: how one is read belongs to `parse`."""

from __future__ import annotations

from fvi_pipeline.feeds.catalogue.columns import (
    LABEL,
    NAME,
    WEB_ADDRESS,
    WORDS,
    msha_id,
    number,
    text,
    year,
)
from fvi_pipeline.feeds.description import Column, Feed, Form, Freshness, Kind, Part
from fvi_pipeline.feeds.read_geojson import GEOMETRY_TYPE
from fvi_pipeline.feeds.releases import gem_features_release, gem_tracker_release

_GEM_NOTHING = frozenset({"", "-", "–", "—", "--", "*", "＊"})
_GEM_FORM = "https://globalenergymonitor.org/projects/global-coal-mine-tracker/download-data/"
_MINE_ID = "M[0-9]{4,6}"
_ENTITY_IDS = r"(?i)[a-z]*[0-9]+( *\[[^\]]*\])?([;, ]+[a-z]*[0-9]+( *\[[^\]]*\])?)*"

_SUBREGIONS = "|".join(
    (
        "northern africa|sub-saharan africa|eastern africa|middle africa|southern africa|western africa",
        "latin america and the caribbean|caribbean|central america|south america|northern america",
        "central asia|eastern asia|south-eastern asia|southern asia|western asia",
        "eastern europe|northern europe|southern europe|western europe",
        "australia and new zealand|melanesia|micronesia|polynesia",
    )
)

_IDENTITY = (
    text(
        "gem_mine_id",
        "gem mine id",
        "mine ids",
        "mine id",
        required=True,
        pattern=_MINE_ID,
        about="ID of the mine; phases may share one",
    ),
    msha_id("msha id"),
    text("country", "country", "country / area", "country/area", pattern=LABEL, about="Country or area of the mine"),
    text("mine_name", "mine name", pattern=NAME, about="Name of the mine in English"),
    text("mine_name_aliases", "mine name akas", about="Other names of the mine"),
    text("mine_name_local", "mine name (non-eng)", about="Name of the mine in the language of its country"),
    text(
        "wiki_url",
        "gem wiki urls",
        "gem wiki page (eng)",
        "gem wiki url",
        "gem wiki page",
        pattern=WEB_ADDRESS,
        about="Address of the mine's page in GEM.wiki",
    ),
    text("wiki_url_local", "gem wiki page (non-eng)", pattern=WEB_ADDRESS, about="The same page in another language"),
    text(
        "status",
        "status",
        one_of="operating|proposed|mothballed|shelved|cancelled|canceled|closed",
        about="Status of the mine; the sheet of closed mines has none",
    ),
    text("status_detail", "status detail", about="How far a project is, or why a mine rests"),
    text("project_type", "project type", pattern=LABEL, about="New, Expansion, Extension or Recommission"),
    text("project_phase", "project phase", about="Phase of a project whose mine has several rows"),
)

_OWNERSHIP = (
    text("owners", "owners", pattern=NAME, about="Owners with their shares"),
    text("owners_local", "owners (non-eng)", pattern=NAME, about="Owners in the language of the country"),
    text("owners_entity_id", "owners gem entity id", pattern=_ENTITY_IDS, about="IDs of the owners at GEM"),
    text("parent_company", "parent company", pattern=NAME, about="Parent companies with their shares"),
    text(
        "parent_entity_id",
        "parent gem entity id",
        "parents gem entity id",
        pattern=_ENTITY_IDS,
        about="IDs of the parent companies at GEM",
    ),
    text("company_headquarters", "company hqs", pattern=LABEL, about="Country of the company's headquarters"),
)

_OPERATION = (
    number(
        "capacity_mt_per_year",
        "capacity (mtpa)",
        about="Output that the mine is designed for",
        unit="million tonnes/year",
        maximum=1_000,
    ),
    number(
        "production_mt_per_year",
        "production (mtpa)",
        about="Output in the year of production",
        unit="million tonnes/year",
        maximum=1_000,
    ),
    year("production_year", "year of production", about="Year of the production figure"),
    number(
        "output_million_short_tons",
        "coal output (annual, mst)",
        about="Output of a U.S. mine in the year of production",
        unit="million short tons",
        maximum=1_000,
    ),
    text(
        "mine_type",
        "mine type",
        one_of="underground|surface|underground & surface|surface & underground",
        about="Underground, Surface or both",
    ),
    text("mining_method", "mining method", pattern=LABEL, about="Open Pit, Longwall, Bord and Pillar …"),
    number("mine_size_km2", "mine size (km2)", about="Area of the mine", unit="km²", maximum=100_000),
    number("mine_depth_m", "mine depth (m)", about="Depth of the mine", unit="m", maximum=10_000),
    text("depth_accuracy", "depth accuracy", one_of="exact|estimate", about="Whether the depth is an estimate"),
    number("workforce_size", "workforce size", about="Number of workers", unit="people", maximum=1_000_000),
    text(
        "workforce_accuracy",
        "workforce accuracy",
        one_of="exact|estimate",
        about="Whether the number of workers is an estimate",
    ),
)

_COAL = (
    text("coal_type", "coal type", pattern=LABEL, about="Rank of the coal: Bituminous, Lignite …"),
    text(
        "coal_grade",
        "coal grade",
        one_of="thermal|met|thermal & met|met & thermal",
        about="Use of the coal: Thermal (heat and power), Met (steel) or both",
    ),
    number(
        "reserves_mt",
        "total reserves (proven and probable, mt)",
        about="Proven and probable reserves",
        unit="million tonnes",
        maximum=1_000_000,
    ),
    text("reserves_recorded", "year of total reserves recorded", about="Year or day of the reserves, as printed"),
    number(
        "resources_mt",
        "total resource (inferred, indicated, measured)",
        about="Inferred, indicated and measured resources",
        unit="million tonnes",
        maximum=1_000_000,
    ),
    number(
        "reserve_to_production_years",
        "reserve to production ratio (r/p)",
        about="Years that the reserves last at the present output",
        unit="years",
        maximum=1_000_000,
    ),
)

_LIFE = (
    year("opening_year", "opening year", minimum=1500, about="Year in which the mine opened or is to open"),
    year("closing_year", "closing year", minimum=1500, about="Year in which the mine closed or is to close"),
    number(
        "reported_life_years",
        "reported life of mine",
        about="Life of the mine as its owner states it",
        unit="years",
        maximum=10_000,
    ),
    text("closure_reason", "reason for closure", pattern=LABEL, about="Why the mine was closed"),
    text("site_status", "mine site status", pattern=LABEL, about="What became of the site of a closed mine"),
)

_PLACE = (
    text("coalfield", "coalfield", pattern=NAME, about="Coalfield of the mine"),
    text("location", "location", about="Place nearest to the mine"),
    text("prefecture_district", "prefecture, district", pattern=NAME, about="Prefecture or district of the mine"),
    text("state_province", "state, province", pattern=NAME, about="State or province of the mine"),
    text("subregion", "subregion", one_of=_SUBREGIONS, about="Part of the world, as the United Nations divide it"),
    text("region", "region", one_of="africa|americas|asia|europe|oceania", about="Part of the world"),
    number("latitude", "latitude", about="Latitude of the mine", unit="degrees", minimum=-90, maximum=90),
    number("longitude", "longitude", about="Longitude of the mine", unit="degrees", minimum=-180, maximum=180),
    text("location_accuracy", "location accuracy", one_of="exact|approximate", about="Whether the place is exact"),
    text("primary_consumer", "primary consumer, destination", pattern=NAME, about="Kind of the main customer"),
    text("consumer_name", "coal plant, steel plant, terminal", pattern=NAME, about="Plants or terminals supplied"),
    text(
        "consumer_wiki_url",
        "coal plant, steel plant, terminal gem wiki",
        pattern=WEB_ADDRESS,
        about="Addresses of their pages in GEM.wiki",
    ),
)

_METHANE = (
    number(
        "reported_methane_thousand_tonnes_co2e",
        "reported coal mine methane emissions (thousand tonnes co2e)",
        about="Methane as reported by the mine, in the releases that state it as CO2 equivalent",
        unit="thousand tonnes CO2e",
        maximum=1_000_000,
    ),
    number(
        "reported_methane_thousand_tonnes",
        "reported coal mine methane emissions (thousand tonnes per year)",
        "reported coal mine methane emissions (thousand tonnes ch4)",
        about="Methane as reported by the mine, in the releases that state it as methane",
        unit="thousand tonnes/year",
        maximum=1_000_000,
    ),
    year(
        "reported_methane_year",
        "year of reported coal mine methane emissions",
        about="Year of the reported methane",
    ),
    number(
        "methane_million_m3_per_year",
        "gem coal mine methane emissions estimate (mcm/yr)",
        "coal mine methane emissions estimate (mcm/yr)",
        about="Methane as GEM estimates it, as a volume",
        unit="million m³/year",
        maximum=1_000_000,
    ),
    number(
        "methane_million_tonnes_per_year",
        "gem coal mine methane emissions estimate (m tonnes/yr)",
        "gem coal mine methane emissions estimate (mt/yr)",
        about="Methane as GEM estimates it",
        unit="million tonnes/year",
        maximum=1_000,
    ),
    number(
        "co2e_20_years_million_tonnes",
        "cmm emissions (co2e 20 years)",
        about="Estimated methane by its warming over 20 years",
        unit="million tonnes CO2e/year",
        maximum=10_000,
    ),
    number(
        "co2e_100_years_million_tonnes",
        "cmm emissions (co2e 100 years)",
        about="Estimated methane by its warming over 100 years",
        unit="million tonnes CO2e/year",
        maximum=10_000,
    ),
)

_GEM_COLUMNS = (*_IDENTITY, *_OWNERSHIP, *_OPERATION, *_COAL, *_LIFE, *_PLACE, *_METHANE)

GEM_COAL_MINES = Feed(
    name="gem_coal_mines",
    publisher="Global Energy Monitor",
    title="Global Coal Mine Tracker",
    licence="CC BY 4.0",
    attribution="Global Energy Monitor, Global Coal Mine Tracker",
    summary="Coal mines and projects worldwide, open and closed: status, owners, capacity, reserves, place, methane.",
    folder="gem",
    patterns=("*.xlsx", "*.xls", "*.csv"),
    form=frozenset({Form.WORKBOOK, Form.SPREADSHEETML, Form.CSV}),
    table="gem_coal_mines",
    parts=(
        # some releases give a closing year for mines that are open, too; only the closed ones have a reason for it
        Part("closed", frozenset({"gem mine id", "mine name", "closing year", "reason for closure"}), _GEM_COLUMNS),
        # a sheet of past production also has the ID, the name and the status
        Part("open", frozenset({"gem mine id", "mine name", "status", "opening year"}), _GEM_COLUMNS),
    ),
    release=gem_tracker_release,
    part_column="sheet",
    null_tokens=_GEM_NOTHING,
    unstated_tokens=frozenset({"tbd", "n/a", "unknown", "not found", "various"}),
    loose_numbers=True,
    keys=("gem_mine_id", "mine_name", "project_phase", "status"),
    publication_lag="a release is known from the last day of the month that it is named after",
    freshness=Freshness(warn_days=400, error_days=800),
    shifted_row_signs=2,
    # the last columns are all numbers: only an empty cell at the end tells of a row that has slipped to the left
    filled_together=(
        ("latitude", "longitude"),
        (
            "methane_million_m3_per_year",
            "methane_million_tonnes_per_year",
            "co2e_20_years_million_tonnes",
            "co2e_100_years_million_tonnes",
        ),
    ),
    manual_download=f"Global Energy Monitor asks for a form; put the tracker's workbook in gem/: {_GEM_FORM}",
)

GEM_MINE_FEATURES = Feed(
    name="gem_mine_features",
    publisher="Global Energy Monitor",
    title="Coal Mine Boundaries and Methane Sources",
    licence="CC BY 4.0",
    attribution="Global Energy Monitor, Coal Mine Boundaries and Methane Sources",
    summary="Boundaries, shafts, plants and methane sources of coal mines, with notes on where each was found.",
    folder="gem",
    patterns=("*.geojson",),
    form=frozenset({Form.GEOJSON}),
    table="gem_mine_features",
    parts=(
        Part(
            "",
            frozenset({"id", "gem mine id", "mine feature category"}),
            (
                text("feature_id", "id", required=True, about="ID of the feature: the mine's, and a letter and number"),
                text(
                    "gem_mine_id",
                    "gem mine id",
                    "mine id",
                    pattern=_MINE_ID,
                    about="ID of the mine that it belongs to",
                ),
                text("category", "mine feature category", pattern=LABEL, about="Kind of the feature"),
                text("subcategory", "mine feature subcategory", pattern=WORDS, about="Kind of the feature, closer"),
                text("notes", "notes", about="How the feature was found, with sources"),
                text("description", "description", about="What the feature is"),
                text("mine_name", "mine name", about="Name of the mine in English"),
                text("country", "country / area", "country", "country/area", about="Country or area of the mine"),
                text("owners", "owners", about="Owners with their shares"),
                text("owners_local", "owners (non-eng)", about="Owners in the language of the country"),
                text("parent_company", "parent company", about="Parent companies with their shares"),
                text(
                    "wiki_url",
                    "gem wiki page (eng)",
                    "gem wiki urls",
                    pattern=WEB_ADDRESS,
                    about="Address of the mine's page in GEM.wiki",
                ),
                text(
                    "wiki_url_local",
                    "gem wiki page (non-eng)",
                    pattern=WEB_ADDRESS,
                    about="The same page in another language",
                ),
                text("coal_grade", "coal grade", about="Use of the mine's coal"),
                text("coordinates_precision", "coordinates precision", about="How the coordinates were found"),
                Column(
                    "last_researched", Kind.DATE, ("last researched",), description="Day of the last look at the mine"
                ),
                Column(
                    "data_source_date", Kind.DATE, ("data source date",), description="Day of the source, if it has one"
                ),
                text("build_version", "build_version", about="Release and build of the file"),
                text("geometry_type", GEOMETRY_TYPE, about="Point, Polygon …; the coordinates stay in the file"),
            ),
        ),
    ),
    release=gem_features_release,
    unstated_tokens=frozenset({"none given", "unknown", "no source date information found"}),
    keys=("feature_id",),
    publication_lag="a build is known from the day that it names",
    freshness=Freshness(warn_days=400, error_days=800),
    manual_download=f"Global Energy Monitor asks for a form; put the boundary GeoJSON in gem/: {_GEM_FORM}",
)
