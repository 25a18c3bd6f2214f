from __future__ import annotations

import json

import pytest
import yaml

from fvi_pipeline.features.catalogue import load_catalogue
from fvi_pipeline.features.errors import CatalogueError
from fvi_pipeline.features.groups import groups_of
from fvi_pipeline.platform.settings import PROJECT_ROOT
from tests.unit.features.small_manifest import FEATURE, METRIC, OWN, column, write_manifest


def without(field: str) -> dict[str, object]:
    return {key: value for key, value in FEATURE.items() if key != field}


def test_order_and_roles_are_those_of_the_description(tmp_path):
    ash = column("ash", {}) | {"config": {}, "meta": FEATURE}  # dbt has had meta in two places
    features = [
        column("mine_id", {"role": "key"}, "text"),
        column("as_of_year", {"role": "context"}, "integer"),
        column("zinc", FEATURE),
        column("newest_fact_known_at", {"role": "audit"}, "timestamp with time zone"),
        ash,
    ]
    metrics = [column("mine_id", {"role": "key"}, "text"), column("debt", METRIC)]
    catalogue = load_catalogue(write_manifest(tmp_path, features, metrics))
    assert catalogue.model_features() == ("zinc", "ash")
    assert catalogue.context_columns() == ("as_of_year",)
    assert [column.name for column in catalogue.store_columns()] == ["zinc", "ash", "as_of_year"]
    assert [(m.name, m.pillar, m.higher_is_better, m.base_weight) for m in catalogue.index_metrics()] == [
        ("debt", "economics", False, 1.0)
    ]


def test_every_fault_is_named_at_once(tmp_path):
    features = [
        column("no_unit", {**FEATURE, "unit": ""}),
        column("no_category", without("category")),
        column("other_category", {**FEATURE, "category": "luck"}),
        column("no_null", without("null_means")),
        column("no_sources", {**FEATURE, "sources": []}),
        column("strange_source", {**FEATURE, "sources": ["bronze_gem_spider.text[t]"]}),
        column("text_feature", FEATURE, "text"),
        column("no_role", {}),
        column("no_description", FEATURE, description=""),
    ]
    metrics = [column("no_pillar", {**METRIC, "pillar": None})]
    with pytest.raises(CatalogueError) as error:
        load_catalogue(write_manifest(tmp_path, features, metrics))
    for fault in (
        "no_unit: unit is missing",
        "no_category: category is missing",
        "other_category: meta.category must be one of operations, asset and geology,",
        "no_null: null_means is missing",
        "no_sources: sources is missing",
        "strange_source: 'bronze_gem_spider.text[t]' belongs to no fact group",
        "text_feature: a feature must be of data_type double precision",
        "no_role: meta.role must be one of",
        "no_description: description is missing",
        "no_pillar: pillar is missing",
    ):
        assert fault in str(error.value)


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("pillar", "luck", "pillar must be one of"),
        ("direction", "up", "direction must be one of"),
        ("base_weight", 0, "base_weight"),
        ("base_weight", 1.5, "base_weight must be a number above 0"),
        ("normalisation", "by feel", "normalisation must be one of"),
        ("sources", [], "sources is missing"),
        ("unit", None, "unit is missing"),
    ],
)
def test_a_metric_that_contradicts_itself_is_refused(tmp_path, field, value, fault):
    path = write_manifest(tmp_path, [column("ash", FEATURE)], [column("debt", {**METRIC, field: value})])
    with pytest.raises(CatalogueError, match=fault):
        load_catalogue(path)


def test_every_pillar_has_its_question_and_no_other_has_one(tmp_path):
    path = write_manifest(tmp_path, [column("ash", FEATURE)])
    assert load_catalogue(path).pillar_questions["ecology"] == "Is the ecology good?"
    manifest = json.loads(path.read_text())
    (index,) = (node for node in manifest["nodes"].values() if node["name"] == "gold_mine_index_metrics")
    index["config"]["meta"]["pillars"] = index["config"]["meta"]["pillars"] | {"ecology": "", "luck": "Has it any?"}
    path.write_text(json.dumps(manifest))
    with pytest.raises(CatalogueError, match=r"pillar ecology.*must say its question.*pillar luck"):
        load_catalogue(path)


def test_a_manifest_that_is_missing_broken_or_without_features_is_refused(tmp_path):
    with pytest.raises(CatalogueError, match="is missing"):
        load_catalogue(tmp_path / "manifest.json")
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(CatalogueError, match="no manifest of dbt"):
        load_catalogue(tmp_path / "manifest.json")
    with pytest.raises(CatalogueError, match="has the role `feature`"):
        load_catalogue(write_manifest(tmp_path, [column("mine_id", {"role": "key"}, "text")]))


@pytest.mark.parametrize(
    ("sources", "groups"),
    [
        ([OWN, "silver_mine_years.labor_hours[t-4..t]"], ["own"]),
        (["silver_mine_years.labor_hours[t; rows with same mine_state]", OWN], ["own", "peers"]),
        (["silver_mine_tracker_history.depth_m[newest]"], ["tracker"]),
        (["silver_country_energy.gas[newest; country United States]", "silver_commodity_prices.gas[newest]"], None),
    ],
)
def test_the_groups_of_facts_follow_from_the_sources(tmp_path, sources, groups):
    catalogue = load_catalogue(write_manifest(tmp_path, [column("ash", {**FEATURE, "sources": sources})]))
    assert [group.name for group in groups_of(catalogue.features[0])] == (groups or ["prices", "energy"])


def test_the_project_describes_every_feature_and_metric(manifest):
    catalogue = load_catalogue(manifest)
    assert "mine_status" not in catalogue.model_features()
    assert {"as_of_year", "in_cohort"} <= set(catalogue.context_columns())
    assert len(catalogue.model_features()) >= 60
    features = [column for column in catalogue.features if column.role == "feature"]
    assert {column.category for column in features} == {
        "operations",
        "asset and geology",
        "ownership and transactions",
        "market",
        "time",
    }
    # the time at which each group's facts became known accompanies the features
    times = {group.known_at_column for column in features for group in groups_of(column)}
    assert times <= set(catalogue.context_columns())
    assert all(column.definition for column in features)
    assert {metric.pillar for metric in catalogue.index_metrics()} >= {"economics", "ownership", "emissions"}


def test_no_description_names_a_column_twice():
    # dbt keeps the last one and says nothing
    for path in (PROJECT_ROOT / "dbt_project" / "models").rglob("*.yml"):
        for model in (yaml.safe_load(path.read_text()) or {}).get("models") or []:
            names = [column["name"] for column in model.get("columns") or []]
            assert len(names) == len(set(names)), f"{path}: {model['name']}"
