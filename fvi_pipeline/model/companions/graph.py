"""The ONNX graphs of the companions: LightGBM's trees as nodes, what is computed from their sums in double, and parity
row by row.

Which graph a companion has belongs to the companion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.model.companions.predictor import OUTPUT_NAME, CompanionMetadata
from fvi_pipeline.model.dataset import FloatArray
from fvi_pipeline.model.errors import ParityError
from fvi_pipeline.model.onnx_export import ParityReport, threshold_rows
from fvi_pipeline.model.scoring import INPUT_NAME, METADATA_KEY

if TYPE_CHECKING:
    import lightgbm

Compute = Callable[[FloatArray], NDArray[np.float64]]

# Objectives whose trees are summed without more ado, and the node that the converter makes of them. Forests of other
# kinds are not among them: the converter sums where LightGBM takes a mean.
_NODES = {"quantile": "TreeEnsembleRegressor", "multiclass": "TreeEnsembleClassifier"}
_MISSING_ROWS_PER_FEATURE = 5


def tree_node(booster: lightgbm.Booster, margin: str) -> Any:
    """The node that sums the trees of a booster: from the graph's input to the float32 tensor `margin`, [n, 1] or
    [n, K].

    Raises:
        ParityError: the booster is of a kind that the converter does not get right.
    """
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    text = booster.model_to_string()
    objective = next((line for line in text.splitlines() if line.startswith("objective=")), "objective=")
    kind = objective.removeprefix("objective=").split(" ")[0]
    if kind not in _NODES or "\naverage_output\n" in text:
        raise ParityError(f"Trees of the kind {objective!r} are not exported: their ONNX form may be silently wrong.")
    converted = convert_lightgbm(
        booster, initial_types=[(INPUT_NAME, FloatTensorType([None, booster.num_feature()]))], zipmap=False
    )
    nodes = [node for node in converted.graph.node if node.op_type == _NODES[kind]]
    if len(nodes) != 1 or list(nodes[0].input) != [INPUT_NAME]:
        raise ParityError(f"The conversion gave {len(nodes)} ensembles of trees, not one. Was a converter updated?")
    node = nodes[0]
    node.name = f"trees_{margin}"
    if kind == "multiclass":
        for attribute in node.attribute:
            if attribute.name == "post_transform":
                attribute.s = b"NONE"  # the bare sums
        node.output[:] = [f"{margin}_label", margin]
    else:
        node.output[:] = [margin]
    return node


def to_onnx(
    nodes: Sequence[Any],
    constants: Mapping[str, NDArray[Any]],
    metadata: CompanionMetadata,
) -> bytes:
    """ONNX bytes of a graph: input `features` float32 [n, F], output `prediction` float64 [n, K]; they carry the
    description.
    """
    import onnx
    from onnx import TensorProto, numpy_helper
    from onnx.helper import make_graph, make_model, make_opsetid, make_tensor_value_info

    model = make_model(
        make_graph(
            list(nodes),
            metadata.name,
            [make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, [None, len(metadata.features)])],
            [make_tensor_value_info(OUTPUT_NAME, TensorProto.DOUBLE, [None, len(metadata.outputs)])],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        ir_version=8,
        opset_imports=[make_opsetid("", 13), make_opsetid("ai.onnx.ml", 1)],
        producer_name=metadata.name,
    )
    onnx.helper.set_model_props(model, {METADATA_KEY: metadata.model_dump_json()})
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def check_parity(
    served: Compute, expected: Compute, boosters: Sequence[lightgbm.Booster], features: FloatArray, tolerance: float
) -> ParityReport:
    """Compare what the graph gives with what LightGBM and the same arithmetic give: on `features` [n, F], at and beside
    every threshold of every booster, and with each feature missing in turn.
    """
    at_thresholds = np.concatenate([threshold_rows(booster, features) for booster in boosters])
    # a split of the missing from all others has a threshold that no feature reaches
    at_thresholds = at_thresholds[~np.isinf(at_thresholds).any(axis=1)]
    missing = _rows_with_missing(features)
    rows = np.concatenate([features, at_thresholds, missing])
    given, wanted = served(rows), expected(rows)
    neither = np.isnan(given) & np.isnan(wanted)  # what a prediction is a multiple of is missing
    difference = np.where(neither, 0.0, np.abs(given - wanted)).max(axis=1, initial=0.0)
    return ParityReport(
        rows=len(rows),
        threshold_rows=len(at_thresholds),
        missing_rows=len(missing),
        # a number that is none is over any tolerance
        rows_over_tolerance=int((~(difference <= tolerance)).sum()),
        maximum_difference=float(difference.max(initial=0.0)),
        tolerance=tolerance,
    )


def _rows_with_missing(features: FloatArray) -> FloatArray:
    columns = features.shape[1]
    chosen = np.linspace(0, len(features) - 1, num=columns * _MISSING_ROWS_PER_FEATURE).astype(int)
    rows: FloatArray = features[chosen].copy()
    rows[np.arange(len(rows)), np.arange(len(rows)) % columns] = np.nan
    return rows
