"""The companions of the viability model: fitted and judged after it, and what their champions say of the newest cohort.

What they predict and how belongs to `model.companions`, when one may reign to `model.promotion`.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl
import psycopg
from psycopg import sql

from fvi_pipeline.defs.backtest import BACKTEST
from fvi_pipeline.defs.gate import gate_checks
from fvi_pipeline.defs.model import CHALLENGER, SCORES, TRAINING_SET, feature_service_of, rows_to_score
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.features.versions import version_of
from fvi_pipeline.features.views import frozen_text
from fvi_pipeline.model.companions.predictor import PRODUCTION_MODEL, STATUS_MODEL
from fvi_pipeline.model.errors import DatasetError
from fvi_pipeline.model.training_set import SIZE_FEATURE, TRAINING_FILE

if TYPE_CHECKING:
    from fvi_pipeline.model.candidate import Candidate
    from fvi_pipeline.model.companions.predictor import CompanionModel

PRODUCTION = dg.AssetKey(["model", "production"])
STATUS = dg.AssetKey(["model", "next_status"])
PRODUCTION_FORECASTS = dg.AssetKey(["mart", "production_forecasts"])
STATUS_FORECASTS = dg.AssetKey(["mart", "status_forecasts"])
CLOSING_YEARS = dg.AssetKey(["mart", "closing_years"])
_FEATURES = dg.AssetKey(["gold", "gold_mine_features"])
_NEXT_YEAR = dg.AssetKey(["gold", "gold_mine_next_year"])
_NEXT_YEAR_SCHEMA = {
    "mine_id": pl.String,
    "as_of_year": pl.Int64,
    "outcome_year": pl.Int64,
    "production_short_tons_next": pl.Float64,
    "status_next": pl.String,
}
# after viability, whose gate has looked at the same rows before
_TRAINED_ON = [TRAINING_SET, _NEXT_YEAR, CHALLENGER]


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            PRODUCTION,
            deps=_TRAINED_ON,
            skippable=True,
            group_name="model",
            kinds={"lightgbm", "onnx", "mlflow"},
            owners=["team:model"],
            description="A model of next year's production, of mines that go on: median and interval, as ONNX, and "
            "what the gate says of it.",
        ),
        dg.AssetSpec(
            STATUS,
            deps=_TRAINED_ON,
            skippable=True,
            group_name="model",
            kinds={"lightgbm", "onnx", "mlflow"},
            owners=["team:model"],
            description="A model of the status at the end of the next year: a probability of each class, as ONNX, and "
            "what the gate says of it.",
        ),
    ],
)
def companions(
    context: dg.AssetExecutionContext, warehouse: Warehouse, model_workshop: ModelWorkshop
) -> Iterator[dg.MaterializeResult[None]]:
    """Fit and test both, register them, and let the gate decide on each."""
    from fvi_pipeline.model.companions.boosting import BoostingSettings
    from fvi_pipeline.model.companions.production import ProductionSettings, train_production
    from fvi_pipeline.model.companions.rows import next_year_frame
    from fvi_pipeline.model.companions.status import StatusSettings, train_status
    from fvi_pipeline.model.leak_check import facts_as_first_released, find_leaks
    from fvi_pipeline.model.promotion import contend

    path = model_workshop.training_folder / TRAINING_FILE
    service = feature_service_of(path)
    training_set = pl.read_parquet(path)
    with warehouse.connect() as connection:
        features = list(version_of(connection, service).features)
        frame = next_year_frame(training_set, _next_years(connection))
        leaks = find_leaks(training_set, features, facts_as_first_released(connection))
        connection.rollback()
        boosting = BoostingSettings(seed=model_workshop.seed)
        trainings: dict[dg.AssetKey, Callable[[], Candidate]] = {
            PRODUCTION: lambda: train_production(
                frame,
                features,
                size_feature=SIZE_FEATURE,
                feature_service=service,
                settings=ProductionSettings(boosting=boosting),
            ),
            STATUS: lambda: train_status(
                frame, features, feature_service=service, settings=StatusSettings(boosting=boosting)
            ),
        }
        for key, train in trainings.items():
            try:
                candidate = train()
            except DatasetError as error:
                # too few years to hold any out: a reigning champion goes on reigning
                context.log.warning(f"No challenger of {key.to_user_string()}: {error}")
                continue
            promotion = contend(connection, model_workshop.registry(candidate.name), candidate, leaks=leaks)
            verdict = promotion.verdict
            if verdict.decision == "refused":
                context.log.warning(
                    f"The gate refuses {candidate.name} {promotion.registered.version}: {verdict.reason}"
                )
            yield dg.MaterializeResult(asset_key=key, metadata={**candidate.metrics(), **promotion.metadata()})


@dg.asset(
    key=PRODUCTION_FORECASTS,
    deps=[PRODUCTION, _FEATURES],
    output_required=False,  # without a champion nothing is forecast
    group_name="mart",
    kinds={"onnx", "postgres"},
    owners=["team:model"],
    description="Next year's production of every mine of the cohort if it still produces then: median and interval.",
)
def production_forecasts(
    context: dg.AssetExecutionContext, warehouse: Warehouse, model_workshop: ModelWorkshop
) -> Iterator[dg.MaterializeResult[None]]:
    """Let the champion of production forecast the newest cohort."""
    from fvi_pipeline.model.companions.marts import production_forecasts as made

    def forecast(mines: pl.DataFrame, model: "CompanionModel", version: str) -> pl.DataFrame:
        return made(mines, model, size_feature=SIZE_FEATURE, model_version=version, scored_at=datetime.now(UTC))

    yield from _forecast(context, warehouse, model_workshop, PRODUCTION_MODEL, PRODUCTION_FORECASTS, forecast)


@dg.asset(
    key=STATUS_FORECASTS,
    deps=[STATUS, _FEATURES],
    output_required=False,
    group_name="mart",
    kinds={"onnx", "postgres"},
    owners=["team:model"],
    description="The probability of each status at the end of the next year, for every mine of the cohort.",
)
def status_forecasts(
    context: dg.AssetExecutionContext, warehouse: Warehouse, model_workshop: ModelWorkshop
) -> Iterator[dg.MaterializeResult[None]]:
    """Let the champion of the next status forecast the newest cohort."""
    from fvi_pipeline.model.companions.marts import status_forecasts as made

    def forecast(mines: pl.DataFrame, model: "CompanionModel", version: str) -> pl.DataFrame:
        return made(mines, model, model_version=version, scored_at=datetime.now(UTC))

    yield from _forecast(context, warehouse, model_workshop, STATUS_MODEL, STATUS_FORECASTS, forecast)


@dg.asset(
    key=CLOSING_YEARS,
    deps=[SCORES, BACKTEST],
    group_name="mart",
    kinds={"postgres"},
    owners=["team:model"],
    description="The likely closing year of every mine of the cohort, read off its scores, and how such years have "
    "fared in the backtests.",
)
def closing_years(warehouse: Warehouse, model_workshop: ModelWorkshop) -> dg.MaterializeResult[None]:
    """Read the years off the newest scores, and measure those of the backtests."""
    from fvi_pipeline.model.companions.closing_year import closing_years as made
    from fvi_pipeline.model.companions.closing_year import measure_closing_years
    from fvi_pipeline.model.companions.marts import backtest_of_closing_years, newest_scores, write_year

    registry = model_workshop.registry()
    with warehouse.connect() as connection:
        scores = newest_scores(connection)
        if scores.is_empty():
            raise dg.Failure("There are no scores. Materialise mart/fvi_scores first.")
        version = str(scores["model_version"][0])
        tested = connection.execute(
            "select max(horizon_years) from mart.backtest_predictions where train_until_year = %s",
            [registry.get(version).train_until_year],
        ).fetchone()
        tested_horizon = tested[0] if tested else None
        made_at = pl.lit(datetime.now(UTC)).alias("scored_at")
        rows = made(scores, tested_horizon).with_columns(pl.lit(version).alias("model_version"), made_at)
        measure = measure_closing_years(*backtest_of_closing_years(connection))
        connection.rollback()
        write_year(connection, "closing_years", rows)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows.height,
            "model_version": version,
            "tested_horizon_years": tested_horizon or 0,
            "after_the_longest_horizon": rows["closing_year"].null_count(),
            "within_the_tested_years": int(rows["is_tested"].sum()),
            **measure.as_metrics(),
        }
    )


def _next_years(connection: psycopg.Connection) -> pl.DataFrame:
    columns = sql.SQL(", ").join(map(sql.Identifier, _NEXT_YEAR_SCHEMA))
    rows = connection.execute(sql.SQL("select {} from gold.gold_mine_next_year").format(columns)).fetchall()
    return pl.DataFrame(rows, schema=_NEXT_YEAR_SCHEMA, orient="row")


def _forecast(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    model_workshop: ModelWorkshop,
    name: str,
    table: dg.AssetKey,
    forecast: Callable[[pl.DataFrame, "CompanionModel", str], pl.DataFrame],
) -> Iterator[dg.MaterializeResult[None]]:
    from fvi_pipeline.model.companions.marts import load_companion, write_year

    registry = model_workshop.registry(name)
    champion = registry.champion()
    if champion is None:
        context.log.warning(f"{name} has no champion, so there is no forecast. The gate's check says why.")
        return
    model = load_companion(registry, champion.version)
    with warehouse.connect() as connection:
        version = version_of(connection, model.metadata.feature_service)
        if not version.is_live:
            context.log.warning(f"Forecast with the features of {version.frozen_at}: {frozen_text(version)}")
        rows = forecast(rows_to_score(connection, version, model.features), model, champion.version)
        connection.rollback()
        write_year(connection, table.path[-1], rows)
    yield dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows.height,
            "mines": rows["mine_id"].n_unique(),
            "model_version": champion.version,
            "feature_service": version.service,
        }
    )


def _no_row_check(
    asset: dg.AssetKey, name: str, description: str, query: str, *, additional_deps: tuple[dg.AssetKey, ...] = ()
) -> dg.AssetChecksDefinition:
    """A blocking check that a query of violations counts none."""

    @dg.asset_check(
        asset=asset, name=name, description=description, blocking=True, additional_deps=list(additional_deps)
    )
    def counts_none(warehouse: Warehouse) -> dg.AssetCheckResult:
        """Count the violations."""
        with warehouse.connect() as connection:
            row = connection.execute(query.encode()).fetchone()
        violations = row[0] if row else 0
        return dg.AssetCheckResult(passed=violations == 0, metadata={"violations": violations})

    return counts_none


@dg.asset_check(
    asset=STATUS,
    name="statuses_have_a_class",
    additional_deps=[_NEXT_YEAR],
    description="Every status that the publisher names has a class in gold_mine_next_year.",
)
def statuses_have_a_class(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Look for spellings that nothing is learned from."""
    with warehouse.connect() as connection:
        found = connection.execute(
            "select outcome_year::text, count(*) from gold.gold_mine_next_year "
            "where status_next is null and outcome_year >= 2001 group by outcome_year"
        ).fetchall()
    return dg.AssetCheckResult(
        passed=not found, severity=dg.AssetCheckSeverity.WARN, metadata={"without": dg.MetadataValue.json(dict(found))}
    )


