"""A dbt manifest of a few models, written as dbt writes it, as far as the catalogue reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fvi_pipeline.features.catalogue import FEATURES_MODEL, HISTORY_MODEL, INDEX_MODEL, PILLARS

OWN = "silver_mine_years.production_short_tons[t]"
FEATURE = {
    "role": "feature",
    "unit": "tons",
    "category": "operations",
    "null_means": "not published",
    "in_words": {"[0, inf)": "It is {number} {ton|tons}.", "missing": "It was not published."},
    "sources": [OWN],
}
METRIC = {
    "role": "metric",
    "pillar": "economics",
    "direction": "lower_is_better",
    "unit": "t",
    "normalisation": "percentile",
    "base_weight": 1,
    "sources": [OWN],
}
MACROS = {
    "relative_change": "{% macro relative_change(now, old) -%} {{ now }} / nullif({{ old }}, 0) - 1 {%- endmacro %}",
    "rows_with": "{% macro rows_with(model, values) -%} never read {%- endmacro %}",
}


def column(name: str, meta: Mapping[str, Any], data_type: str = "double precision", **other: Any) -> dict[str, Any]:
    """A column as the manifest has it."""
    entry = {"name": name, "description": f"The {name}.", "data_type": data_type, "config": {"meta": dict(meta)}}
    return {**entry, **other}


def write_manifest(
    folder: Path,
    features: list[dict[str, Any]],
    metrics: list[dict[str, Any]] | None = None,
    sql: Mapping[str, str] | None = None,
    macros: Mapping[str, str] | None = None,
) -> Path:
    """Write manifest.json with these columns of the two described models, and the raw SQL of others by name."""
    models = {FEATURES_MODEL: features, INDEX_MODEL: [column("debt", METRIC)] if metrics is None else metrics}
    nodes = {
        f"model.tiny.{name}": _model(name, f"select * from {HISTORY_MODEL}", columns)
        for name, columns in models.items()
    }
    questions = {pillar: f"Is the {pillar} good?" for pillar in PILLARS}
    nodes[f"model.tiny.{INDEX_MODEL}"]["config"] = {"meta": {"pillars": questions}}
    nodes |= {f"model.tiny.{name}": _model(name, text, []) for name, text in (sql or {}).items()}
    path = folder / "manifest.json"
    path.write_text(
        json.dumps(
            {
                "metadata": {"project_name": "tiny"},
                "nodes": nodes,
                "macros": {
                    name: {"package_name": "tiny", "macro_sql": text} for name, text in (macros or MACROS).items()
                },
            }
        )
    )
    return path


def _model(name: str, raw: str, columns: list[dict[str, Any]]) -> dict[str, Any]:
    described = {entry["name"]: entry for entry in columns}
    return {"name": name, "resource_type": "model", "raw_code": raw, "columns": described}
