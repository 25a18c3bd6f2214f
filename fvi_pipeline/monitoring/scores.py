"""How far the champion's scores have moved: those of the newest cohort beside what the same version says of the mines
and years that it was fitted on. Whether the scores came true is measured in `performance`.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from fvi_pipeline.model.dataset import feature_matrix
from fvi_pipeline.model.scoring import ViabilityModel
from fvi_pipeline.monitoring.drift import Drift, drift
from fvi_pipeline.monitoring.measurements import Measurement, details_of
from fvi_pipeline.monitoring.training_rows import TrainingRows

SCORE = "score"
YEAR = "as_of_year"


def name_of(horizon_years: int) -> str:
    """How a horizon is called in ops.monitoring, and the column of its scores."""
    return f"h{horizon_years}"


def training_scores(model: ViabilityModel, training: TrainingRows) -> pl.DataFrame:
    """The model's scores (0-100) of its own training rows, by year: a column for each horizon."""
    features = feature_matrix(training.features, model.features)
    return training.features.select(
        YEAR,
        *(pl.Series(name_of(horizon), 100 * model.probabilities(features, horizon)) for horizon in model.horizons),
    )


def score_drifts(training: pl.DataFrame, served: pl.DataFrame) -> dict[int, Drift]:
    """The move of the scores of each horizon that both frames have; none when one of them is empty."""
    if training.is_empty() or served.is_empty():
        return {}
    horizons = [int(name[1:]) for name in served.columns if name in training.columns and name != YEAR]
    found = drift(training, served, [name_of(horizon) for horizon in horizons], YEAR)
    return dict(zip(horizons, found, strict=True))


def measure_scores(
    served: pl.DataFrame, moves: dict[int, Drift], training: TrainingRows, version: str, as_of_year: int
) -> list[Measurement]:
    """The rows of ops.monitoring: how the scores of each horizon lie, and how far they have moved."""
    found: list[Measurement] = []
    cohort = f"scores of the cohort of {as_of_year} by version {version}"
    reference = f"its scores of the {training.description}"
    for horizon, move in sorted(moves.items()):
        name, values = name_of(horizon), served[name_of(horizon)]
        found += [
            Measurement(SCORE, name, "rows", float(values.len()), cohort),
            Measurement(SCORE, name, "mean", _mean(values), cohort),
            Measurement(SCORE, name, "psi", move.psi, reference, details_of(move, training)),
            Measurement(SCORE, name, "ks", move.ks, reference),
            Measurement(SCORE, name, "outside_training", move.outside, reference),
        ]
    return found


def as_columns(rows: Sequence[tuple[str, int, float]]) -> pl.DataFrame:
    """(Mine, horizon, score) as a column for each horizon, a row for each mine."""
    frame = pl.DataFrame(
        rows, schema={"mine_id": pl.String, "horizon_years": pl.Int64, "fvi_score": pl.Float64}, orient="row"
    )
    if frame.is_empty():
        return pl.DataFrame()
    wide = frame.sort("horizon_years", "mine_id").pivot(on="horizon_years", index="mine_id", values="fvi_score")
    return wide.drop("mine_id").rename(lambda name: f"h{name}")


def _mean(values: pl.Series) -> float | None:
    mean = values.mean()
    return float(mean) if isinstance(mean, int | float) else None
