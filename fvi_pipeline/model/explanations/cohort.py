"""Contributions of every feature for every mine and horizon, as frames for the marts.

One pass of TreeSHAP per horizon; the strongest reasons are read from the same numbers. Storage is in `store`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fvi_pipeline.model.dataset import HORIZON
from fvi_pipeline.model.explanations.reasons import Phrasebook
from fvi_pipeline.model.scoring import Explanation, ViabilityModel


@dataclass(frozen=True)
class ExplainedCohort:
    """Rows for mart.score_explanations, mart.score_explanation_bases and mart.score_reasons."""

    contributions: pl.DataFrame
    bases: pl.DataFrame
    reasons: pl.DataFrame


def explain_cohort(
    keys: pl.DataFrame,
    features: NDArray[np.float32],
    model: ViabilityModel,
    phrasebook: Phrasebook,
    *,
    model_version: str,
    reasons_per_score: int,
) -> ExplainedCohort:
    """Explain the mines of `keys` (mine_id, as_of_year; n rows) with features [n, F] at every horizon."""
    columns = [
        pl.Series("feature", model.features),
        pl.Series("column", range(len(model.features)), dtype=pl.Int64),
    ]
    values = _long(keys, pl.DataFrame(columns)).with_columns(value=_or_null(features))
    contributions, bases, reasons = [], [], []
    for horizon in model.horizons:
        explanation = model.explain(features, horizon)
        of_horizon = pl.lit(horizon, dtype=pl.Int64).alias(HORIZON)
        contributions.append(values.with_columns(of_horizon, contribution=pl.Series(explanation.contributions.ravel())))
        bases.append(keys.with_columns(of_horizon, base=pl.Series(explanation.base)))
        reasons.append(_strongest(contributions[-1], explanation, reasons_per_score))
    strongest = pl.concat(reasons)
    words = [
        phrasebook.reason(*row).in_words for row in strongest.select("feature", "value", "contribution").iter_rows()
    ]
    version = pl.lit(model_version).alias("model_version")
    service = pl.lit(model.metadata.feature_service).alias("feature_service")
    return ExplainedCohort(
        contributions=pl.concat(contributions).drop("column").with_columns(version),
        bases=pl.concat(bases).with_columns(version, service),
        reasons=strongest.with_columns(reason_in_words=pl.Series(words, dtype=pl.String)),
    )


def _long(keys: pl.DataFrame, columns: pl.DataFrame) -> pl.DataFrame:
    return keys.join(columns, how="cross", maintain_order="left_right")


def _or_null(features: NDArray[np.float32]) -> pl.Series:
    # stored as the number that the model saw
    return pl.Series(features.astype(np.float64).ravel()).fill_nan(None)


def _strongest(contributions: pl.DataFrame, explanation: Explanation, count: int) -> pl.DataFrame:
    """The rows of the `count` largest contributions of each mine, as `ViabilityModel.contributions` orders them."""
    order = np.argsort(-np.abs(explanation.contributions), axis=1, kind="stable")[:, :count]
    mines, kept = order.shape
    rows = (np.arange(mines)[:, None] * explanation.contributions.shape[1] + order).ravel()
    ranks = np.tile(np.arange(1, kept + 1), mines)
    return (
        contributions.select(pl.all().gather(rows)).drop("column").with_columns(rank=pl.Series(ranks, dtype=pl.Int64))
    )
