"""Cohorts with planted kinds of mines, and the columns that describe them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from fvi_pipeline.features.catalogue import FeatureColumn

SIZE = "production_short_tons"
KINDS = {"large": (14.0, 3.0, 30.0, 1), "young": (11.0, 0.5, 2.0, 0), "spent": (9.0, -1.0, 20.0, 0)}
"""Of each kind: the logarithm of its production, of its productivity, its age, and whether it has a plant."""


def column(name: str, **other: Any) -> FeatureColumn:
    """A feature of that name that says what a mine itself is, unless said otherwise."""
    own = ("silver_mine_years.production_short_tons[t]",)
    found = FeatureColumn(name, "feature", "number", f"The {name}.", "short tons", "operations", "not published", own)
    return replace(found, **other)


COLUMNS = {
    SIZE: column(SIZE),
    "productivity_short_tons_per_hour": column("productivity_short_tons_per_hour", unit="short tons per hour"),
    "years_since_first_production": column("years_since_first_production", unit="years", category="time"),
    "has_preparation_plant": column("has_preparation_plant", unit="0 or 1", category="asset and geology"),
}
FEATURES = tuple(COLUMNS)


def planted_cohort(mines_of_each: int = 60, seed: int = 3) -> pl.DataFrame:
    """Mines of three kinds, skewed as amounts are; `kind` says which one a mine was drawn from."""
    drawn = np.random.default_rng(seed)
    frames = []
    for place, (kind, (size, productivity, age, plant)) in enumerate(KINDS.items()):
        first = place * mines_of_each
        frames.append(
            pl.DataFrame(
                {
                    "mine_id": [f"msha:{first + number:07d}" for number in range(mines_of_each)],
                    "kind": [kind] * mines_of_each,
                    SIZE: np.exp(drawn.normal(size, 0.4, mines_of_each)),
                    "productivity_short_tons_per_hour": np.exp(drawn.normal(productivity, 0.2, mines_of_each)),
                    "years_since_first_production": np.maximum(drawn.normal(age, 1.5, mines_of_each), 0),
                    "has_preparation_plant": np.full(mines_of_each, float(plant)),
                    "mine_state": ["Wyoming" if kind == "large" else "Kentucky (East)"] * mines_of_each,
                    "mine_type": ["Surface"] * mines_of_each,
                }
            )
        )
    return pl.concat(frames)
