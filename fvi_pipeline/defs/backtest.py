"""The model tested from many origins, as a part of every run, and beside rivals, weekly and when asked for.

What a fold is, which rivals there are and what is measured belongs to `model.backtest`. Where rows, model and settings
come from is here, for the assets and for `fvi backtest`.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from fvi_pipeline.defs.model import CHALLENGER, STUDIES, TRAINING_SET
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.features.versions import version_of
from fvi_pipeline.model.training_set import SIZE_FEATURE, TRAINING_FILE, read_feature_service

if TYPE_CHECKING:
    from fvi_pipeline.model.backtest.comparison import Comparison
    from fvi_pipeline.model.backtest.folds import Backtest, BacktestPolicy
    from fvi_pipeline.model.backtest.rolling import Rolled
    from fvi_pipeline.model.scoring import ViabilityModel

BACKTEST = dg.AssetKey(["mart", "backtest_predictions"])
RIVALS = dg.AssetKey(["mart", "backtest_rival_predictions"])
COMPARISON = dg.AssetKey(["model", "comparison"])


@dataclass(frozen=True)
class Prepared:
    """What a backtest of this home needs."""

    backtest: "Backtest"
    policy: "BacktestPolicy"
    served: "ViabilityModel"


def prepare(warehouse: Warehouse, model_workshop: ModelWorkshop, instance: dg.DagsterInstance) -> Prepared:
    """The training set, the challenger that was made from it, and the settings.

    Raises:
        dg.Failure: there is no challenger, or it was made from another training set.
    """
    from fvi_pipeline.model.backtest.folds import rows_of
    from fvi_pipeline.model.dataset import data_hash

    event = instance.get_latest_materialization_event(CHALLENGER)
    told = event.asset_materialization.metadata if event and event.asset_materialization else {}
    if "version" not in told:
        raise dg.Failure("There is no challenger to test. Materialise model/challenger first, or use `fvi run`.")
    served = model_workshop.registry().load(str(told["version"].value))
    backtest, policy = open_rows(warehouse, model_workshop, served_until_year=served.metadata.train_until_year)
    if served.metadata.data_hash != data_hash(rows_of(backtest), backtest.features):
        raise dg.Failure("The challenger was made from another training set. Materialise model/challenger first.")
    return Prepared(backtest, policy, served)


def open_rows(
    warehouse: Warehouse,
    model_workshop: ModelWorkshop,
    *,
    served_until_year: int | None = None,
    until: int | None = None,
) -> tuple["Backtest", "BacktestPolicy"]:
    """The training set and how folds are made of it.

    Args:
        warehouse: knows the features of the training set's service.
        model_workshop: where the training set lies; the seed and the number of trials and origins.
        served_until_year: T of the served model; None: the one that a model made from these rows would have.
        until: only rows with an outcome of a year up to this; None: all.

    Raises:
        DatasetError: there is no training set.
        dg.Failure: no row of it is left.
    """
    from fvi_pipeline.model.backtest.folds import FOLD_FITS, FOLD_TRIALS, Backtest, BacktestPolicy
    from fvi_pipeline.model.dataset import SplitPolicy
    from fvi_pipeline.model.training import TrainingSettings

    path = model_workshop.training_folder / TRAINING_FILE
    with warehouse.connect() as connection:
        features = version_of(connection, read_feature_service(path)).features
    frame = pl.read_parquet(path)
    if until is not None:
        frame = frame.filter(pl.col("outcome_year") <= until)
    if frame.is_empty():
        raise dg.Failure(f"The training set has no outcome of a year up to {until}.")
    split = SplitPolicy()
    last_year = int(frame["outcome_year"].max())  # type: ignore[arg-type]  # a column of years is no column of dates
    backtest = Backtest(
        frame=frame,
        features=tuple(features),
        size_feature=SIZE_FEATURE,
        served_until_year=last_year - split.test_years if served_until_year is None else served_until_year,
        split=split,
        settings=TrainingSettings(
            seed=model_workshop.seed, trials=min(FOLD_TRIALS, model_workshop.trials), fits=FOLD_FITS
        ),
    )
    return backtest, BacktestPolicy(maximum_folds=model_workshop.backtest_origins)


@dg.asset(
    key=BACKTEST,
    deps=[TRAINING_SET, CHALLENGER],
    group_name="mart",
    kinds={"lightgbm", "postgres"},
    owners=["team:model"],
    description="For each origin T, a model fitted, tuned and calibrated on outcomes up to T, and what it says of the "
    "years after, beside what came. The fold of the challenger's own T is the challenger; an unchanged fold is kept.",
)
def backtest_predictions(
    context: dg.AssetExecutionContext, warehouse: Warehouse, model_workshop: ModelWorkshop
) -> dg.MaterializeResult[None]:
    """Compute the folds whose rows, code or settings are new."""
    from fvi_pipeline.model.backtest.rolling import roll

    prepared = prepare(warehouse, model_workshop, context.instance)
    with warehouse.connect() as connection:
        rolled = roll(
            connection,
            prepared.backtest,
            prepared.policy,
            prepared.served,
            context.log.info,
            processes=model_workshop.tuning_processes,
        )
        rows = connection.execute("select count(*) from mart.backtest_predictions").fetchone()
    return dg.MaterializeResult(metadata={"dagster/row_count": rows[0] if rows else 0, **rolled_metadata(rolled)})


@dg.asset(
    key=RIVALS,
    deps=[TRAINING_SET, BACKTEST],
    group_name=STUDIES,
    kinds={"scikitlearn", "postgres"},
    owners=["team:model"],
    description="What simpler models, fitted on the same rows, say of the rows of mart.backtest_predictions.",
)
def backtest_rival_predictions(
    context: dg.AssetExecutionContext, warehouse: Warehouse, model_workshop: ModelWorkshop
) -> dg.MaterializeResult[None]:
    """Fit the rivals on the folds whose rows or code are new."""
    from fvi_pipeline.model.backtest.rivals import all_rivals
    from fvi_pipeline.model.backtest.rolling import roll_rivals

    prepared = prepare(warehouse, model_workshop, context.instance)
    with warehouse.connect() as connection:
        rolled = roll_rivals(connection, prepared.backtest, all_rivals(), context.log.info)
        rows = connection.execute("select count(*) from mart.backtest_rival_predictions").fetchone()
    return dg.MaterializeResult(metadata={"dagster/row_count": rows[0] if rows else 0, **rolled_metadata(rolled)})


@dg.asset(
    key=COMPARISON,
    deps=[BACKTEST, RIVALS],
    group_name=STUDIES,
    kinds={"mlflow"},
    owners=["team:model"],
    description="The product beside its rivals on the same rows: one table, calibration plots, and which differences "
    "are more than noise.",
)
def comparison(warehouse: Warehouse, model_workshop: ModelWorkshop) -> dg.MaterializeResult[None]:
    """Measure what the folds hold, and log it as a run of MLflow."""
    from fvi_pipeline.model.backtest.comparison import compare
    from fvi_pipeline.model.backtest.store import read_predictions, served_origin

    with warehouse.connect() as connection:
        predictions = read_predictions(connection)
        compared = compare(predictions, served_until_year=served_origin(connection))
    return dg.MaterializeResult(metadata=log_and_describe(model_workshop, compared, predictions))


def log_and_describe(
    model_workshop: ModelWorkshop, compared: "Comparison", predictions: pl.DataFrame
) -> Mapping[str, dg.MetadataValue]:
    """Log a comparison in MLflow and tell Dagster of it: the table, the pictures and the run."""
    from fvi_pipeline.model.backtest.pictures import write_pictures
    from fvi_pipeline.model.backtest.report import comparison_table
    from fvi_pipeline.model.backtest.tracking import log_comparison
    from fvi_pipeline.monitoring.pictures import as_markdown

    run_id = log_comparison(model_workshop.mlflow_tracking_uri, Path(model_workshop.home), compared, predictions)
    held = compared.calibration()
    with tempfile.TemporaryDirectory() as folder:
        pictures = {
            path.stem: dg.MetadataValue.md(as_markdown(path.read_bytes(), path.stem))
            for path in write_pictures(compared, predictions, Path(folder))
        }
    return {
        "table": dg.MetadataValue.md(comparison_table(compared)),
        "calibration_held": dg.MetadataValue.text(f"{int(held['holds'].sum())} of {held.height} folds and horizons"),
        "mlflow_run_id": dg.MetadataValue.text(run_id),
        **pictures,
    }


def rolled_metadata(rolled: "Rolled") -> dict[str, dg.MetadataValue]:
    """What became of the folds."""
    return {
        "folds": dg.MetadataValue.json(rolled.years),
        "computed": dg.MetadataValue.json([f"{model} {until}" for model, until in rolled.computed]),
        "unchanged": dg.MetadataValue.int(len(rolled.unchanged)),
        "removed": dg.MetadataValue.json([f"{model} {until}" for model, until in rolled.removed]),
        "impossible": dg.MetadataValue.json({str(until): reason for until, reason in rolled.impossible.items()}),
    }


def note(instance: dg.DagsterInstance, key: dg.AssetKey, metadata: Mapping[str, dg.MetadataValue]) -> None:
    """Tell Dagster what a command brought up to date without it."""
    instance.report_runless_asset_event(dg.AssetMaterialization(asset_key=key, metadata=metadata))


JOB = dg.define_asset_job(
    "model_comparison",
    selection=dg.AssetSelection.assets(BACKTEST, RIVALS, COMPARISON),
    executor_def=dg.in_process_executor,
    description="The rivals on the folds of the model, and the comparison of them all.",
)
SCHEDULE = dg.ScheduleDefinition(
    name="model_comparison_schedule",
    job=JOB,
    cron_schedule="0 5 * * 0",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Sundays at 05:00 UTC, after the weekly training.",
)
ASSETS = [backtest_predictions]
STUDY_ASSETS = [backtest_rival_predictions, comparison]
