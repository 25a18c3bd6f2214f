from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fvi_pipeline.features.catalogue import load_catalogue
from fvi_pipeline.features.groups import GROUPS
from fvi_pipeline.platform.settings import PROJECT_ROOT
from fvi_pipeline.trace.errors import SourcesError
from fvi_pipeline.trace.gold import FEATURES, METRICS
from fvi_pipeline.trace.sources import Peers, Period, load_lineage, parse_source

DBT_PROJECT = PROJECT_ROOT / "dbt_project"


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("t", Period("t", 0, 0)),
        ("t-1", Period("t", 1, 1)),
        ("t-4..t", Period("t", 4, 0)),
        ("..t", Period("t", None, 0)),
        ("newest", Period("newest", 0, 0)),
        ("newest-23..newest-12", Period("newest", 23, 12)),
    ],
)
def test_a_period_is_counted_back_from_its_anchor(period: str, expected: Period) -> None:
    source = parse_source(f"silver_mine_years.labor_hours[{period}]")
    assert (source.model, source.column, source.period) == ("silver_mine_years", "labor_hours", expected)
    assert source.peers is None


def test_a_period_holds_the_years_between_its_ends() -> None:
    assert [year for year in range(2010, 2020) if Period("t", 4, 1).holds(year, 2018)] == [2014, 2015, 2016, 2017]
    assert [year for year in range(2015, 2020) if Period("t", None, 0).holds(year, 2017)] == [2015, 2016, 2017]


@pytest.mark.parametrize(
    ("scope", "peers"),
    [
        ("rows with same mine_state, mine_county", Peers(("mine_state", "mine_county"), False, None)),
        ("mines with same operator_key at t-1", Peers(("operator_key",), True, 1)),
        ("all rows", Peers((), False, None)),
        ("all mines", Peers((), True, None)),
    ],
)
def test_a_scope_says_whose_values_count(scope: str, peers: Peers) -> None:
    assert parse_source(f"silver_mine_years.labor_hours[t-1..t; {scope}]").peers == peers


def test_scopes_add_up() -> None:
    source = parse_source("silver_mine_profiles.reserves_mt[newest; mines of the tracker; rows with same parent_key]")
    assert source.members == "tracker"
    assert source.peers == Peers(("parent_key",), False, None)
    of_the_mine = parse_source("silver_country_energy.coal_production_twh[newest; country of the mine]")
    assert of_the_mine.country_for("Poland") == "Poland"
    named = parse_source("silver_country_energy.coal_production_twh[newest; country United States]")
    assert named.country_for("Poland") == "United States"


@pytest.mark.parametrize(
    "text",
    [
        "labor_hours",
        "silver_mine_years.labor_hours[]",
        "silver_mine_years.labor_hours[t+1]",
        "silver_mine_years.labor_hours[t..t-1]",
        "silver_mine_years.labor_hours[t-1..newest]",
        "silver_mine_years.labor_hours[t; whoever]",
        "silver_mine_years.labor_hours[t; rows with same]",
    ],
)
def test_what_is_not_a_source_is_refused(text: str) -> None:
    with pytest.raises(SourcesError, match=r"is not a source|period|scope"):
        parse_source(text)


def test_every_faulty_source_is_named_with_its_column(tmp_path: Path) -> None:
    columns = [{"name": name, "config": {"meta": {"sources": ["nowhere"]}}} for name in ("ash", "zinc")]
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "m.yml").write_text(yaml.safe_dump({"models": [{"name": "m", "columns": columns}]}))
    with pytest.raises(SourcesError, match=r"m\.ash: .*m\.zinc: "):
        load_lineage(tmp_path)


def test_a_column_without_sources_comes_from_the_column_of_its_name() -> None:
    lineage = load_lineage(DBT_PROJECT)
    assert lineage.columns_below("silver_mine_metrics_history", "labor_hours") == ("labor_hours",)
    assert lineage.columns_below("silver_mine_metrics_history", "operator_key") == ("operating_company",)


def test_the_project_says_what_every_feature_and_metric_is_computed_from(manifest: Path) -> None:
    catalogue, lineage = load_catalogue(manifest), load_lineage(DBT_PROJECT)
    explained = set(lineage.columns(FEATURES))
    assert set(catalogue.model_features()) <= explained
    assert set(catalogue.context_columns()) - explained == {
        "as_of_year",
        "newest_fact_known_at",
        *(group.known_at_column for group in GROUPS),
    }
    assert {metric.name for metric in catalogue.index_metrics()} == set(lineage.columns(METRICS))
