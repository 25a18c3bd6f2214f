"""The Bayesian second opinion, in a job of its own: it needs the extra `bayes`, and nothing else waits for it.

The model belongs to `model.bayes`, the comparison to `model.bayes_opinion`.
"""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from fvi_pipeline.defs.model import SCORES, STUDIES
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse

BAYES_OPINION = dg.AssetKey(["model", "bayes_opinion"])
_SHOWN = 20


@dg.asset(
    key=BAYES_OPINION,
    deps=[SCORES, dg.AssetKey(["gold", "gold_mine_outcomes"])],
    group_name=STUDIES,
    kinds={"pymc", "postgres"},
    owners=["team:model"],
    description="What a hierarchical model by state, mine type and size expects, beside the champion's scores of the "
    "newest cohort: mart.bayes_opinion, and mart.bayes_quality for diagnostics and coverage. Needs the extra `bayes`.",
    check_specs=[
        dg.AssetCheckSpec(
            "bayes_chains_agree",
            asset=BAYES_OPINION,
            description="R-hat is small and hardly a step diverged, at every horizon.",
        )
    ],
)
def bayes_opinion(
    context: dg.AssetExecutionContext, warehouse: Warehouse, model_workshop: ModelWorkshop
) -> Iterator[dg.MaterializeResult[None]]:
    """Sample, compare with the champion, and write both tables."""
    from fvi_pipeline.model.bayes import BayesError, BayesSettings
    from fvi_pipeline.model.bayes_opinion import second_opinion, write_opinion

    champion = model_workshop.registry().champion()
    if champion is None or champion.train_until_year is None:
        raise dg.Failure("There is no champion yet. Materialise model/champion first.")
    with warehouse.connect() as connection:
        try:
            opinion = second_opinion(
                connection,
                champion_version=champion.version,
                train_until_year=champion.train_until_year,
                settings=BayesSettings(seed=model_workshop.seed),
            )
        except BayesError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        rows = write_opinion(connection, opinion)
    apart = opinion.disagreements
    context.log.info(f"{rows} cells, {apart.height} with the champion's mean outside the interval")
    unsound = opinion.quality.filter(~pl.col("is_sound"))["horizon_years"].to_list()
    yield dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows,
            "disagreements": apart.height,
            "model_version": champion.version,
            "train_until_year": champion.train_until_year,
            "quality": dg.MetadataValue.md(_table(opinion.quality)),
            "farthest_apart": dg.MetadataValue.md(_table(apart.drop("model_version", "train_until_year").head(_SHOWN))),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="bayes_chains_agree",
                passed=not unsound,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"horizons_that_do_not": dg.MetadataValue.json(unsound)},
            )
        ],
    )


def _table(frame: pl.DataFrame) -> str:
    head = [f"| {' | '.join(frame.columns)} |", "|---" * frame.width + "|"]
    return "\n".join([*head, *(f"| {' | '.join(map(_shown, row))} |" for row in frame.iter_rows())])


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


JOB = dg.define_asset_job(
    "second_opinion",
    selection=dg.AssetSelection.assets(BAYES_OPINION),
    executor_def=dg.in_process_executor,
    description="The Bayesian second opinion on the champion's scores; needs the extra `bayes`.",
)
SCHEDULE = dg.ScheduleDefinition(
    name="second_opinion_schedule",
    job=JOB,
    cron_schedule="0 7 * * 0",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Sundays at 07:00 UTC, after the weekly training.",
)
STUDY_ASSETS = [bayes_opinion]
