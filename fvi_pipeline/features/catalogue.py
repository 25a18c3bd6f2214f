"""The catalogue: every feature and every index metric, read from the dbt project's own descriptions.

The yml beside a gold model is the one place that describes a column. This module turns it into ordered,
checked objects for Feast, the model and the index, so that no name is typed twice. Statistics of the values
do not belong here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from fvi_pipeline.features.errors import CatalogueError

Role = Literal["feature", "context", "key", "audit"]
Category = Literal["operations", "asset", "ownership", "market", "time"]
ValueKind = Literal["number", "integer", "boolean", "text", "timestamp"]
Pillar = Literal["necessity", "resource", "economics", "emissions", "workforce", "ecology", "support", "ownership"]
PILLARS: tuple[Pillar, ...] = get_args(Pillar)

FEATURES_MODEL = "gold_mine_features"
INDEX_MODEL = "gold_mine_index_metrics"

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
    """One column of `gold_mine_features`; `category` is set for features only.

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


@dataclass(frozen=True)
class IndexMetric:
    """One metric of the index: its pillar, whether more of it is better, its base weight in (0, 1], and the landing
    columns that it is made of, as `feed.column`.
    """

    name: str
    pillar: Pillar
    higher_is_better: bool
    base_weight: float
    description: str
    unit: str
    landing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Catalogue:
    """Features and metrics in the order of their yml, which is the order of the model's inputs."""

    features: tuple[FeatureColumn, ...]
    metrics: tuple[IndexMetric, ...]

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


def load_catalogue(dbt_project_dir: Path) -> Catalogue:
    """Read and check both descriptions below `models/gold` of the dbt project.

    Raises:
        CatalogueError: a yml is missing, or a column lacks something; every fault is listed, not only the
            first.
    """
    gold = dbt_project_dir / "models" / "gold"
    return Catalogue(
        features=load_features(gold / f"{FEATURES_MODEL}.yml"),
        metrics=load_index_metrics(gold / f"{INDEX_MODEL}.yml"),
    )


def load_features(path: Path) -> tuple[FeatureColumn, ...]:
    """The columns of `gold_mine_features`, in order.

    Raises:
        CatalogueError: as for `load_catalogue`.
    """
    faults: list[str] = []
    columns = [_feature(entry, faults) for entry in _columns(path, FEATURES_MODEL)]
    known = [column for column in columns if column is not None]
    if not faults and not any(column.role == "feature" for column in known):
        faults.append("no column has the role `feature`")
    _raise(path, faults)
    return tuple(known)


def load_index_metrics(path: Path) -> tuple[IndexMetric, ...]:
    """The columns with role `metric` of `gold_mine_index_metrics`, in order.

    Raises:
        CatalogueError: as for `load_catalogue`.
    """
    faults: list[str] = []
    entries = [entry for entry in _columns(path, INDEX_MODEL) if _meta(entry).get("role") == "metric"]
    if not entries:
        faults.append("no column has the role `metric`")
    metrics = [_metric(entry, faults) for entry in entries]
    _raise(path, faults)
    return tuple(metric for metric in metrics if metric is not None)


def _feature(entry: Mapping[str, Any], faults: list[str]) -> FeatureColumn | None:
    name, meta, found = str(entry["name"]), _meta(entry), len(faults)
    role: Role | None = meta.get("role")
    if role is None or role not in get_args(Role):
        faults.append(f"{name}: meta.role must be one of {', '.join(get_args(Role))}, not {role!r}")
        return None
    if role == "feature":
        _require(name, entry, faults, "description")
        _require(name, meta, faults, "unit", "category", "null_means")
        if meta.get("category") is not None and meta["category"] not in get_args(Category):
            faults.append(f"{name}: meta.category must be one of {', '.join(get_args(Category))}")
    data_type = str(entry.get("data_type", "")).lower()
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
    )


def _metric(entry: Mapping[str, Any], faults: list[str]) -> IndexMetric | None:
    name, meta, found = str(entry["name"]), _meta(entry), len(faults)
    _require(name, entry, faults, "description")
    _require(name, meta, faults, "unit", "pillar", "direction", "base_weight")
    if len(faults) > found:
        return None
    if meta["pillar"] not in PILLARS:
        faults.append(f"{name}: meta.pillar must be one of {', '.join(PILLARS)}, not {meta['pillar']!r}")
    if meta["direction"] not in _HIGHER_IS_BETTER:
        faults.append(f"{name}: meta.direction must be one of {', '.join(_HIGHER_IS_BETTER)}")
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
    )


def _columns(path: Path, model: str) -> list[Mapping[str, Any]]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CatalogueError(f"{path} is missing: it describes {model}. Add it to the dbt project.") from error
    except yaml.YAMLError as error:
        raise CatalogueError(f"{path} cannot be read as YAML ({error}). Correct it.") from error
    models = document.get("models", []) if isinstance(document, dict) else []
    for entry in models:
        if entry.get("name") == model:
            columns: list[Mapping[str, Any]] = entry.get("columns") or []
            names = [str(column["name"]) for column in columns]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise CatalogueError(f"{path} describes {', '.join(twice)} more than once. Keep one.")
            return columns
    raise CatalogueError(f"{path} does not describe a model named {model}. Add it.")


def _meta(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    # dbt reads both places; `config.meta` is the newer one
    meta: Mapping[str, Any] = (entry.get("config") or {}).get("meta") or entry.get("meta") or {}
    return meta


def _require(name: str, values: Mapping[str, Any], faults: list[str], *fields: str) -> None:
    for field in fields:
        if values.get(field) is None or not _text(values[field]):
            faults.append(f"{name}: {field} is missing")


def _text(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())


def _raise(path: Path, faults: list[str]) -> None:
    if faults:
        raise CatalogueError(f"{path} is incomplete: {'; '.join(faults)}. Complete the columns' descriptions.")
