"""From features to stored scores: training set, training and gate, batch scores, and the weekly schedule.

What a model is and when one may reign belongs to `model`.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import polars as pl
import psycopg
from psycopg import sql

from fvi_pipeline.defs.features import FEATURE_HISTORY, REGISTRY, feature_store
from fvi_pipeline.defs.quality import QUALITY
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.features.versions import FeatureVersion, columns_in_words, newest_version, version_of
from fvi_pipeline.features.views import frozen_text
from fvi_pipeline.model.errors import DatasetError
from fvi_pipeline.model.training_set import SIZE_FEATURE as SIZE
from fvi_pipeline.model.training_set import TRAINING_FILE, read_feature_service, write_training_set

TRAINING_SET = dg.AssetKey(["model", "training_set"])
CHALLENGER = dg.AssetKey(["model", "challenger"])
CHAMPION = dg.AssetKey(["model", "champion"])
SCORES = dg.AssetKey(["mart", "fvi_scores"])
REASONS = dg.AssetKey(["mart", "score_reasons"])
EXPLANATIONS = dg.AssetKey(["mart", "score_explanations"])
_OUTCOMES = dg.AssetKey(["gold", "gold_mine_outcomes"])
STUDIES = "model_studies"
"""The group of long comparisons: outside the main job, the training and automation, each with its own schedule."""


@dg.asset(
    key=TRAINING_SET,
    output_required=False,  # files without a panel of mines have nothing to train on; what follows is skipped
    deps=[REGISTRY, FEATURE_HISTORY, _OUTCOMES, QUALITY],  # a failed check of the quality stops here
    group_name="model",
    kinds={"feast", "parquet"},
    owners=["team:model"],
    description="Features of every mine and year of the cohort as known when a score could first exist (from Feast), "
    "with what became of the mine at each horizon.",
)
def training_set(
    context: dg.AssetExecutionContext, warehouse: Warehouse, model_workshop: ModelWorkshop
) -> Iterator[dg.MaterializeResult[None]]:
    """Read the history through Feast and join the outcomes."""
    from fvi_pipeline.features.store import training_features

    with warehouse.connect() as connection:
        version = newest_version(connection)
        outcomes = pl.DataFrame(
            connection.execute(
                "select mine_id, as_of_year, horizon_years, outcome_year, viable::int from gold.gold_mine_outcomes"
            ).fetchall(),
            schema={
                "mine_id": pl.String,
                "as_of_year": pl.Int64,
                "horizon_years": pl.Int64,
                "outcome_year": pl.Int64,
                "viable": pl.Int8,
            },
            orient="row",
        )
    if outcomes.is_empty():
        context.log.warning("No model: the files hold no mine whose outcome is known. Add EIA files of several years.")
        return
    names = version.features
    features = training_features(feature_store(), version.service)
    frame = outcomes.join(
        features.select("mine_id", "as_of_year", "event_timestamp", *names),
        on=["mine_id", "as_of_year"],
        how="left",
        validate="m:1",
    ).sort("mine_id", "as_of_year", "horizon_years")
    without = frame.filter(pl.col(SIZE).is_null()).height
    if without:
        raise dg.Failure(f"Feast gives no features as of their time for {without} of {frame.height} rows.")
    years = frame.select(first=pl.col("outcome_year").min(), last=pl.col("outcome_year").max()).row(0)
    path = model_workshop.training_folder / TRAINING_FILE
    write_training_set(frame, version.service, path)
    yield dg.MaterializeResult(
        metadata={
            "dagster/row_count": frame.height,
            "mines": frame["mine_id"].n_unique(),
            "features": len(names),
            "feature_service": version.service,
            "outcome_years": f"{years[0]}-{years[1]}",
            "path": dg.MetadataValue.path(str(path)),
        }
    )


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            CHALLENGER,
            deps=[TRAINING_SET],
            skippable=True,
            group_name="model",
            kinds={"lightgbm", "optuna", "onnx", "mlflow"},
            owners=["team:model"],
            description="A tuned model of viability at every horizon, tested on later years, as ONNX.",
        ),
        dg.AssetSpec(
            CHAMPION,
            deps=[CHALLENGER],
            skippable=True,
            group_name="model",
            kinds={"mlflow"},
            owners=["team:model"],
            description="The version with the alias `champion`: the gate lets a challenger pass or says why not.",
        ),
    ],
)
def training(
    context: dg.AssetExecutionContext, warehouse: Warehouse, model_workshop: ModelWorkshop
) -> Iterator[dg.MaterializeResult[None]]:
    """Train and test a challenger, register it, and let the gate decide."""
    from fvi_pipeline.model.challenger import train_challenger
    from fvi_pipeline.model.leak_check import facts_as_first_released, find_leaks
    from fvi_pipeline.model.promotion import contend
    from fvi_pipeline.model.training import TrainingSettings
    from fvi_pipeline.model.viability_candidate import ViabilityCandidate

    path = model_workshop.training_folder / TRAINING_FILE
    service = feature_service_of(path)
    with warehouse.connect() as connection:
        version = version_of(connection, service)
    frame = pl.read_parquet(path)
    try:
        challenger = train_challenger(
            frame,
            list(version.features),
            size_feature=SIZE,
            feature_service=service,
            storage_url=model_workshop.optuna_storage_url,
            settings=TrainingSettings(seed=model_workshop.seed, trials=model_workshop.trials),
            tuning_processes=model_workshop.tuning_processes,
            say=context.log.info,
        )
    except DatasetError as error:
        # too few years to hold any out: the data stay, and a reigning champion goes on reigning
        context.log.warning(f"No challenger: {error}")
        return
    with warehouse.connect() as connection:
        leaks = find_leaks(frame, version.features, facts_as_first_released(connection))
        promotion = contend(connection, model_workshop.registry(), ViabilityCandidate(challenger), leaks=leaks)
    verdict = promotion.verdict
    yield dg.MaterializeResult(asset_key=CHALLENGER, metadata={**challenger.metrics(), **promotion.metadata()})
    context.log.info(f"{verdict.decision}: {verdict.reason}")
    if verdict.decision == "refused":
        context.log.warning(f"The gate refuses version {promotion.registered.version}: {verdict.reason}")
    if promotion.champion_version is None:
        return  # no score is better than one that is worse than a guess
    yield dg.MaterializeResult(
        asset_key=CHAMPION,
        metadata={
            "champion_version": promotion.champion_version,
            "decision": verdict.decision,
            "reason": verdict.reason,
        },
    )


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            SCORES,
            deps=[CHAMPION, dg.AssetKey(["gold", "gold_mine_features"])],
            group_name="mart",
            kinds={"onnx", "postgres"},
            owners=["team:model"],
            description="The champion's score of every mine of the cohort at every horizon, with its interval.",
        ),
        dg.AssetSpec(
            REASONS,
            deps=[CHAMPION, dg.AssetKey(["gold", "gold_mine_features"])],
            group_name="mart",
            kinds={"lightgbm", "postgres"},
            owners=["team:model"],
            description="The features that move each score most (TreeSHAP), in words.",
        ),
        dg.AssetSpec(
            EXPLANATIONS,
            deps=[CHAMPION, dg.AssetKey(["gold", "gold_mine_features"])],
            group_name="mart",
            kinds={"lightgbm", "postgres"},
            owners=["team:model"],
            description="What every feature adds to each score (TreeSHAP): base + contributions = its log-odds.",
        ),
    ]
)
def fvi_scores(
    context: dg.AssetExecutionContext, warehouse: Warehouse, model_workshop: ModelWorkshop
) -> Iterator[dg.MaterializeResult[None]]:
    """Score the newest cohort with the champion, as the service scores it."""
    from fvi_pipeline.model.batch import score_current, write_scores

    registry = model_workshop.registry()
    champion = registry.champion()
    if champion is None:
        raise dg.Failure("There is no champion yet. Materialise model/champion first.")
    model = registry.load(champion.version)
    with warehouse.connect() as connection:
        version = version_of(connection, model.metadata.feature_service)
        if not version.is_live:
            context.log.warning(f"Scored with the features of {version.frozen_at}: {frozen_text(version)}")
        scored = score_current(
            rows_to_score(connection, version, model.features),
            model,
            model_version=champion.version,
            scored_at=datetime.now(UTC),
            columns=columns_in_words(connection, version.service),
        )
        connection.rollback()
        write_scores(connection, scored)
    scores = scored.scores
    yield dg.MaterializeResult(
        asset_key=SCORES,
        metadata={
            "dagster/row_count": scores.height,
            "mines": scores["mine_id"].n_unique(),
            "model_version": champion.version,
            "feature_service": version.service,
            "features_frozen": version.frozen_because or "",
        },
    )
    yield dg.MaterializeResult(asset_key=REASONS, metadata={"dagster/row_count": scored.reasons.height})
    yield dg.MaterializeResult(
        asset_key=EXPLANATIONS,
        metadata={
            "dagster/row_count": scored.explanations.height,
            "scores": scored.bases.height,
            "features": len(model.features),
            "model_version": champion.version,
        },
    )


def feature_service_of(training_file: Path) -> str:
    """The feature service that a training set's features came from.

    Raises:
        dg.Failure: the file does not say.
    """
    try:
        return read_feature_service(training_file)
    except DatasetError as error:
        raise dg.Failure(str(error)) from error


@dg.asset_check(
    asset=SCORES,
    name="scores_never_rise_with_the_horizon",
    blocking=True,
    description="For each mine, viability at a longer horizon is at most that at a shorter one.",
)
def scores_never_rise_with_the_horizon(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Look for a score above the one before it."""
    with warehouse.connect() as connection:
        row = connection.execute(
            "select count(*) from (select fvi_score, lag(fvi_score) over (partition by mine_id, as_of_year "
            "order by horizon_years) as shorter from mart.fvi_scores) as scores where fvi_score > shorter + 1e-9"
        ).fetchone()
    rising = row[0] if row else 0
    return dg.AssetCheckResult(passed=rising == 0, metadata={"rising": rising})


