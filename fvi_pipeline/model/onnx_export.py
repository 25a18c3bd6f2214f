"""From LightGBM to ONNX: trees and calibration in one graph, its description, and parity row by row.

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
_BINARY = "\nobjective=binary sigmoid:1\n"  # of the model's text, which gives each tree's share of the log-odds


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
    """ONNX bytes of the calibrated model, which carry its description.

    Input `features` float32 [n, F + 1]; outputs `label` int64 [n] and `probabilities` float64 [n, 2]. A horizon
    beyond the longest one is an error of the graph too.

    Raises:
        ParityError: the description names other features than the model has, or the model is not a sum of trees
            for two outcomes.
    """
    if booster.feature_name() != metadata.columns:
        raise ParityError("The description names other features than the fitted model. Build both from the same list.")
    import onnx

    graph = _calibrated_graph(_margin_node(booster, metadata), metadata)
    model = onnx.helper.make_model(
        graph,
        ir_version=8,
        opset_imports=[onnx.helper.make_opsetid("", 13), onnx.helper.make_opsetid("ai.onnx.ml", 1)],
        producer_name=metadata.name,
    )
    onnx.helper.set_model_props(model, {METADATA_KEY: metadata.model_dump_json()})
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _margin_node(booster: lightgbm.Booster, metadata: ModelMetadata) -> Any:
    # the same trees read as a regression are converted to the node that gives their bare sum
    import lightgbm
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    text = booster.model_to_string()
    if text.count(_BINARY) != 1:
        raise ParityError("The fitted model is not one of two outcomes, whose margin is the sum of the trees.")
    converted = convert_lightgbm(
        lightgbm.Booster(model_str=text.replace(_BINARY, "\nobjective=regression\n")),
        initial_types=[(INPUT_NAME, FloatTensorType([None, len(metadata.columns)]))],
        zipmap=False,
    )
    trees = [node for node in converted.graph.node if node.op_type == "TreeEnsembleRegressor"]
    if len(trees) != 1 or list(trees[0].input) != [INPUT_NAME]:
        raise ParityError(f"The conversion gave {len(trees)} ensembles of trees, not one. Was a converter updated?")
    trees[0].output[0] = "margin"
    return trees[0]


def _calibrated_graph(margin: Any, metadata: ModelMetadata) -> Any:
    # In double after the trees: ONNX Runtime approximates the float32 sigmoid, which then may rise where its
    # argument falls by a bit, and a float32 near 1 does not give its log-odds back.
    import onnx
    from onnx import TensorProto, numpy_helper
    from onnx.helper import make_graph, make_node, make_tensor_value_info

    calibration, columns = metadata.calibration, len(metadata.columns)
    whole_years = range(max(metadata.horizons) + 1)
    constants: dict[str, Any] = {
        "last_column": np.array([columns - 1], dtype=np.int64),
        "slope": np.array(calibration.slope, dtype=np.float64),
        "pivot": np.array(calibration.pivot, dtype=np.float64),
        "steepenings": np.array([calibration.steepening(year) for year in whole_years], dtype=np.float64),
        "intercepts": np.array([calibration.intercept(year) for year in whole_years], dtype=np.float64),
        "one": np.array(1, dtype=np.float64),
        # The sigmoid of whole packets of numbers differs in its last bit from that of what is left over: with eight
        # of each nothing is, and a row alone scores as it does among others.
        "packet": np.array([1, 8], dtype=np.int64),
        "first_column": np.array([0], dtype=np.int64),
    }
    nodes = [
        margin,
        make_node("Cast", ["margin"], ["margin_double"], to=TensorProto.DOUBLE),
        make_node("Gather", [INPUT_NAME, "last_column"], ["horizon"], axis=1),
        make_node("Cast", ["horizon"], ["horizon_years"], to=TensorProto.INT64),
        make_node("Gather", ["steepenings", "horizon_years"], ["steepening"], axis=0),
        make_node("Gather", ["intercepts", "horizon_years"], ["intercept"], axis=0),
        make_node("Mul", ["margin_double", "slope"], ["scaled"]),
        make_node("Sub", ["margin_double", "pivot"], ["beyond_pivot"]),
        make_node("Relu", ["beyond_pivot"], ["above_pivot"]),
        make_node("Mul", ["above_pivot", "steepening"], ["steepened"]),
        make_node("Add", ["scaled", "steepened"], ["sloped"]),
        make_node("Add", ["sloped", "intercept"], ["log_odds"]),
        make_node("Tile", ["log_odds", "packet"], ["log_odds_packet"]),
        make_node("Sigmoid", ["log_odds_packet"], ["viable_packet"]),
        make_node("Gather", ["viable_packet", "first_column"], ["viable"], axis=1),
        make_node("Sub", ["one", "viable"], ["not_viable"]),
        make_node("Concat", ["not_viable", "viable"], ["probabilities"], axis=1),
        make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    graph: onnx.GraphProto = make_graph(
        nodes,
        metadata.name,
        [make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, [None, columns])],
        [
            make_tensor_value_info("label", TensorProto.INT64, [None]),
            make_tensor_value_info("probabilities", TensorProto.DOUBLE, [None, 2]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return graph


def check_parity(onnx_model: bytes, booster: lightgbm.Booster, features: FloatArray) -> ParityReport:
    """Compare the served bytes with LightGBM and the calibration in float64.

    On `features` [n, F + 1], at and beside every threshold, and with each feature missing in turn. The calibration
    is the one that the bytes describe.
    """
    classifier = OnnxClassifier(onnx_model)
    calibration = ModelMetadata.model_validate_json(classifier.properties[METADATA_KEY]).calibration
    at_thresholds = threshold_rows(booster, features)
    missing = _rows_with_missing(features)
    rows = np.concatenate([features, at_thresholds, missing])
    margin = np.asarray(booster.predict(rows, raw_score=True, num_threads=1))
    # a row at a threshold of the horizon lies between two whole years
    expected = calibration.probabilities(margin, rows[:, -1].astype(np.int64))
    difference = np.abs(classifier.probabilities(rows) - expected)
    return ParityReport(
        rows=len(rows),
        threshold_rows=len(at_thresholds),
        missing_rows=len(missing),
        # a number that is none is over any tolerance
        rows_over_tolerance=int((~(difference <= PARITY_TOLERANCE)).sum()),
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
