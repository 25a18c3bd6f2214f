"""From LightGBM to ONNX: conversion, the description embedded in the file, and parity row by row.

What is exported here is what is evaluated and served. Loading it for scoring belongs in `scoring`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fvi_pipeline.model.dataset import FloatArray
from fvi_pipeline.model.errors import ParityError
from fvi_pipeline.model.scoring import INPUT_NAME, METADATA_KEY, ModelMetadata, OnnxClassifier

if TYPE_CHECKING:
    import lightgbm

PARITY_TOLERANCE = 1e-6


@dataclass(frozen=True)
class ParityReport:
    """How far the ONNX model is from the LightGBM model, in probability."""

    rows: int
    threshold_rows: int
    missing_rows: int
    rows_over_tolerance: int
    maximum_difference: float
    tolerance: float = PARITY_TOLERANCE

    @property
    def passed(self) -> bool:
        """Whether no row differs by more than the tolerance."""
        return self.rows_over_tolerance == 0

    def as_dict(self) -> dict[str, float]:
        """The numbers, for metrics and lineage."""
        return asdict(self)


def to_onnx(booster: lightgbm.Booster, metadata: ModelMetadata) -> bytes:
    """ONNX bytes of the model: input `features` float32 [n, F + 1], output probabilities [n, 2]; carries
    its description.

    Raises:
        ParityError: the description names other features than the model has.
    """
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    if booster.feature_name() != metadata.columns:
        raise ParityError("The description names other features than the fitted model. Build both from the same list.")
    model = convert_lightgbm(
        booster,
        name=metadata.name,
        initial_types=[(INPUT_NAME, FloatTensorType([None, len(metadata.columns)]))],
        zipmap=False,
    )
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, metadata.model_dump_json()
    return bytes(model.SerializeToString(deterministic=True))


def check_parity(onnx_model: bytes, booster: lightgbm.Booster, features: FloatArray) -> ParityReport:
    """Compare both models on `features` [n, F + 1], at and beside every threshold, and with each feature
    missing in turn.
    """
    at_thresholds = threshold_rows(booster, features)
    missing = _rows_with_missing(features)
    rows = np.concatenate([features, at_thresholds, missing])
    difference = np.abs(OnnxClassifier(onnx_model).probabilities(rows) - np.asarray(booster.predict(rows)))
    return ParityReport(
        rows=len(rows),
        threshold_rows=len(at_thresholds),
        missing_rows=len(missing),
        rows_over_tolerance=int((difference > PARITY_TOLERANCE).sum()),
        maximum_difference=float(difference.max(initial=0.0)),
    )


def threshold_rows(booster: lightgbm.Booster, features: FloatArray) -> FloatArray:
    """Rows of `features` with one value set to a threshold of the trees, or to the float32 just below or
    above it.
    """
    splits: set[tuple[int, float]] = set()
    for tree in booster.dump_model()["tree_info"]:
        _collect_splits(tree["tree_structure"], splits)
    if not splits or not len(features):
        return np.empty((0, features.shape[1]), dtype=np.float32)
    ordered = sorted(splits)
    columns = np.repeat([column for column, _ in ordered], 3)
    with np.errstate(over="ignore"):  # a split of the missing from all others has a threshold that no float32 reaches
        at = np.array([threshold for _, threshold in ordered]).astype(np.float32)
    infinity = np.float32(np.inf)
    values = np.stack([np.nextafter(at, -infinity), at, np.nextafter(at, infinity)], axis=1).ravel()
    rows: FloatArray = features[np.linspace(0, len(features) - 1, num=len(values)).astype(int)].copy()
    rows[np.arange(len(values)), columns] = values
    return rows


def _collect_splits(node: dict[str, Any], splits: set[tuple[int, float]]) -> None:
    if "split_feature" in node:
        splits.add((int(node["split_feature"]), float(node["threshold"])))
        _collect_splits(node["left_child"], splits)
        _collect_splits(node["right_child"], splits)


def _rows_with_missing(features: FloatArray, rows_per_feature: int = 20) -> FloatArray:
    # the horizon (last) is never missing
    count = features.shape[1] - 1
    if not len(features):
        return np.empty((0, features.shape[1]), dtype=np.float32)
    chosen = np.linspace(0, len(features) - 1, num=count * rows_per_feature).astype(int)
    rows: FloatArray = features[chosen].copy()
    rows[np.arange(len(rows)), np.arange(len(rows)) % count] = np.nan
    return rows
