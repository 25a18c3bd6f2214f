from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fvi_pipeline.features.catalogue import FEATURES_MODEL, INDEX_MODEL, load_catalogue, load_features
from fvi_pipeline.features.errors import CatalogueError
from fvi_pipeline.platform.settings import PROJECT_ROOT

FEATURE = {"role": "feature", "unit": "tons", "category": "operations", "null_means": "not published"}


def column(name: str, meta: dict[str, object], data_type: str = "double precision", nested: bool = True) -> dict:
    entry = {"name": name, "description": f"The {name}.", "data_type": data_type}
    return entry | ({"config": {"meta": meta}} if nested else {"meta": meta})


def write(folder: Path, model: str, columns: list[dict]) -> Path:
    path = folder / "models" / "gold" / f"{model}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"version": 2, "models": [{"name": model, "columns": columns}]}))
    return path


def test_order_and_roles_are_those_of_the_yml(tmp_path):
    write(
        tmp_path,
        FEATURES_MODEL,
        [
            column("mine_id", {"role": "key"}, "text"),
            column("as_of_year", {"role": "context"}, "integer"),
            column("zinc", FEATURE),
            column("newest_fact_known_at", {"role": "audit"}, "timestamp with time zone"),
            column("ash", FEATURE, nested=False),
        ],
    )
    metric = {
        "role": "metric",
        "pillar": "economics",
        "direction": "lower_is_better",
        "unit": "t",
        "base_weight": 1,
    }
    write(tmp_path, INDEX_MODEL, [column("mine_id", {"role": "key"}, "text"), column("debt", metric)])
    catalogue = load_catalogue(tmp_path)
    assert catalogue.model_features() == ("zinc", "ash")
    assert catalogue.context_columns() == ("as_of_year",)
    assert [column.name for column in catalogue.store_columns()] == ["zinc", "ash", "as_of_year"]
    assert [(m.name, m.pillar, m.higher_is_better, m.base_weight) for m in catalogue.index_metrics()] == [
        ("debt", "economics", False, 1.0)
    ]


def test_every_fault_is_named_at_once(tmp_path):
    path = write(
        tmp_path,
        FEATURES_MODEL,
        [
            column("no_unit", {**FEATURE, "unit": ""}),
            column("no_category", {key: value for key, value in FEATURE.items() if key != "category"}),
            column("text_feature", FEATURE, "text"),
            column("no_role", {}),
            {"name": "no_description", "data_type": "double precision", "meta": FEATURE},
        ],
    )
    with pytest.raises(CatalogueError) as error:
        load_features(path)
    for fault in (
        "no_unit: unit is missing",
        "no_category: category is missing",
        "text_feature: a feature must be of data_type double precision",
        "no_role: meta.role must be one of",
        "no_description: description is missing",
    ):
        assert fault in str(error.value)


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("pillar", "luck", "pillar must be one of"),
        ("direction", "up", "direction must be one of"),
        ("base_weight", 0, "base_weight must be a number above 0"),
        ("base_weight", 1.5, "base_weight must be a number above 0"),
        ("unit", None, "unit is missing"),
    ],
)
def test_a_metric_that_contradicts_itself_is_refused(tmp_path, field, value, fault):
    write(tmp_path, FEATURES_MODEL, [column("ash", FEATURE)])
    meta = {
        "role": "metric",
        "pillar": "economics",
        "direction": "higher_is_better",
        "unit": "t",
        "base_weight": 1,
    }
    write(tmp_path, INDEX_MODEL, [column("debt", {**meta, field: value})])
    with pytest.raises(CatalogueError, match=fault):
        load_catalogue(tmp_path)


def test_a_missing_or_doubled_description_is_refused(tmp_path):
    with pytest.raises(CatalogueError, match="is missing"):
        load_catalogue(tmp_path)
    path = write(tmp_path, FEATURES_MODEL, [column("ash", FEATURE), column("ash", FEATURE)])
    with pytest.raises(CatalogueError, match="more than once"):
        load_features(path)


def test_the_project_describes_every_feature_and_metric():
    catalogue = load_catalogue(PROJECT_ROOT / "dbt_project")
    assert "mine_status" not in catalogue.model_features()
    assert {"as_of_year", "in_cohort"} <= set(catalogue.context_columns())
    assert len(catalogue.model_features()) >= 30
    assert {metric.pillar for metric in catalogue.index_metrics()} >= {"economics", "ownership", "emissions"}
