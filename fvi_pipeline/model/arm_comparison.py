"""Champion and challenger side by side: how far they agree on the mines of now, how well each is calibrated on years
that neither learned from, and how their answers came true; each figure with its interval, whole mines being drawn.

Who is asked, and when, belongs to `serving`; whether one may reign to `gate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime

import numpy as np
import polars as pl
import psycopg
from numpy.typing import NDArray

from fvi_pipeline.model.card.measures import (
    Draws,
    Resampled,
    draw_mines,
    quotient,
    weighted_auc,
    weighted_calibration_error,
    weighted_mean,
)
from fvi_pipeline.model.dataset import feature_matrix
from fvi_pipeline.model.scoring import ViabilityModel

CHAMPION, CHALLENGER, DIFFERENCE = "champion", "challenger", "difference"
FEWEST_ROWS = 30
"""With fewer rows of a horizon nothing is said."""
_DRAWS, _SEED = 500, 11
_Floats = NDArray[np.float64]
_ANSWERS = """
select distinct on (answers.model_version, answers.mine_id, answers.as_of_year, answers.horizon_years)
    answers.model_version,
    answers.mine_id,
    outcomes.as_of_year,
    outcomes.horizon_years,
    answers.fvi_score / 100,
    outcomes.viable
from ops.predictions as answers
inner join gold.gold_mine_outcomes as outcomes using (mine_id, as_of_year, horizon_years)
inner join gold.gold_vintage_releases as releases
    on releases.as_of_year = outcomes.outcome_year
    and releases.created_timestamp = outcomes.outcome_known_at
    and releases.fact_year = outcomes.outcome_year
inner join landing.files as files on files.file_id = releases.file_id
where answers.model_name = %(model)s and answers.model_version = any(%(versions)s) and answers.fvi_score is not null
    and not answers.is_what_if and answers.as_of_asked is null
    and greatest(outcomes.outcome_known_at, files.ingested_at) > answers.answered_at
order by
    answers.model_version, answers.mine_id, answers.as_of_year, answers.horizon_years, answers.answered_at desc
