"""The training set as it lies on disk: one Parquet file that names the feature service its features came from.

Which rows and features are in it belongs to the asset that makes it, what is fitted on which rows to `dataset`.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from fvi_pipeline.model.errors import DatasetError

TRAINING_FILE = "training_set.parquet"
SIZE_FEATURE = "production_short_tons"
"""The feature that ranks mines by production."""
_SERVICE_ENTRY = "feature_service"  # in the file's own metadata


def write_training_set(rows: pl.DataFrame, feature_service: str, path: Path) -> None:
    """Replace the file at once: a killed run leaves the former one, not half of a new one."""
    temporary = path.with_suffix(".writing")
    rows.write_parquet(temporary, metadata={_SERVICE_ENTRY: feature_service})
    temporary.replace(path)


def read_feature_service(path: Path) -> str:
    """The feature service that the features of the file came from.

    Raises:
        DatasetError: there is no such file, or it does not say.
    """
    if not path.exists():
        raise DatasetError(f"There is no training set at {path}. Run `fvi run`, or materialise model/training_set.")
    service = pl.read_parquet_metadata(path).get(_SERVICE_ENTRY)
    if service is None:
        raise DatasetError(f"{path} does not say which features it has. Materialise model/training_set first.")
    return service


def read_rows(path: Path) -> pl.DataFrame:
    """Rows for `dataset.make_dataset`."""
    return pl.read_parquet(path)
