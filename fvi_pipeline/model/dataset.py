"""The data set of one training: (mine, year, horizon) rows as float32 arrays, their split by time, their
hash.

What may be known when is decided here and nowhere else in the package. Reading the rows from a store does
not belong here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from fvi_pipeline.model.errors import DatasetError

HORIZON = "horizon_years"
KEY_COLUMNS = ("mine_id", "as_of_year", HORIZON, "outcome_year")
FloatArray = NDArray[np.float32]
COMPARABLE_SINCE_YEAR = 2001
"""First as-of year whose cohort is drawn like today's: the publisher's status is usable since then."""


class SplitPolicy(BaseModel):
    """How rows are split by time; years are whole calendar years."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    test_years: int = Field(default=6, ge=1)
    """Unless a year T is given, T is the last outcome year less this."""
    test_as_of_years: int = Field(default=5, ge=1)
    """The test is of this many as-of years after T, whatever T is: folds of different T are alike."""
    validation_years: int = Field(default=5, ge=1)
    """Years up to T that are kept from the tuning fits, for early stopping and for the intervals."""
    comparable_since_year: int = COMPARABLE_SINCE_YEAR
    minimum_comparable_rows: int = Field(default=1000, ge=1)
    """A horizon with fewer comparable rows than this is fitted on the earlier as-of years too."""


@dataclass(frozen=True)
class Part:
    """Rows of a data set: keys [n], features float32 [n, F + 1] with the horizon last, outcomes 0 or 1 [n]."""

    keys: pl.DataFrame
    features: FloatArray
    viable: NDArray[np.int8]

    def __len__(self) -> int:
        """Number of rows."""
        return self.keys.height

    def where(self, condition: pl.Expr) -> Part:
        """The rows whose keys meet `condition`, in the same order."""
        mask = self.keys.select(condition.fill_null(False)).to_series().to_numpy()
        return Part(self.keys.filter(pl.Series(mask)), self.features[mask], self.viable[mask])

    @property
    def horizon_years(self) -> NDArray[np.int64]:
        """The horizon of each row, in years [n]."""
        return self.keys[HORIZON].to_numpy()

    @property
    def horizons(self) -> list[int]:
        """The horizons that occur, ascending."""
        return sorted(int(h) for h in self.keys[HORIZON].unique())


@dataclass(frozen=True)
class Split:
    """The parts of one training; every outcome of every part but `test` is of a year up to
    `train_until_year`.
    """

    train_until_year: int
    tuning_until_year: int
    tuning_fit: Part
    stopping: Part
    calibration: Part
    final_fit: Part
    test: Part


def make_dataset(frame: pl.DataFrame | pd.DataFrame, feature_names: Sequence[str]) -> Part:
    """Rows with an outcome as arrays, sorted by key so that the order of the input never matters.

    Args:
        frame: one row per mine, as-of year and horizon: mine_id, as_of_year, horizon_years, outcome_year,
            viable, features.
        feature_names: the feature columns, in the order of the model; numbers or booleans; null and NaN
            mean missing.

    Raises:
        DatasetError: a column is missing, a key repeats or is null, or a value is infinite, text or not 0/1.
    """
    rows = frame if isinstance(frame, pl.DataFrame) else pl.from_pandas(frame)
    absent = [name for name in (*KEY_COLUMNS, "viable", *feature_names) if name not in rows.columns]
    if absent:
        raise DatasetError(
            f"The training frame lacks the columns {absent}. Add them to the feature service or the join."
        )
    if not feature_names or len(set(feature_names)) != len(feature_names) or HORIZON in feature_names:
        raise DatasetError("Name each feature once and leave horizon_years out: the model adds it as the last feature.")
    rows = rows.sort("mine_id", "as_of_year", HORIZON)
    keys = rows.select(pl.col("mine_id").cast(pl.String), *(pl.col(name).cast(pl.Int64) for name in KEY_COLUMNS[1:]))
    if any(keys[name].null_count() for name in keys.columns):
        raise DatasetError(
            "A key column of the training frame holds nulls. Every row needs a mine, both years and a horizon."
        )
    if keys.select("mine_id", "as_of_year", HORIZON).is_duplicated().any():
        raise DatasetError(
            "A mine, as-of year and horizon occurs twice in the training frame. The joins must not multiply rows."
        )
    viable = rows["viable"].cast(pl.Int8)
    if not viable.is_in([0, 1]).all() or viable.null_count():
        raise DatasetError("viable must be 0 or 1 in every row. Drop the rows whose outcome is not known yet.")
    return Part(keys, feature_matrix(rows, [*feature_names, HORIZON]), viable.to_numpy())


