"""The watch over the features: their statistics and their drift against the training data, kept in ops.monitoring.

What is measured, and how, belongs to `monitoring`. Nothing is retrained from here.
"""

from datetime import UTC, datetime

import dagster as dg
import polars as pl

from fvi_pipeline.defs.features import catalogue
from fvi_pipeline.defs.model import TRAINING_SET
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.defs.retries import retried
from fvi_pipeline.model.training_set import TRAINING_FILE
from fvi_pipeline.monitoring import store
from fvi_pipeline.monitoring.measurements import drifts, measure_features
from fvi_pipeline.monitoring.training_rows import TrainingRows, training_rows

MONITORING = dg.AssetKey(["ops", "monitoring"])
_AFTER_TRAINING = {"dagster/priority": "-1"}


@dg.asset(
    key=MONITORING,
    deps=[TRAINING_SET, dg.AssetKey(["gold", "gold_mine_features"])],
    # in a run that also trains, the champion of this run is the one to compare with. A dependency on it would leave the
    # statistics out when there is none; runs go through their steps one by one, those of less weight last
    op_tags=_AFTER_TRAINING,
    group_name="monitoring",
    kinds={"polars", "postgres"},
    owners=["team:model"],
    description="How each feature lies in the newest cohort, what it tells of viability, and how far it has moved from "
    "the data that the champion (or else the newest challenger) was fitted on: one row per measure, with its history.",
)
def monitoring(
    context: dg.AssetExecutionContext, warehouse: Warehouse, model_workshop: ModelWorkshop
) -> dg.MaterializeResult[None]:
    """Measure every feature and add what has changed."""
    from fvi_pipeline.monitoring.pictures import as_markdown, drift_picture, drift_table

    features = catalogue().model_features()
    training = reigning_training_rows(model_workshop)
    if training is None:
        context.log.info("There is no model yet: statistics without drift.")
    with retried(context), warehouse.connect() as connection:
        cohort = store.newest_cohort(connection, features)
        if cohort is None:
            return dg.MaterializeResult(metadata={"dagster/row_count": 0})
        moves = drifts(cohort, features, training)
        measurements = measure_features(cohort, features, training, moves)
        added = store.write_measurements(connection, measurements, datetime.now(UTC))
    metadata: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(len(measurements)),
        "rows_added": dg.MetadataValue.int(added),
        "cohort": dg.MetadataValue.text(f"{cohort.description}, {cohort.rows.height:,} mines"),
    }
    if training is not None and moves:
        title = f"{cohort.description} against the\n{training.description}"
        metadata |= {
            "compared_with": dg.MetadataValue.text(training.description),
            "features_that_moved": dg.MetadataValue.json(
                [name for name, each in moves.items() if each.level != "stable"]
            ),
            "drift": dg.MetadataValue.md(drift_table(moves.values())),
            "picture": dg.MetadataValue.md(as_markdown(drift_picture(moves.values(), title), title)),
        }
    return dg.MaterializeResult(metadata=metadata)


def reigning_training_rows(model_workshop: ModelWorkshop) -> TrainingRows | None:
    """What the champion learned from, or without one the newest challenger; None without a model or training set."""
    path = model_workshop.training_folder / TRAINING_FILE
    if not path.exists():
        return None
    registry = model_workshop.registry()
    champion = registry.champion()
    version = champion or registry.newest()
    if version is None:
        return None
    metadata = registry.load(version.version).metadata
    model = f"{'the champion' if champion else 'a challenger'}, version {version.version}"
    return training_rows(pl.read_parquet(path), metadata.train_until_year, frozenset(metadata.features), model)


ASSETS = [monitoring]
