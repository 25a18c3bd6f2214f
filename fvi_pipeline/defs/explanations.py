"""The check that explanations add up to their scores, and pictures of what moves the scores of the whole cohort.

Contributions are computed and stored beside the scores (`model.fvi_scores`).
"""

import tempfile
from pathlib import Path

import dagster as dg
import psycopg

from fvi_pipeline.defs.model import EXPLANATIONS, SCORES
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse

PLOTS = dg.AssetKey(["model", "explanation_plots"])
PLOTTED_HORIZONS = (1, 5)
_ARTIFACTS = "explanations"
_TOLERANCE = 1e-5  # log-odds
# versions from before the graph computed in double precision answer in single: near 0 and 1, one digit of it is more
# than the tolerance in log-odds
_SINGLE_PRECISION = 1e-7
_UNEXPLAINED = """
with sums as (
    select mine_id, as_of_year, horizon_years, count(*) as features, sum(contribution) as total
    from mart.score_explanations group by mine_id, as_of_year, horizon_years
),
compared as (
    select
        scores.fvi_score / 100 as probability, bases.base + sums.total as log_odds, sums.features,
        max(sums.features) over (partition by scores.as_of_year) as all_features,
        bases.model_version = scores.model_version as same_version,
        case when scores.fvi_score > 0 and scores.fvi_score < 100
            then abs(ln(scores.fvi_score / (100 - scores.fvi_score)) - bases.base - sums.total) end as difference
    from mart.fvi_scores as scores
    left join mart.score_explanation_bases as bases using (mine_id, as_of_year, horizon_years)
    left join sums using (mine_id, as_of_year, horizon_years)
    -- scores of earlier years may be older than the table of explanations
    where bases.base is not null or scores.as_of_year = (select max(as_of_year) from mart.fvi_scores)
)
select
    count(*),
    count(*) filter (where log_odds is null or not same_version),
    count(*) filter (where features < all_features),
    count(*) filter (where coalesce(difference, 'infinity') > %(tolerance)s
        and abs(probability - 1 / (1 + exp(greatest(-log_odds, -700)))) > %(single_precision)s),
    max(difference)
from compared
"""


@dg.asset_check(
    asset=SCORES,
    name="scores_are_explained",
    additional_deps=[EXPLANATIONS],
    blocking=True,
    description="Every score has a contribution of every feature, and base + contributions are its log-odds to 1e-5.",
)
def scores_are_explained(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Add up the contributions to every stored score."""
    with warehouse.connect() as connection:
        row = connection.execute(
            _UNEXPLAINED, {"tolerance": _TOLERANCE, "single_precision": _SINGLE_PRECISION}
        ).fetchone()
    scores, without, incomplete, off, largest = row or (0, 0, 0, 0, None)
    return dg.AssetCheckResult(
        passed=not (without or incomplete or off),
        description=f"{scores:,} scores: {without:,} without an explanation of their version, {incomplete:,} without "
        f"some feature, {off:,} that do not add up.",
        metadata={"scores": scores, "largest_difference_log_odds": dg.MetadataValue.float(float(largest or 0.0))},
    )


@dg.asset(
    key=PLOTS,
    deps=[EXPLANATIONS],
    group_name="model",
    kinds={"shap", "mlflow"},
    owners=["team:model"],
    description="What moves the scores of the newest cohort: importance and dependence by the shap library, kept as "
    f"{_ARTIFACTS}/ of the scoring version's run in MLflow.",
)
def explanation_plots(warehouse: Warehouse, model_workshop: ModelWorkshop) -> dg.MaterializeResult[None]:
    """Draw the stored contributions, and add the pictures to the version's run."""
    from fvi_pipeline.model.explanations.plots import write_explanation_plots
    from fvi_pipeline.model.explanations.store import read_contributions
    from fvi_pipeline.monitoring.pictures import as_markdown

    metadata: dict[str, dg.MetadataValue] = {}
    with warehouse.connect() as connection, tempfile.TemporaryDirectory() as folder:
        version, year = _explained(connection)
        for horizon in PLOTTED_HORIZONS:
            of_cohort = read_contributions(connection, year, horizon)
            if of_cohort is None:
                continue
            title = (
                f"What moves the scores of {len(of_cohort.values):,} mines as of {year}, "
                f"{horizon} {'year' if horizon == 1 else 'years'} ahead"
            )
            for path in write_explanation_plots(of_cohort, f"{title} (version {version})", Path(folder)):
                metadata[path.stem] = dg.MetadataValue.md(as_markdown(path.read_bytes(), title))
        if metadata:
            model_workshop.registry().add_artifacts(version, Path(folder), _ARTIFACTS)
    return dg.MaterializeResult(metadata={"model_version": version, "as_of_year": year, **metadata})


def _explained(connection: psycopg.Connection) -> tuple[str, int]:
    row = connection.execute(
        "select model_version, as_of_year from mart.score_explanation_bases order by as_of_year desc limit 1"
    ).fetchone()
    if row is None:
        raise dg.Failure("No score is explained yet. Materialise mart/fvi_scores first.")
    return str(row[0]), int(row[1])


ASSETS = [explanation_plots]
CHECKS = [scores_are_explained]
