"""From features to stored scores: training set, training and gate, batch scores, and the weekly schedule.

What a model is and when one may reign belongs to `model`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl
from psycopg import sql

from fvi_pipeline.defs.features import FEATURE_HISTORY, REGISTRY, catalogue, feature_store
from fvi_pipeline.defs.quality import QUALITY
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.features.views import TRAINING_SERVICE

if TYPE_CHECKING:
    from fvi_pipeline.model.challenger import Challenger
    from fvi_pipeline.model.gate import Champion
    from fvi_pipeline.model.registry import ModelRegistry

TRAINING_SET = dg.AssetKey(["model", "training_set"])
CHALLENGER = dg.AssetKey(["model", "challenger"])
CHAMPION = dg.AssetKey(["model", "champion"])
BACKTEST = dg.AssetKey(["mart", "backtest_predictions"])
SCORES = dg.AssetKey(["mart", "fvi_scores"])
REASONS = dg.AssetKey(["mart", "score_reasons"])
_OUTCOMES = dg.AssetKey(["gold", "gold_mine_outcomes"])
_SIZE = "production_short_tons"
_TRAINING_FILE = "training_set.parquet"


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

    names = catalogue().model_features()
    with warehouse.connect() as connection:
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
    features = training_features(feature_store())
    frame = outcomes.join(
        features.select("mine_id", "as_of_year", *names),
        on=["mine_id", "as_of_year"],
        how="left",
        validate="m:1",
    ).sort("mine_id", "as_of_year", "horizon_years")
    without = frame.filter(pl.col(_SIZE).is_null()).height
    if without:
        raise dg.Failure(f"Feast gives no features as of their time for {without} of {frame.height} rows.")
    years = frame.select(first=pl.col("outcome_year").min(), last=pl.col("outcome_year").max()).row(0)
    path = model_workshop.training_folder / _TRAINING_FILE
    temporary = path.with_suffix(".writing")
    frame.write_parquet(temporary)
    temporary.replace(path)  # a killed run leaves the former file, not half of a new one
    yield dg.MaterializeResult(
        metadata={
            "dagster/row_count": frame.height,
            "mines": frame["mine_id"].n_unique(),
            "features": len(names),
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
            BACKTEST,
            deps=[CHALLENGER],
            skippable=True,
            group_name="mart",
            kinds={"postgres"},
            owners=["team:model"],
            description="The challenger's predictions for years after those that it was fitted on, beside what came.",
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
    from fvi_pipeline.model.batch import write_backtest_predictions
    from fvi_pipeline.model.challenger import train_challenger
    from fvi_pipeline.model.errors import DatasetError
    from fvi_pipeline.model.gate import judge
    from fvi_pipeline.model.ledger import apply_verdict
    from fvi_pipeline.model.training import TrainingSettings

    names = list(catalogue().model_features())
    try:
        challenger = train_challenger(
            pl.read_parquet(model_workshop.training_folder / _TRAINING_FILE),
            names,
            size_feature=_SIZE,
            feature_service=TRAINING_SERVICE,
            storage_url=model_workshop.optuna_storage_url,
            settings=TrainingSettings(seed=model_workshop.seed, trials=model_workshop.trials),
        )
    except DatasetError as error:
        # too few years to hold any out: the data stay, and a reigning champion goes on reigning
        context.log.warning(f"No challenger: {error}")
        return
    registry = model_workshop.registry()
    registered = registry.register(challenger)
    metrics = challenger.metrics()
    yield dg.MaterializeResult(
        asset_key=CHALLENGER,
        metadata={"version": registered.version, "mlflow_run_id": registered.run_id, **metrics},
    )
    with warehouse.connect() as connection:
        rows = write_backtest_predictions(connection, challenger.backtest_predictions())
        yield dg.MaterializeResult(asset_key=BACKTEST, metadata={"dagster/row_count": rows})
        verdict = judge(challenger, _reigning(registry, challenger))
        reigning = apply_verdict(connection, registry, registered.version, verdict, metrics=metrics, actor="pipeline")
    context.log.info(f"{verdict.decision}: {verdict.reason}")
    if verdict.decision == "refused":
        context.log.warning(f"The gate refuses version {registered.version}: {verdict.reason}")
    if reigning is None:
        return  # no score is better than one that is worse than a guess
    yield dg.MaterializeResult(
        asset_key=CHAMPION,
        metadata={"champion_version": reigning, "decision": verdict.decision, "reason": verdict.reason},
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
            description="The features that move each score most (TreeSHAP).",
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
    query = sql.SQL(
        "select mine_id, as_of_year, {features} from gold.gold_mine_features where in_cohort "
        "and as_of_year = (select max(as_of_year) from gold.gold_mine_features)"
    ).format(features=sql.SQL(", ").join(map(sql.Identifier, model.features)))
    with warehouse.connect() as connection:
        rows = connection.execute(query).fetchall()
        schema = {"mine_id": pl.String, "as_of_year": pl.Int64} | dict.fromkeys(model.features, pl.Float64)
        scores, reasons = score_current(
            pl.DataFrame(rows, schema=schema, orient="row"),
            model,
            model_version=champion.version,
            scored_at=datetime.now(UTC),
        )
        connection.rollback()
        write_scores(connection, scores, reasons)
    yield dg.MaterializeResult(
        asset_key=SCORES,
        metadata={
            "dagster/row_count": scores.height,
            "mines": scores["mine_id"].n_unique(),
            "model_version": champion.version,
        },
    )
    yield dg.MaterializeResult(asset_key=REASONS, metadata={"dagster/row_count": reasons.height})


@dg.asset_check(
    asset=CHALLENGER,
    name="onnx_equals_lightgbm",
    description="Every training row, and rows at and around every threshold: ONNX and LightGBM agree to 1e-6.",
)
def onnx_equals_lightgbm(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Read what the training measured; the gate has refused a challenger that is not at parity."""
    event = context.instance.get_latest_materialization_event(CHALLENGER)
    measured = event.asset_materialization.metadata if event and event.asset_materialization else {}
    parity = {name: value for name, value in measured.items() if name.startswith("parity_")}
    over = parity.get("parity_rows_over_tolerance")
    return dg.AssetCheckResult(passed=over is not None and over.value == 0, metadata=parity)


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


def _reigning(registry: "ModelRegistry", challenger: "Challenger") -> "Champion | None":
    """The champion on the challenger's test rows, or None when there is none."""
    from fvi_pipeline.model.gate import champion_on_test

    version = registry.champion()
    return champion_on_test(version.version, registry.load(version.version), challenger) if version else None


WEEKLY_JOB = dg.define_asset_job(
    "weekly_training",
    selection=dg.AssetSelection.assets(QUALITY, TRAINING_SET).downstream(),
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
CHECKS = [onnx_equals_lightgbm, scores_never_rise_with_the_horizon]
