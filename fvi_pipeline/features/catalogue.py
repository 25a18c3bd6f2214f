"""The catalogue: every feature and every index metric, read from the dbt manifest.

The yml beside a gold model is the one place that describes a column, and the manifest is what dbt makes of it. This
module turns it into ordered, checked objects for Feast, the model and the index, so that no name is typed twice. How
the manifest is made belongs to the platform; statistics of the values belong to the warehouse.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any, Literal, get_args

from fvi_pipeline.features import wording
from fvi_pipeline.features.definitions import column_definitions
from fvi_pipeline.features.errors import CatalogueError
from fvi_pipeline.features.groups import GROUPS, groups_of_sources

Role = Literal["feature", "context", "key", "audit"]
Category = Literal["operations", "asset and geology", "ownership and transactions", "market", "time"]
ValueKind = Literal["number", "integer", "boolean", "text", "timestamp"]
Pillar = Literal["necessity", "resource", "economics", "emissions", "workforce", "ecology", "support", "ownership"]
PILLARS: tuple[Pillar, ...] = get_args(Pillar)
Normalisation = Literal["percentile"]

FEATURES_MODEL = "gold_mine_features"
INDEX_MODEL = "gold_mine_index_metrics"
# the table behind FEATURES_MODEL, where its columns are computed
HISTORY_MODEL = "gold_mine_feature_history"

_KINDS: dict[str, ValueKind] = {
    "double precision": "number",
    "float8": "number",
    "bigint": "integer",
    "integer": "integer",
    "int": "integer",
    "boolean": "boolean",
    "text": "text",
    "timestamp with time zone": "timestamp",
    "timestamptz": "timestamp",
}
_HIGHER_IS_BETTER = {"higher_is_better": True, "lower_is_better": False}


@dataclass(frozen=True)
class FeatureColumn:
    """One column of `gold_mine_features`; `category` is set for features only, `sources` name the silver values that
    it is computed from, `definition` is the SQL that decides its values, `in_words` has its sentences by case (see
    `wording`).

    A feature is given to the model, context accompanies it, a key finds it; audit columns stay in the
    warehouse.
    """

    name: str
    role: Role
    kind: ValueKind
    description: str
    unit: str
    category: Category | None
    null_means: str
    sources: tuple[str, ...] = ()
    definition: str = ""
    in_words: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class IndexMetric:
    """One metric of the index: its pillar, whether more of it is better, its base weight in (0, 1], how it is put on a
    common scale, the silver or gold values that it is read from, and the landing columns that it is made of, as
    `feed.column`.
    """

    name: str
    pillar: Pillar
    higher_is_better: bool
    base_weight: float
    description: str
    unit: str
    landing: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    normalisation: Normalisation = "percentile"


@dataclass(frozen=True)
class Catalogue:
    """Features and metrics in the order of their yml, which is the order of the model's inputs."""

    features: tuple[FeatureColumn, ...]
    metrics: tuple[IndexMetric, ...]
    pillar_questions: Mapping[Pillar, str] = dataclass_field(default_factory=dict)

    def model_features(self) -> tuple[str, ...]:
        """Names of the model's inputs, in order."""
        return tuple(column.name for column in self.features if column.role == "feature")

    def context_columns(self) -> tuple[str, ...]:
        """Names of the columns that accompany the features and that no model may see."""
        return tuple(column.name for column in self.features if column.role == "context")

    def store_columns(self) -> tuple[FeatureColumn, ...]:
        """What the feature store carries: the features, then the context."""
        return tuple(column for role in ("feature", "context") for column in self.features if column.role == role)

    def index_metrics(self) -> tuple[IndexMetric, ...]:
        """The metrics of the index, in order."""
        return self.metrics


def load_catalogue(manifest: Path) -> Catalogue:
    """Read and check what a dbt manifest (`manifest.json`) says of the features and of the index.

    Raises:
        CatalogueError: there is no manifest, or a column lacks something; every fault is listed, not only the first.
    """
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CatalogueError(f"{manifest} is missing. `dbt parse` and every run make it.") from error
    except ValueError as error:
        raise CatalogueError(f"{manifest} is no manifest of dbt ({error}). Delete it: it is made anew.") from error
    faults: list[str] = []
    features = _features(content, faults)
    metrics = _metrics(content, faults)
    questions = _pillar_questions(content, faults)
    if faults:
        raise CatalogueError(f"{'; '.join(faults)}. Complete the columns' descriptions.")
    return Catalogue(features, metrics, questions)


def _features(manifest: Mapping[str, Any], faults: list[str]) -> tuple[FeatureColumn, ...]:
    model = _model(manifest, FEATURES_MODEL)
    models = list(dict.fromkeys(group.measures_model for group in GROUPS))
    definitions = column_definitions(manifest, HISTORY_MODEL, model["columns"], models)
    found = [_feature(entry, definitions, faults) for entry in model["columns"].values()]
    columns = [column for column in found if column is not None]
    if not faults and not any(column.role == "feature" for column in columns):
        faults.append(f"no column of {FEATURES_MODEL} has the role `feature`")
    return tuple(columns)


