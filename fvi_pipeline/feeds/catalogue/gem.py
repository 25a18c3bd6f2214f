"""The feeds of Global Energy Monitor. Descriptions only: how one is read belongs to `parse`."""

from __future__ import annotations

from fvi_pipeline.feeds.catalogue.columns import number, text, year
from fvi_pipeline.feeds.description import Column, Feed, Form, Kind, Part
from fvi_pipeline.feeds.read_geojson import GEOMETRY_TYPE
from fvi_pipeline.feeds.releases import gem_features_release, gem_tracker_release

_GEM_NOTHING = frozenset({"", "-", "–", "—", "*", "＊"})
_GEM_FORM = "https://globalenergymonitor.org/projects/global-coal-mine-tracker/download-data/"

_GEM_COLUMNS = (
    text("gem_mine_id", "gem mine id", required=True),
    Column("msha_id", Kind.MSHA_ID, ("msha id",)),
    text("country", "country", "country / area"),
    text("mine_name", "mine name"),
    text("mine_name_aliases", "mine name akas"),
    text("mine_name_local", "mine name (non-eng)"),
    text("wiki_url", "gem wiki urls", "gem wiki page (eng)"),
    text("status", "status"),
    text("status_detail", "status detail"),
    text("project_type", "project type"),
    text("project_phase", "project phase"),
    text("owners", "owners"),
    text("parent_company", "parent company"),
    number("capacity_mt_per_year", "capacity (mtpa)", maximum=1_000),
    number("production_mt_per_year", "production (mtpa)", maximum=1_000),
    year("production_year", "year of production"),
    text("mine_type", "mine type"),
    text("mining_method", "mining method"),
    number("mine_size_km2", "mine size (km2)", maximum=100_000),
    number("mine_depth_m", "mine depth (m)", maximum=10_000),
    number("workforce_size", "workforce size", maximum=1_000_000),
    text("coal_type", "coal type"),
    text("coal_grade", "coal grade"),
    number("reserves_mt", "total reserves (proven and probable, mt)", maximum=1_000_000),
    number("resources_mt", "total resource (inferred, indicated, measured)", maximum=1_000_000),
    number("reserve_to_production_years", "reserve to production ratio (r/p)", maximum=1_000_000),
    year("opening_year", "opening year", minimum=1500),
    year("closing_year", "closing year", minimum=1500),
    number("reported_life_years", "reported life of mine", maximum=10_000),
    text("closure_reason", "reason for closure"),
    text("coalfield", "coalfield"),
    text("state_province", "state, province"),
    text("region", "region"),
    number("latitude", "latitude", minimum=-90, maximum=90),
    number("longitude", "longitude", minimum=-180, maximum=180),
    number(
        "methane_million_tonnes_per_year",
        "gem coal mine methane emissions estimate (m tonnes/yr)",
        maximum=1_000,
    ),
    number("co2e_20_years_million_tonnes", "cmm emissions (co2e 20 years)", maximum=10_000),
    number("co2e_100_years_million_tonnes", "cmm emissions (co2e 100 years)", maximum=10_000),
)

GEM_COAL_MINES = Feed(
    name="gem_coal_mines",
    publisher="Global Energy Monitor",
    title="Global Coal Mine Tracker",
    licence="CC BY 4.0",
    attribution="Global Energy Monitor, Global Coal Mine Tracker",
    folder="gem",
    patterns=("*.xlsx", "*.xls"),
    form=frozenset({Form.WORKBOOK}),
    table="gem_coal_mines",
    parts=(
        Part("closed", frozenset({"gem mine id", "mine name", "closing year"}), _GEM_COLUMNS),
        Part("open", frozenset({"gem mine id", "mine name", "status"}), _GEM_COLUMNS),
    ),
    release=gem_tracker_release,
    part_column="sheet",
    null_tokens=_GEM_NOTHING,
    unstated_tokens=frozenset({"tbd", "n/a", "unknown", "not found"}),
    loose_numbers=True,
    manual_download=f"Global Energy Monitor asks for a form; put the tracker's workbook in gem/: {_GEM_FORM}",
)

GEM_MINE_FEATURES = Feed(
    name="gem_mine_features",
    publisher="Global Energy Monitor",
    title="Coal Mine Boundaries and Methane Sources",
    licence="CC BY 4.0",
    attribution="Global Energy Monitor, Coal Mine Boundaries and Methane Sources",
    folder="gem",
    patterns=("*.geojson",),
    form=frozenset({Form.GEOJSON}),
    table="gem_mine_features",
    parts=(
        Part(
            "",
            frozenset({"id", "gem mine id", "mine feature category"}),
            (
                text("feature_id", "id", required=True),
                text("gem_mine_id", "gem mine id"),
                text("category", "mine feature category"),
                text("subcategory", "mine feature subcategory"),
                text("notes", "notes"),
                text("description", "description"),
                text("mine_name", "mine name"),
                text("country", "country / area"),
                text("owners", "owners"),
                text("parent_company", "parent company"),
                text("wiki_url", "gem wiki page (eng)"),
                Column("last_researched", Kind.DATE, ("last researched",)),
                Column("data_source_date", Kind.DATE, ("data source date",)),
                text("geometry_type", GEOMETRY_TYPE),
            ),
        ),
    ),
    release=gem_features_release,
    unstated_tokens=frozenset({"none given", "unknown", "no source date information found"}),
    manual_download=f"Global Energy Monitor asks for a form; put the boundary GeoJSON in gem/: {_GEM_FORM}",
)