def feature_matrix(rows: pl.DataFrame, columns: Sequence[str]) -> FloatArray:
    """The columns as float32 [n, len(columns)], missing as NaN.

    Raises:
        DatasetError: a feature is text or infinite.
    """
    wrong = [
        name for name in columns if not (rows[name].dtype.is_numeric() or rows[name].dtype in (pl.Boolean, pl.Null))
    ]
    if wrong:
        raise DatasetError(f"The features {wrong} are not numbers. Encode them in the feature models.")
    matrix = rows.select(pl.col(name).cast(pl.Float32).fill_null(float("nan")) for name in columns).to_numpy()
    infinite = np.isinf(matrix).any(axis=0)
    if infinite.any():
        names = [name for name, bad in zip(columns, infinite, strict=True) if bad]
        raise DatasetError(
            f"The features {names} hold infinite values. A ratio over zero must be null in the feature models."
        )
    return np.ascontiguousarray(matrix, dtype=np.float32)


def data_hash(dataset: Part, feature_names: Sequence[str]) -> str:
    """SHA-256 (hex) of names, keys, features and outcomes; NaN and zero are hashed in one form each."""
    digest = hashlib.sha256(json.dumps(list(feature_names)).encode())
    for name in dataset.keys.columns:
        column = dataset.keys[name]
        digest.update(
            "\n".join(column).encode() if column.dtype == pl.String else column.to_numpy().astype("<i8").tobytes()
        )
    canonical = np.where(np.isnan(dataset.features), np.float32("nan"), dataset.features) + np.float32(0)
    digest.update(canonical.astype("<f4").tobytes())
    digest.update(dataset.viable.astype("<i1").tobytes())
    return digest.hexdigest()


def split_by_time(dataset: Part, policy: SplitPolicy, train_until_year: int | None = None) -> Split:
    """Split into fits, early stopping, calibration and test so that no part sees what lies after its year.

    With T = `train_until_year` and V = T less `validation_years`: the tuning fit has outcomes up to V.
    Stopping and calibration rows have as-of years from V on and outcomes up to T, so a mine's row can never
    be told from a shorter horizon of the same mine and year in the fit; half of the mines stop the boosting,
    the other half are predicted from there for calibration and intervals. The final fit has all outcomes up to T, the
    test has the next `test_as_of_years` as-of years.

    Raises:
        DatasetError: the years do not suffice for the split.
    """
    last = dataset.keys["outcome_year"].max() if len(dataset) else None
    if not isinstance(last, int):
        raise DatasetError("There is no row with a known outcome to train on. Load more years.")
    until = last - policy.test_years if train_until_year is None else train_until_year
    tuning_until = until - policy.validation_years
    validation = dataset.where((pl.col("as_of_year") >= tuning_until) & (pl.col("outcome_year") <= until))
    stopping_mines = [mine_id for mine_id in validation.keys["mine_id"].unique() if _stops_boosting(mine_id)]
    split = Split(
        train_until_year=until,
        tuning_until_year=tuning_until,
        tuning_fit=fit_rows(dataset, tuning_until, policy),
        stopping=validation.where(pl.col("mine_id").is_in(stopping_mines)),
        calibration=validation.where(~pl.col("mine_id").is_in(stopping_mines)),
        final_fit=fit_rows(dataset, until, policy),
        test=dataset.where(pl.col("as_of_year").is_between(until + 1, until + policy.test_as_of_years)),
    )
    for name in ("tuning_fit", "stopping", "calibration", "final_fit", "test"):
        outcomes = getattr(split, name).viable
        if len(set(outcomes.tolist())) < 2:
            raise DatasetError(
                f"The part {name} of the split (T = {until}) has {len(outcomes)} rows and not both outcomes. "
                "Load more years, or choose a smaller test_years or validation_years."
            )
    return split


def fit_rows(dataset: Part, until_year: int, policy: SplitPolicy) -> Part:
    """Rows to fit on with outcomes up to `until_year`: comparable as-of years, and earlier ones where these
    are too few.
    """
    known = dataset.where(pl.col("outcome_year") <= until_year)
    comparable = pl.col("as_of_year") >= policy.comparable_since_year
    counts = known.keys.filter(comparable).group_by(HORIZON).len()
    enough = counts.filter(pl.col("len") >= policy.minimum_comparable_rows)[HORIZON].to_list()
    return known.where(comparable | ~pl.col(HORIZON).is_in(enough))


def _stops_boosting(mine_id: str) -> bool:
    # by mine and not by row: the years of one mine resemble each other
    return hashlib.sha256(mine_id.encode()).digest()[0] % 2 == 0