ASSETS = [companions, production_forecasts, status_forecasts, closing_years]
CHECKS: list[dg.AssetChecksDefinition] = [
    *gate_checks(PRODUCTION),
    *gate_checks(STATUS),
    statuses_have_a_class,
    _no_row_check(
        PRODUCTION_FORECASTS,
        "intervals_contain_their_medians",
        "The median of every forecast lies in its interval, and the interval has a width.",
        "select count(*) from mart.production_forecasts where not "
        "(median_short_tons between low_short_tons and high_short_tons and low_short_tons < high_short_tons)",
    ),
    _no_row_check(
        STATUS_FORECASTS,
        "probabilities_sum_to_one",
        "The probabilities of the statuses of each mine sum to one.",
        "select count(*) from (select 1 from mart.status_forecasts group by mine_id, as_of_year "
        "having abs(sum(probability) - 1) > 1e-9) as apart",
    ),
    _no_row_check(
        CLOSING_YEARS,
        "closing_years_follow_the_scores",
        "Every mine with scores has a closing year of the same version, and it is `after` exactly where the score of "
        "the longest horizon is above one half.",
        "select count(*) from (select distinct on (mine_id) mine_id, as_of_year, fvi_score, model_version "
        "from mart.fvi_scores where as_of_year = (select max(as_of_year) from mart.fvi_scores) "
        "order by mine_id, horizon_years desc) as longest "
        "left join mart.closing_years as years using (mine_id, as_of_year, model_version) "
        "where years.last_year is null or (years.closing_year is null) <> (longest.fvi_score > 50)",
        additional_deps=(SCORES,),
    ),
]
