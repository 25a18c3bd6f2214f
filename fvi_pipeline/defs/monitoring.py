"""The watch over features and scores: how they lie, how far they have moved from the training data, and whether scores
came true, kept in ops.monitoring.

What is measured, and how, belongs to `monitoring`; what asks for a new model to `retraining`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
import polars as pl
import psycopg

from fvi_pipeline.defs.features import catalogue
from fvi_pipeline.defs.model import TRAINING_SET
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.defs.retries import retried
from fvi_pipeline.model.scoring import ViabilityModel
from fvi_pipeline.model.training_set import TRAINING_FILE
from fvi_pipeline.monitoring import outcomes, store
from fvi_pipeline.monitoring.drift import Drift
from fvi_pipeline.monitoring.measurements import Measurement, drifts, measure_features
from fvi_pipeline.monitoring.performance import measure_performance, measure_promises, worse_in_words
from fvi_pipeline.monitoring.pictures import as_markdown, drift_picture, drift_table
from fvi_pipeline.monitoring.retraining import importance_moved
from fvi_pipeline.monitoring.scores import as_columns, measure_scores, score_drifts, training_scores
from fvi_pipeline.monitoring.training_rows import TrainingRows, training_rows
from fvi_pipeline.monitoring.year_drift import Move

MONITORING = dg.AssetKey(["ops", "monitoring"])
_AFTER_TRAINING = {"dagster/priority": "-1"}


@dataclass(frozen=True)
class Reigning:
    """The champion, or without one the newest challenger, and what it learned from."""

    model: ViabilityModel
    version: str
    training: TrainingRows


@dg.asset(
    key=MONITORING,
    deps=[TRAINING_SET, dg.AssetKey(["gold", "gold_mine_features"])],
    # in a run that also trains and scores, the champion of this run is the one to compare with. A dependency on it
    # would leave the statistics out when there is none; runs go through their steps one by one, those of less weight
    # last
    op_tags=_AFTER_TRAINING,
    group_name="monitoring",
    kinds={"polars", "postgres"},
    owners=["team:model"],
    description="How each feature lies in the newest cohort, what it tells of viability, and how far it and the scores "
    "have moved from the data that the champion (or else the newest challenger) was fitted on; and scores beside what "
    "came, once it has: one row per measure, with its history.",
)
def monitoring(
    context: dg.AssetExecutionContext, warehouse: Warehouse, model_workshop: ModelWorkshop
) -> dg.MaterializeResult[None]:
    """Measure every feature and score and add what has changed."""
    features = catalogue().model_features()
    reigning = reigning_model(model_workshop)
    training = reigning.training if reigning else None
    if training is None:
        context.log.info("There is no model yet: statistics without drift.")
    with retried(context), warehouse.connect() as connection:
        cohort = store.newest_cohort(connection, features)
        if cohort is None:
            return dg.MaterializeResult(metadata={"dagster/row_count": 0})
        moves = drifts(cohort, features, training)
        importance = store.importance(connection, reigning.version) if reigning else None
        of_features = measure_features(cohort, features, training, moves, importance)
        of_scores, score_moves = _scores(connection, reigning)
        scored = outcomes.scores_come_true(connection)
        promises = outcomes.promises(connection, scored["model_version"].to_list())
        of_performance = measure_performance(scored, promises, reigning.version if reigning else None)
        promised = outcomes.promises(connection, [reigning.version] if reigning else [])
        measured = [of_features, of_scores, of_performance, measure_promises(promised)]
        now = datetime.now(UTC)
        added = sum(store.write_measurements(connection, each, now) for each in measured)
    metadata: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(sum(map(len, measured))),
        "rows_added": dg.MetadataValue.int(added),
        "cohort": dg.MetadataValue.text(f"{cohort.description}, {cohort.rows.height:,} mines"),
        "performance": dg.MetadataValue.md(_performance_in_words(of_performance)),
    }
    if training is not None and moves:
        title = f"{cohort.description} against the\n{training.description}"
        part, _ = importance_moved(of_features)
        metadata |= {
            "compared_with": dg.MetadataValue.text(training.description),
            "features_that_moved": dg.MetadataValue.json(
                [name for name, each in moves.items() if each.level != "stable"]
            ),
            "importance_that_moved_far": dg.MetadataValue.float(part),
            "drift": dg.MetadataValue.md(drift_table(moves.values())),
            "picture": dg.MetadataValue.md(as_markdown(drift_picture(moves.values(), title), title)),
        }
    if score_moves:
        of_horizons: list[Move] = list(score_moves.values())
        metadata["scores"] = dg.MetadataValue.md(drift_table(of_horizons))
    return dg.MaterializeResult(metadata=metadata)


def reigning_model(model_workshop: ModelWorkshop) -> Reigning | None:
    """The champion with what it learned from, or without one the newest challenger; None without a model or training
    set.
    """
    path = model_workshop.training_folder / TRAINING_FILE
    if not path.exists():
        return None
    registry = model_workshop.registry()
    champion = registry.champion()
    version = champion or registry.newest()
    if version is None:
        return None
    model = registry.load(version.version)
    metadata = model.metadata
    name = f"{'the champion' if champion else 'a challenger'}, version {version.version}"
    learned = training_rows(pl.read_parquet(path), metadata.train_until_year, frozenset(metadata.features), name)
    return Reigning(model, version.version, learned)


def _scores(connection: psycopg.Connection, reigning: Reigning | None) -> tuple[list[Measurement], dict[int, Drift]]:
    served = store.served_scores(connection, reigning.version) if reigning else None
    if reigning is None or served is None:
        return [], {}
    if not set(reigning.model.features) <= set(reigning.training.features.columns):
        return [], {}  # the training set of today lacks a feature that an older champion reads
    year, rows = served
    scores = as_columns(rows)
    moves = score_drifts(training_scores(reigning.model, reigning.training), scores)
    return measure_scores(scores, moves, reigning.training, reigning.version, year), moves


def _performance_in_words(measurements: list[Measurement]) -> str:
    if not measurements:
        return "No score has an outcome yet that was not here when it was made."
    lines = ["| version, horizon | measure | value | promised |", "|---" * 4 + "|"]
    for each in measurements:
        promised = each.details.get("promised")
        figures = ["" if value is None else f"{value:.4g}" for value in (each.value, promised)]
        lines.append(f"| {each.name} | {each.measure} | {' | '.join(figures)} |")
    worse = worse_in_words(measurements)
    return "\n".join([*lines, "", f"Worse than promised: {'; '.join(worse) or 'none'}."])


ASSETS = [monitoring]
