"""The rows of one companion: a mine and an as-of year, its features as known then, and what the next year brought;
their split by time and their hash.

What may be known when is decided here, by the same years as for viability. Which outcome is learned belongs to the
companions themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fvi_pipeline.model.dataset import HORIZON, FloatArray, SplitPolicy, feature_matrix
from fvi_pipeline.model.errors import DatasetError

_KEYS = ("mine_id", "as_of_year", "outcome_year")


@dataclass(frozen=True)
class Rows:
    """Keys [n], features float32 [n, F], and the outcome of the next year [n]."""

    keys: pl.DataFrame
    features: FloatArray
    outcome: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of rows."""
        return self.keys.height

    def where(self, condition: pl.Expr) -> Rows:
        """The rows whose keys meet `condition`, in the same order."""
        mask = self.keys.select(condition.fill_null(False)).to_series().to_numpy()
        return Rows(self.keys.filter(pl.Series(mask)), self.features[mask], self.outcome[mask])

    def until(self, year: int) -> Rows:
        """The rows whose outcome is of a year up to `year`."""
        return self.where(pl.col("outcome_year") <= year)


@dataclass(frozen=True)
class TimeSplit:
    """The parts of one training, as in `dataset.Split`: every outcome but those of `test` is of a year up to
    `train_until_year`, and those of `tuning_fit` of a year up to `tuning_until_year`.
    """

    train_until_year: int
    tuning_until_year: int
    tuning_fit: Rows
    stopping: Rows
    calibration: Rows
    final_fit: Rows
    test: Rows

    def counts(self) -> dict[str, int]:
        """Rows of each part."""
        return {
            name: len(getattr(self, name)) for name in ("tuning_fit", "stopping", "calibration", "final_fit", "test")
        }


def next_year_frame(training_set: pl.DataFrame, next_year: pl.DataFrame) -> pl.DataFrame:
    """The training set's rows of the next year, one for each mine and as-of year, with what that year brought.

    Args:
        training_set: that of viability; its rows at a horizon of one year carry the features as known.
        next_year: mine_id, as_of_year, outcome_year and the outcomes, from gold.gold_mine_next_year.

    Raises:
        DatasetError: both do not speak of the same mines and years.
    """
    ahead = training_set.filter(pl.col(HORIZON) == 1)
    joined = ahead.join(next_year, on=list(_KEYS), how="inner", validate="1:1")
    if joined.height != ahead.height:
        raise DatasetError(
            f"{ahead.height - joined.height} of {ahead.height} rows of the training set have no next year in "
            "gold_mine_next_year. Build both from the same files."
        )
    return joined


def make_rows(frame: pl.DataFrame, feature_names: Sequence[str], outcome: str) -> Rows:
    """Rows with an outcome as arrays, sorted by key so that the order of the input never matters.

    Raises:
        DatasetError: a column is missing, a key repeats, an outcome is not of the next year or not a number.
    """
    absent = [name for name in (*_KEYS, outcome, *feature_names) if name not in frame.columns]
    if absent:
        raise DatasetError(f"The frame lacks the columns {absent}. Add them to the feature service or the join.")
    if not feature_names or len(set(feature_names)) != len(feature_names):
        raise DatasetError("Name each feature once.")
    rows = frame.filter(pl.col(outcome).is_not_null()).sort("mine_id", "as_of_year")
    keys = rows.select(pl.col("mine_id").cast(pl.String), *(pl.col(name).cast(pl.Int64) for name in _KEYS[1:]))
    if keys.select("mine_id", "as_of_year").is_duplicated().any():
        raise DatasetError("A mine and as-of year occurs twice in the frame. The joins must not multiply rows.")
    if not keys.select((pl.col("outcome_year") == pl.col("as_of_year") + 1).all()).item():
        raise DatasetError("An outcome is not of the year after its as-of year, or a year is null. Correct the join.")
    values = rows[outcome].cast(pl.Float64).to_numpy()
    if not np.isfinite(values).all():
        raise DatasetError(f"{outcome} is not a finite number in every row. Leave it null where it is not known.")
    return Rows(keys, feature_matrix(rows, feature_names), values)


def split_rows(rows: Rows, policy: SplitPolicy, until: int) -> TimeSplit:
    """Split by the same years as viability, T being `until`: half of the mines of the years before T stop the boosting,
    the other half calibrate, and the test is of the as-of years after T.

    Raises:
        DatasetError: the years do not suffice.
    """
    tuning_until = until - policy.validation_years
    validation = rows.until(until).where(pl.col("as_of_year") >= tuning_until)
    stopping = [mine_id for mine_id in validation.keys["mine_id"].unique() if _stops_boosting(mine_id)]
    split = TimeSplit(
        train_until_year=until,
        tuning_until_year=tuning_until,
        tuning_fit=rows.until(tuning_until),
        stopping=validation.where(pl.col("mine_id").is_in(stopping)),
        calibration=validation.where(~pl.col("mine_id").is_in(stopping)),
        final_fit=rows.until(until),
        test=rows.where(pl.col("as_of_year").is_between(until + 1, until + policy.test_as_of_years)),
    )
    for name, count in split.counts().items():
        if count < 2:
            raise DatasetError(
                f"The part {name} of the split (T = {until}) has {count} rows. Load more years, or choose a smaller "
                "test_years or validation_years."
            )
    return split


def last_training_year(rows: Rows, policy: SplitPolicy, train_until_year: int | None) -> int:
    """T: as given, or the last outcome year less the policy's test years.

    Raises:
        DatasetError: there is no row.
    """
    if not len(rows):
        raise DatasetError("There is no row with a known outcome to train on. Load more years.")
    last = int(rows.keys["outcome_year"].to_numpy().max())
    return last - policy.test_years if train_until_year is None else train_until_year


def rows_hash(rows: Rows, feature_names: Sequence[str], outcome: str) -> str:
    """SHA-256 (hex) of names, keys, features and outcomes; NaN and zero are hashed in one form each."""
    digest = hashlib.sha256(json.dumps([outcome, *feature_names]).encode())
    for name in rows.keys.columns:
        column = rows.keys[name]
        is_text = column.dtype == pl.String
        digest.update("\n".join(column).encode() if is_text else column.to_numpy().astype("<i8").tobytes())
    canonical = np.where(np.isnan(rows.features), np.float32("nan"), rows.features) + np.float32(0)
    digest.update(canonical.astype("<f4").tobytes())
    digest.update(rows.outcome.astype("<f8").tobytes())
    return digest.hexdigest()


def _stops_boosting(mine_id: str) -> bool:
    # by mine and not by row: the years of one mine resemble each other
    return hashlib.sha256(mine_id.encode()).digest()[0] % 2 == 0