@dg.asset_check(
    asset=SCORES,
    name="scores_use_features_as_computed_now",
    description="The champion's feature service is live: gold computes its features as they were when it learned.",
)
def scores_use_features_as_computed_now(warehouse: Warehouse, model_workshop: ModelWorkshop) -> dg.AssetCheckResult:
    """Warn when scores rest on values that stopped at a change of their definitions."""
    registry = model_workshop.registry()
    champion = registry.champion()
    if champion is None:
        return dg.AssetCheckResult(passed=True, description="There is no champion.")
    with warehouse.connect() as connection:
        version = version_of(connection, registry.load(champion.version).metadata.feature_service)
    return dg.AssetCheckResult(
        passed=version.is_live,
        severity=dg.AssetCheckSeverity.WARN,
        description=None if version.is_live else frozen_text(version),
        metadata={"feature_service": version.service},
    )


def rows_to_score(connection: psycopg.Connection, version: FeatureVersion, features: Sequence[str]) -> pl.DataFrame:
    """The newest cohort with a model's features: from gold, or as served where gold computes them otherwise by now."""
    lost = sorted(set(features) - set(version.features))
    if lost:
        raise dg.Failure(f"{version.service} does not have the champion's {', '.join(lost)}. Promote another version.")
    if version.is_live:
        query = sql.SQL(
            "select mine_id, as_of_year, {features} from gold.gold_mine_features where in_cohort "
            "and as_of_year = (select max(as_of_year) from gold.gold_mine_features)"
        ).format(features=sql.SQL(", ").join(map(sql.Identifier, features)))
        schema = {"mine_id": pl.String, "as_of_year": pl.Int64} | dict.fromkeys(features, pl.Float64)
        return pl.DataFrame(connection.execute(query).fetchall(), schema=schema, orient="row")
    from fvi_pipeline.features.store import online_features

    mines = [row[0] for row in connection.execute("select distinct mine_id from gold.gold_mine_features").fetchall()]
    served = online_features(feature_store(), mines, version.serving_service)
    rows = served.filter("in_cohort", pl.col("as_of_year") == served["as_of_year"].max())
    if rows.is_empty():
        raise dg.Failure(f"There is nothing to score: {frozen_text(version)} Online there are none either.")
    return rows.select("mine_id", "as_of_year", *features)


WEEKLY_JOB = dg.define_asset_job(
    "weekly_training",
    selection=dg.AssetSelection.assets(QUALITY, TRAINING_SET).downstream() - dg.AssetSelection.groups(STUDIES),
    executor_def=dg.in_process_executor,
    description="A new challenger against the champion, and what follows from it.",
)
WEEKLY_SCHEDULE = dg.ScheduleDefinition(
    name="weekly_training_schedule",
    job=WEEKLY_JOB,
    cron_schedule="0 3 * * 0",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Sundays at 03:00 UTC.",
)
ASSETS = [training_set, training, fvi_scores]
CHECKS = [scores_never_rise_with_the_horizon, scores_use_features_as_computed_now]