def _metrics(manifest: Mapping[str, Any], faults: list[str]) -> tuple[IndexMetric, ...]:
    entries = [e for e in _model(manifest, INDEX_MODEL)["columns"].values() if _meta(e).get("role") == "metric"]
    if not entries:
        faults.append(f"no column of {INDEX_MODEL} has the role `metric`")
    metrics = [_metric(entry, faults) for entry in entries]
    return tuple(metric for metric in metrics if metric is not None)


def _pillar_questions(manifest: Mapping[str, Any], faults: list[str]) -> dict[Pillar, str]:
    described = _meta(_model(manifest, INDEX_MODEL)).get("pillars") or {}
    faults += [
        f"pillar {name}: the meta of {INDEX_MODEL} must say its question" for name in PILLARS if not described.get(name)
    ]
    faults += [
        f"pillar {name} of {INDEX_MODEL} is none of {', '.join(PILLARS)}" for name in described if name not in PILLARS
    ]
    return {pillar: _text(described.get(pillar)) for pillar in PILLARS}


def _feature(entry: Mapping[str, Any], definitions: Mapping[str, str], faults: list[str]) -> FeatureColumn | None:
    name, meta, found = str(entry["name"]), _meta(entry), len(faults)
    role: Role | None = meta.get("role")
    if role is None or role not in get_args(Role):
        faults.append(f"{name}: meta.role must be one of {', '.join(get_args(Role))}, not {role!r}")
        return None
    if role == "feature":
        _require(name, entry, faults, "description")
        _require(name, meta, faults, "unit", "category", "null_means", "sources")
        if meta.get("category") is not None and meta["category"] not in get_args(Category):
            faults.append(f"{name}: meta.category must be one of {', '.join(get_args(Category))}")
        can_be_null = _text(meta.get("null_means")) != wording.NEVER_NULL
        faults += [f"{name}: {fault}" for fault in wording.faults(meta.get("in_words"), can_be_null=can_be_null)]
    data_type = str(entry.get("data_type") or "").lower()
    sources = tuple(map(str, meta.get("sources") or ()))
    try:
        groups_of_sources(name, sources)
    except CatalogueError as error:
        faults.append(str(error))
    # a feature is a number unless said otherwise; what accompanies it has no such default
    kind = _KINDS.get(data_type) or ("number" if role == "feature" and not data_type else None)
    if kind is None:
        faults.append(f"{name}: data_type {data_type!r} must be one of {', '.join(sorted(_KINDS))}")
    if role == "feature" and kind not in ("number", None):
        faults.append(f"{name}: a feature must be of data_type double precision, not {data_type}")
    if len(faults) > found or kind is None:
        return None
    return FeatureColumn(
        name=name,
        role=role,
        kind=kind,
        description=_text(entry.get("description")),
        unit=_text(meta.get("unit")),
        category=meta.get("category") if role == "feature" else None,
        null_means=_text(meta.get("null_means")),
        sources=sources,
        definition=definitions.get(name, ""),
        in_words=tuple((str(key), _text(text)) for key, text in (meta.get("in_words") or {}).items()),
    )


def _metric(entry: Mapping[str, Any], faults: list[str]) -> IndexMetric | None:
    name, meta, found = str(entry["name"]), _meta(entry), len(faults)
    _require(name, entry, faults, "description")
    _require(name, meta, faults, "unit", "pillar", "direction", "normalisation", "base_weight", "sources")
    if len(faults) > found:
        return None
    if meta["pillar"] not in PILLARS:
        faults.append(f"{name}: meta.pillar must be one of {', '.join(PILLARS)}, not {meta['pillar']!r}")
    if meta["direction"] not in _HIGHER_IS_BETTER:
        faults.append(f"{name}: meta.direction must be one of {', '.join(_HIGHER_IS_BETTER)}")
    if meta["normalisation"] not in get_args(Normalisation):
        faults.append(f"{name}: meta.normalisation must be one of {', '.join(get_args(Normalisation))}")
    weight = meta["base_weight"]
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= 1:
        faults.append(f"{name}: meta.base_weight must be a number above 0 and up to 1, not {weight!r}")
    if len(faults) > found:
        return None
    return IndexMetric(
        name=name,
        pillar=meta["pillar"],
        higher_is_better=_HIGHER_IS_BETTER[meta["direction"]],
        base_weight=float(weight),
        description=_text(entry["description"]),
        unit=_text(meta["unit"]),
        landing=tuple(map(str, meta.get("landing") or ())),
        sources=tuple(map(str, meta["sources"])),
        normalisation=meta["normalisation"],
    )


def _model(manifest: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    for node in manifest.get("nodes", {}).values():
        if node["resource_type"] == "model" and node["name"] == name:
            found: Mapping[str, Any] = node
            return found
    raise CatalogueError(f"The dbt project describes no model named {name}. Add it.")


def _meta(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    # dbt reads both places; `config.meta` is the newer one
    meta: Mapping[str, Any] = (entry.get("config") or {}).get("meta") or entry.get("meta") or {}
    return meta


def _require(name: str, values: Mapping[str, Any], faults: list[str], *fields: str) -> None:
    for field in fields:
        if not values.get(field) or not _text(values[field]):
            faults.append(f"{name}: {field} is missing")


def _text(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())
