"""The segments themselves: k-means on scaled features, their number by silhouette, the same for the same mines.

Which features count belongs to `features`, what a segment is like to `profile`, its name to `naming`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fvi_pipeline.segments.errors import SegmentsError, TooFewMinesError
from fvi_pipeline.segments.scaling import FloatArray, Scaling, fit_scaling, raw_values

KEY = "mine_id"
_DIGITS = 6
_MOST_COMPARED = 5_000


@dataclass(frozen=True)
class SegmentSettings:
    """How segments are looked for.

    A number of segments of which the smallest holds less than `least_share` of the mines is not taken: a few odd mines
    are no segment. `stability_fits` repetitions on `stability_share` of the mines tell how sure the segments are.
    """

    seed: int = 0
    fewest_segments: int = 2
    most_segments: int = 10
    fewest_mines: int = 40
    least_share: float = 0.03
    starts: int = 10
    stability_fits: int = 10
    stability_share: float = 0.8


@dataclass(frozen=True)
class NumberTried:
    """One number of segments that was tried: its mean silhouette, the mines of its smallest segment, and whether it
    could be taken.
    """

    segments: int
    silhouette: float
    smallest: int
    is_allowed: bool


@dataclass(frozen=True)
class SegmentFit:
    """Segments of a cohort, numbered from 1 by falling median size.

    `mines` has a row for each mine: mine_id, segment, distance (to the centre, in standard deviations), next_segment
    and next_distance (the nearest other one), silhouette, known_share (of the features). `scaled` are the values in
    the order of `mines`. `stability` is the adjusted Rand index of the segments with those of parts of the mines: 1
    when they are the same.
    """

    scaling: Scaling
    centres: FloatArray
    tried: tuple[NumberTried, ...]
    stability: float
    mines: pl.DataFrame
    scaled: FloatArray = field(repr=False)

    @property
    def features(self) -> tuple[str, ...]:
        """The features that count."""
        return self.scaling.features

    @property
    def silhouette(self) -> float:
        """The mean silhouette of the number that was taken."""
        return next(each.silhouette for each in self.tried if each.segments == len(self.centres))

    @property
    def fit_id(self) -> str:
        """A digest of the segments: the same for the same mines, features and values."""
        content = {
            "model": _rounded(model_as_dict(self.scaling, self.centres)),
            "mines": self.mines.select(KEY, "segment").rows(),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def fit_segments(
    mines: pl.DataFrame, features: Sequence[str], *, size_feature: str, settings: SegmentSettings | None = None
) -> SegmentFit:
    """Find the segments of a cohort: `mines` has `mine_id`, each once, and the features, in any order of rows.

    Raises:
        TooFewMinesError: there are fewer mines than a segment needs, no feature, or no number of segments is allowed.
        SegmentsError: a mine is there twice.
    """
    from threadpoolctl import threadpool_limits

    settings = settings or SegmentSettings()
    if mines[KEY].n_unique() != mines.height:
        raise SegmentsError("A mine is there twice. Segments are made of one row for each mine.")
    if mines.height < settings.fewest_mines or not features:
        raise TooFewMinesError(
            f"{mines.height} mines with {len(features)} features that tell them apart are too few for segments: "
            f"{settings.fewest_mines} mines and one feature are needed."
        )
    ordered = mines.sort(KEY)  # k-means begins with drawn rows: the order of the rows must not matter
    scaling = fit_scaling(ordered, features)
    scaled = scaling.apply(ordered)
    # some hundred mines are no work for several threads: they wait for each other, and add up in another order
    with threadpool_limits(1):
        return _fitted(ordered, scaling, scaled, size_feature, settings)


def _fitted(
    ordered: pl.DataFrame, scaling: Scaling, scaled: FloatArray, size_feature: str, settings: SegmentSettings
) -> SegmentFit:
    tried, labels = _tried(scaled, settings)
    allowed = [each for each in tried if each.is_allowed]
    if not allowed:
        raise TooFewMinesError(
            f"Every way to part the {ordered.height} mines leaves a segment of less than {settings.least_share:.0%}."
        )
    # of equals the smaller number
    best = max(allowed, key=lambda each: (each.silhouette, -each.segments)).segments
    numbered = _by_size(labels[best], ordered[size_feature], scaled)
    centres = np.stack([scaled[numbered == number].mean(axis=0) for number in range(1, best + 1)])
    return SegmentFit(
        scaling=scaling,
        centres=centres,
        tried=tuple(tried),
        stability=_stability(scaled, numbered, best, settings),
        mines=_placed(ordered, scaling, centres, scaled, numbered),
        scaled=scaled,
    )


def assign(frame: pl.DataFrame, scaling: Scaling, centres: FloatArray) -> pl.DataFrame:
    """The nearest segment of rows that the segments were not made from: segment and distance, next_segment and
    next_distance, in the frame's order.
    """
    return _nearest(scaling.apply(frame), centres)


def model_as_dict(scaling: Scaling, centres: FloatArray) -> dict[str, Any]:
    """What `assign` needs, for JSON."""
    return {"scaling": scaling.as_dict(), "centres": centres.tolist()}


def model_from_dict(stored: Mapping[str, Any]) -> tuple[Scaling, FloatArray]:
    """From `model_as_dict`."""
    return Scaling.from_dict(stored["scaling"]), np.array(stored["centres"], dtype=np.float64)


def _tried(scaled: FloatArray, settings: SegmentSettings) -> tuple[list[NumberTried], dict[int, NDArray[np.int64]]]:
    from sklearn.metrics import silhouette_score

    tried, labels = [], {}
    different = len(np.unique(scaled, axis=0))
    for number in range(settings.fewest_segments, min(settings.most_segments, different - 1) + 1):
        labels[number] = _k_means(scaled, number, settings).labels_
        smallest = int(np.bincount(labels[number], minlength=number).min())
        silhouette = silhouette_score(
            scaled, labels[number], sample_size=min(len(scaled), _MOST_COMPARED), random_state=settings.seed
        )
        allowed = smallest >= settings.least_share * len(scaled)
        tried.append(NumberTried(number, float(silhouette), smallest, allowed))
    return tried, labels


def _k_means(scaled: FloatArray, number: int, settings: SegmentSettings) -> Any:
    from sklearn.cluster import KMeans

    # until nothing moves: then each mine is in the segment whose mean is the nearest
    return KMeans(number, n_init=settings.starts, random_state=settings.seed, tol=0, max_iter=1_000).fit(scaled)


def _by_size(labels: NDArray[np.int64], size: pl.Series, scaled: FloatArray) -> NDArray[np.int64]:
    """The labels as numbers from 1: the segment with the largest median mine first."""
    values = raw_values(size.to_frame(), [size.name])[:, 0]

    def place(label: int) -> tuple[float, list[float]]:
        of_segment = labels == label
        return -float(np.nanmedian(values[of_segment])), scaled[of_segment].mean(axis=0).tolist()

    order = sorted(range(int(labels.max()) + 1), key=place)
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = np.arange(1, len(order) + 1)
    return np.asarray(numbers[labels], dtype=np.int64)


def _stability(scaled: FloatArray, numbered: NDArray[np.int64], number: int, settings: SegmentSettings) -> float:
    from sklearn.metrics import adjusted_rand_score

    drawn = np.random.default_rng(settings.seed)
    agreements = []
    for _ in range(settings.stability_fits):
        part = drawn.choice(len(scaled), max(int(settings.stability_share * len(scaled)), number), replace=False)
        agreements.append(adjusted_rand_score(numbered, _k_means(scaled[part], number, settings).predict(scaled)))
    return float(np.mean(agreements)) if agreements else float("nan")


def _placed(
    ordered: pl.DataFrame, scaling: Scaling, centres: FloatArray, scaled: FloatArray, numbered: NDArray[np.int64]
) -> pl.DataFrame:
    known = 1 - np.isnan(raw_values(ordered, scaling.features)).mean(axis=1)
    nearest = _nearest(scaled, centres, numbered)
    return ordered.select(KEY).with_columns(
        *nearest.get_columns(),
        pl.Series("silhouette", _silhouettes(scaled, numbered)),
        pl.Series("known_share", known),
    )


def _silhouettes(scaled: FloatArray, numbered: NDArray[np.int64]) -> FloatArray:
    from sklearn.metrics import silhouette_samples

    return np.asarray(silhouette_samples(scaled, numbered), dtype=np.float64)


def _nearest(scaled: FloatArray, centres: FloatArray, numbered: NDArray[np.int64] | None = None) -> pl.DataFrame:
    distances = np.linalg.norm(scaled[:, None, :] - centres[None, :, :], axis=2)
    own = distances.argmin(axis=1) if numbered is None else numbered - 1
    rows = np.arange(len(scaled))
    others = distances.copy()
    others[rows, own] = np.inf
    other = others.argmin(axis=1)
    return pl.DataFrame(
        {
            "segment": own + 1,
            "distance": distances[rows, own],
            "next_segment": other + 1,
            "next_distance": distances[rows, other],
        },
        schema={
            "segment": pl.Int64,
            "distance": pl.Float64,
            "next_segment": pl.Int64,
            "next_distance": pl.Float64,
        },
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    # one part in a million: sums in another order must not make another fit
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
