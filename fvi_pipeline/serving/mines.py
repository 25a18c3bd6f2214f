"""What is stored of a mine, and why one has no score. Reading it belongs to the readers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class StoredMine:
    """The features of a mine's newest year, and its index.

    `row` has every feature of the model [F] in its order, NaN where the value is missing; it is None when the mine has
    no row of features (no production history).
    """

    row: NDArray[np.float32] | None
    as_of_year: int | None
    in_cohort: bool
    index_score: float | None
    known_at: datetime | None = None


def why_no_score(mine: StoredMine, newest_year: int | None) -> str | None:
    """Return why the mine is outside the cohort of `newest_year`, in a sentence; None when it is inside."""
    if mine.row is None or mine.as_of_year is None:
        return "The mine has no production history to score; its index is given instead."
    if not mine.in_cohort:
        return f"The mine is outside the cohort: it was not producing in {mine.as_of_year}."
    if newest_year is not None and mine.as_of_year < newest_year:
        return f"The mine is outside the cohort: it reported last for {mine.as_of_year}, not for {newest_year}."
    return None
