"""A comparison as a run in MLflow: its table, numbers and pictures. Registered versions belong in `model.registry`."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import polars as pl

from fvi_pipeline.model.backtest.comparison import Comparison
from fvi_pipeline.model.backtest.report import as_csv, comparison_table, flat_metrics, write_docs

EXPERIMENT = "fvi_model_comparison"
_DIGEST = "comparison_sha256"
_MOST_METRICS = 500  # of one call


def log_comparison(tracking_uri: str, home: Path, comparison: Comparison, predictions: pl.DataFrame) -> str:
    """Log the comparison and return the run's id; the same comparison is logged once.

    Args:
        tracking_uri: MLflow's server (http), which keeps artifacts itself, or its database.
        home: for a database, artifacts lie in `home`/mlflow.
        comparison: what is logged.
        predictions: what it was made from.
    """
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient(tracking_uri=tracking_uri)
    found = client.get_experiment_by_name(EXPERIMENT)
    experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT, _artifacts(tracking_uri, home))
    digest = hashlib.sha256("".join(table.write_csv() for table in as_csv(comparison).values()).encode()).hexdigest()
    known = client.search_runs([experiment], f"tags.{_DIGEST} = '{digest}'")
    for run in known:
        if run.info.status == "FINISHED":
            return str(run.info.run_id)
        client.delete_run(run.info.run_id)  # left by a process that was killed
    run = client.create_run(experiment, run_name="folds to " + str(comparison.folds[-1]), tags={_DIGEST: digest})
    run_id, moment = str(run.info.run_id), int(run.info.start_time)
    metrics = [Metric(name, value, moment, 0) for name, value in flat_metrics(comparison).items()]
    for first in range(0, len(metrics), _MOST_METRICS):
        client.log_batch(run_id, metrics=metrics[first : first + _MOST_METRICS])
    told = {"folds": comparison.folds, "models": comparison.by_horizon["model"].unique(maintain_order=True).to_list()}
    client.log_batch(run_id, params=[Param(name, str(value)) for name, value in told.items()])
    client.set_tag(run_id, "mlflow.note.content", comparison_table(comparison))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, table in as_csv(comparison).items():
            table.write_csv(folder / file)
        write_docs(comparison, predictions, folder)
        client.log_artifacts(run_id, name)
    client.set_terminated(run_id, status="FINISHED")
    return run_id


def _artifacts(tracking_uri: str, home: Path) -> str | None:
    if urlsplit(tracking_uri).scheme in ("http", "https"):
        return None
    folder = home / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve().as_uri()
