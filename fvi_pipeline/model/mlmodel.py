"""A version's files as an MLflow model: the MLmodel beside model.onnx with signature and lineage, and its pyfunc form,
which takes a table with named columns. Nothing is copied: both flavours read model.onnx itself.

The files themselves belong to the models, storing them to `registry`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.model.dataset import HORIZON

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

_ONNX_FILE = "model.onnx"
_PROVIDERS = ["CPUExecutionProvider"]
_ONE_THREAD = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
_REQUIREMENTS = ("mlflow", "numpy", "onnx", "onnxruntime", "pandas")


class OnnxTable:
    """The ONNX graph over a table: columns by name in, one column for each number that it puts out."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Load; `columns` are those of the graph's only input, in order."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # converters declare an output as one row and put out all
        self._session = onnxruntime.InferenceSession(str(path), options, providers=_PROVIDERS)
        self.columns = list(columns)

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """The graph's outputs for each row; pyfunc's method. The order of the columns does not matter, no parameters
        are known, and missing values are null.
        """
        import pandas as pd

        rows = model_input[self.columns].to_numpy(dtype=np.float32, na_value=np.nan)
        feed = {self._session.get_inputs()[0].name: np.ascontiguousarray(rows)}
        outputs = zip(self._session.get_outputs(), self._session.run(None, feed), strict=True)
        return pd.DataFrame({name: values for output, array in outputs for name, values in _named(output.name, array)})


def write_mlmodel(
    folder: Path,
    columns: Sequence[str],
    lineage: Mapping[str, str],
    *,
    run_id: str,
) -> None:
    """Write MLmodel and what it refers to into the folder of model.onnx, so that MLflow can load it.

    Args:
        folder: holds model.onnx.
        columns: of its only input, in order; the signature names them.
        lineage: what the MLmodel says of its origin.
        run_id: the run that made it.
    """
    import yaml
    from mlflow import pyfunc
    from mlflow.models import Model

    requirements = [f"{name}=={version(name)}" for name in _REQUIREMENTS]
    model = Model(run_id=run_id, signature=_signature(folder, columns), metadata={**lineage, "columns": list(columns)})
    pyfunc.add_to_model(model, loader_module=__name__, data=".", conda_env="conda.yaml", python_env="python_env.yaml")
    model.add_flavor(
        "onnx",
        onnx_version=version("onnx"),
        data=_ONNX_FILE,
        providers=_PROVIDERS,
        onnx_session_options=_ONE_THREAD,
        code=None,
    )
    model.save(str(folder / "MLmodel"))
    (folder / "requirements.txt").write_text("\n".join(requirements) + "\n")
    python = {"python": "3.11", "dependencies": ["-r requirements.txt"]}
    (folder / "python_env.yaml").write_text(yaml.safe_dump(python))
    conda = {"name": "fvi", "channels": ["conda-forge"], "dependencies": ["python=3.11", "pip", {"pip": requirements}]}
    (folder / "conda.yaml").write_text(yaml.safe_dump(conda))


def _load_pyfunc(folder: str) -> OnnxTable:
    """MLflow's entry point for the flavour."""
    from mlflow.models import Model

    described = Model.load(folder)
    return OnnxTable(Path(folder) / _ONNX_FILE, (described.metadata or {})["columns"])


def _signature(folder: Path, columns: Sequence[str]) -> ModelSignature:
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    row = pd.DataFrame(np.ones((1, len(columns)), dtype=np.float64), columns=list(columns))
    shown = OnnxTable(folder / _ONNX_FILE, columns).predict(row)
    outputs = [ColSpec(DataType.float if shown[name].dtype == np.float32 else DataType.long, name) for name in shown]
    inputs = [ColSpec(DataType.long if name == HORIZON else DataType.double, name) for name in columns]
    return ModelSignature(Schema(inputs), Schema(outputs))


def _named(name: str, values: NDArray[Any]) -> list[tuple[str, NDArray[Any]]]:
    if values.ndim == 1 or values.shape[1] == 1:
        return [(name, values.reshape(-1))]
    return [(f"{name}_{number}", values[:, number]) for number in range(values.shape[1])]