"""
_COLUMNS = (
    "basis, horizon_years, arm, measure, value, interval_low, interval_high, row_count, mine_count"  # as in Figure
)


@dataclass(frozen=True)
class Figure:
    """One figure of a comparison."""

    basis: str
    horizon_years: int
    arm: str
    measure: str
    value: float
    low: float | None
    high: float | None
    rows: int
    mines: int


def agreement(rows: pl.DataFrame) -> list[Figure]:
    """How far two versions' scores of the same mines lie apart.

    Args:
        rows: mine_id, horizon_years, and both probabilities as champion and challenger.
    """
    found: list[Figure] = []
    for horizon, of_horizon in _by_horizon(rows):
        champion, challenger = (of_horizon[arm].to_numpy() for arm in (CHAMPION, CHALLENGER))
        same = (np.sign(champion - 0.5) == np.sign(challenger - 0.5)).astype(np.float64)
        found += _figures(
            "cohort",
            horizon,
            of_horizon,
            {
                (CHAMPION, "mean_score"): weighted_mean(100 * champion),
                (CHALLENGER, "mean_score"): weighted_mean(100 * challenger),
                (DIFFERENCE, "mean_score"): weighted_mean(100 * (challenger - champion)),
                (DIFFERENCE, "mean_absolute_points"): weighted_mean(100 * np.abs(challenger - champion)),
                (DIFFERENCE, "same_side_of_50"): weighted_mean(same),
                (DIFFERENCE, "correlation"): _correlation(champion, challenger),
            },
        )
    return found


def outcomes(basis: str, rows: pl.DataFrame) -> list[Figure]:
    """How well two versions' probabilities came true on the same rows.

    Args:
        basis: what the rows are.
        rows: mine_id, horizon_years, champion, challenger (probabilities) and viable.
    """
    found: list[Figure] = []
    for horizon, of_horizon in _by_horizon(rows):
        by_arm = {arm: _came_true(of_horizon, arm) for arm in (CHAMPION, CHALLENGER)}
        statistics = {(arm, measure): each for arm, of_arm in by_arm.items() for measure, each in of_arm.items()}
        for measure, each in by_arm[CHAMPION].items():
            statistics[DIFFERENCE, measure] = _less(by_arm[CHALLENGER][measure], each)
        found += _figures(basis, horizon, of_horizon, statistics)
    return found


def outcomes_of_answers(answers: Mapping[str, pl.DataFrame]) -> list[Figure]:
    """How the answers of each arm came true, on whatever mines it was asked for; and the difference where both were
    asked for the same, which is what the shadow makes.

    Args:
        answers: by arm, as `answers_come_true` has them.
    """
    found: list[Figure] = []
    for arm, rows in answers.items():
        for horizon, of_horizon in _by_horizon(rows):
            statistics = {(arm, measure): each for measure, each in _came_true(of_horizon, arm).items()}
            found += _figures("answers", horizon, of_horizon, statistics)
    keys = ["mine_id", "as_of_year", "horizon_years"]
    pairs = answers[CHAMPION].join(answers[CHALLENGER].select(*keys, CHALLENGER), on=keys)
    return found + [figure for figure in outcomes("answers", pairs) if figure.arm == DIFFERENCE]


def probabilities(frame: pl.DataFrame, models: Mapping[str, ViabilityModel]) -> pl.DataFrame:
    """The frame's mines with each model's P(viable), at every horizon that all models have.

    Args:
        frame: mine_id and the features; with a column horizon_years only at each row's own.
        models: by the name of the column to make.
    """
    horizons = sorted(set.intersection(*(set(model.horizons) for model in models.values())))
    keys = [name for name in ("mine_id", "as_of_year", "viable") if name in frame.columns]
    parts = []
    for horizon in horizons:
        rows = frame.filter(pl.col("horizon_years") == horizon) if "horizon_years" in frame.columns else frame
        parts.append(
            rows.select(
                *keys,
                pl.lit(horizon, pl.Int64).alias("horizon_years"),
                *(
                    pl.Series(name, model.probabilities(feature_matrix(rows, model.features), horizon))
                    for name, model in models.items()
                ),
            )
        )
    return pl.concat(parts)


def answers_come_true(
    connection: psycopg.Connection, model_name: str, champion: str, challenger: str
) -> dict[str, pl.DataFrame]:
    """The newest answer of each version about a mine, year and horizon, made before its outcome was here, by arm."""
    rows = connection.execute(_ANSWERS, {"model": model_name, "versions": [champion, challenger]}).fetchall()
    frame = pl.DataFrame(
        rows,
        schema={
            "model_version": pl.String,
            "mine_id": pl.String,
            "as_of_year": pl.Int64,
            "horizon_years": pl.Int64,
            "probability": pl.Float64,
            "viable": pl.Boolean,
        },
        orient="row",
    )
    return {
        arm: frame.filter(pl.col("model_version") == version).rename({"probability": arm}).drop("model_version")
        for arm, version in ((CHAMPION, champion), (CHALLENGER, challenger))
    }


def write_comparison(
    connection: psycopg.Connection, champion: str, challenger: str, figures: Sequence[Figure], compared_at: datetime
) -> bool:
    """Add the comparison unless the newest one of these versions says the same; commits. Returns whether it did."""
    newest = connection.execute(
        f"select {_COLUMNS} from mart.arm_comparison where champion_version = %s and challenger_version = %s "  # noqa: S608
        "and compared_at = (select max(compared_at) from mart.arm_comparison)",
        [champion, challenger],
    ).fetchall()
    rows = [astuple(figure) for figure in figures]
    changed = bool(rows) and set(newest) != set(rows)
    if changed:
        with (
            connection.cursor() as cursor,
            cursor.copy(
                f"copy mart.arm_comparison (compared_at, champion_version, challenger_version, {_COLUMNS}) from stdin"
            ) as copy,
        ):
            for row in rows:
                copy.write_row((compared_at, champion, challenger, *row))
    connection.commit()
    return changed


def as_table(figures: Sequence[Figure]) -> str:
    """The differences as a Markdown table."""
    lines = ["| basis | horizon | measure | challenger less champion | 90% interval | mines |", "|---" * 6 + "|"]
    for each in figures:
        if each.arm == DIFFERENCE:
            interval = "not defined" if each.low is None or each.high is None else f"{each.low:.4g} to {each.high:.4g}"
            cells = [each.basis, str(each.horizon_years), each.measure, f"{each.value:.4g}", interval, str(each.mines)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _by_horizon(rows: pl.DataFrame) -> list[tuple[int, pl.DataFrame]]:
    if rows.is_empty():
        return []
    ordered = rows.sort("horizon_years", "mine_id", *(["as_of_year"] if "as_of_year" in rows.columns else []))
    parts = ordered.partition_by("horizon_years", as_dict=True, maintain_order=True)
    return [(int(key[0]), part) for key, part in parts.items() if part.height >= FEWEST_ROWS]


def _figures(
    basis: str, horizon: int, rows: pl.DataFrame, statistics: Mapping[tuple[str, str], Resampled]
) -> list[Figure]:
    draws: Draws = draw_mines(rows["mine_id"].to_list(), draws=_DRAWS, seed=_SEED)
    mines = rows["mine_id"].n_unique()
    found = []
    for (arm, measure), statistic in statistics.items():
        estimate = draws.estimate(statistic)
        if not np.isnan(estimate.value):
            low, high = estimate.low, estimate.high
            found.append(Figure(basis, horizon, arm, measure, estimate.value, low, high, rows.height, mines))
    return found


def _came_true(rows: pl.DataFrame, arm: str) -> dict[str, Resampled]:
    probability, viable = rows[arm].to_numpy(), rows["viable"].cast(pl.Float64).to_numpy()
    found = {
        "brier": weighted_mean((probability - viable) ** 2),
        "calibration_error": weighted_calibration_error(probability, viable),
        "mean_less_observed": weighted_mean(probability - viable),
    }
    return found | ({"auc": weighted_auc(probability, viable)} if 0 < viable.mean() < 1 else {})


def _less(first: Resampled, second: Resampled) -> Resampled:
    def statistic(weights: _Floats) -> _Floats:
        return first(weights) - second(weights)

    return statistic


def _correlation(first: _Floats, second: _Floats) -> Resampled:
    mean: Callable[[_Floats], Resampled] = weighted_mean

    def statistic(weights: _Floats) -> _Floats:
        a, b = mean(first)(weights), mean(second)(weights)
        together = mean(first * second)(weights) - a * b
        spread = (mean(first**2)(weights) - a**2) * (mean(second**2)(weights) - b**2)
        return quotient(together, np.sqrt(np.maximum(spread, 0.0)))

    return statistic
