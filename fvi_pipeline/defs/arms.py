"""The comparison of champion and challenger. What is compared belongs to `model.arm_comparison`."""

from datetime import UTC, datetime

import dagster as dg
import polars as pl

from fvi_pipeline.defs.model import SCORES, rows_to_score
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.features.versions import version_of
from fvi_pipeline.model.training_set import TRAINING_FILE

ARM_COMPARISON = dg.AssetKey(["mart", "arm_comparison"])


@dg.asset(
    key=ARM_COMPARISON,
    deps=[SCORES, dg.AssetKey(["gold", "gold_mine_outcomes"])],
    group_name="serving",
    kinds={"polars", "postgres"},
    owners=["team:model"],
    description="Champion and challenger (`fvi challenge`) side by side: agreement on the mines of now, calibration on "
    "years that neither learned from, and how their answers came true; with intervals.",
)
def arm_comparison(
    context: dg.AssetExecutionContext, warehouse: Warehouse, model_workshop: ModelWorkshop
) -> dg.MaterializeResult[None]:
    """Compare the two versions; without a challenger there is nothing to compare."""
    from fvi_pipeline.model import arm_comparison as arms

    registry = model_workshop.registry()
    champion, challenger = registry.champion(), registry.challenger()
    if champion is None or challenger is None or challenger.version == champion.version:
        return dg.MaterializeResult(metadata={"dagster/row_count": 0, "challenger": "none"})
    models = {
        arms.CHAMPION: registry.load(champion.version),
        arms.CHALLENGER: registry.load(challenger.version),
    }
    features = list(dict.fromkeys(name for model in models.values() for name in model.features))
    with warehouse.connect() as connection:
        version = version_of(connection, models[arms.CHAMPION].metadata.feature_service)
        absent = sorted(set(features) - set(version.features))
        figures: list[arms.Figure] = []
        if absent:
            context.log.warning(f"The champion's features lack the challenger's {', '.join(absent)}: answers only.")
        else:
            cohort = rows_to_score(connection, version, features)
            figures += arms.agreement(arms.probabilities(cohort, models))
            learned = max(model.metadata.train_until_year for model in models.values())
            figures += arms.outcomes(
                "held_out", arms.probabilities(_held_out(model_workshop, learned, features), models)
            )
        came = arms.answers_come_true(connection, registry.name, champion.version, challenger.version)
        figures += arms.outcomes_of_answers(came)
        added = arms.write_comparison(connection, champion.version, challenger.version, figures, datetime.now(UTC))
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(figures),
            "rows_added": len(figures) if added else 0,
            "champion": champion.version,
            "challenger": challenger.version,
            "answers_with_outcome": sum(rows.height for rows in came.values()),
            "differences": dg.MetadataValue.md(arms.as_table(figures)),
        }
    )


def _held_out(model_workshop: ModelWorkshop, learned_until_year: int, features: list[str]) -> pl.DataFrame:
    """The training set's rows of years that neither model has seen an outcome of."""
    columns = ["mine_id", "as_of_year", "horizon_years", "viable", *features]
    path = model_workshop.training_folder / TRAINING_FILE
    if not path.exists() or not set(features) <= set(pl.read_parquet_schema(path)):
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.Float64) | {"mine_id": pl.String})
    return pl.read_parquet(path, columns=columns).filter(pl.col("as_of_year") > learned_until_year)


ASSETS = [arm_comparison]
