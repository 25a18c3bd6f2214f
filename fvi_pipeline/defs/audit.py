"""The leakage audit as blocking checks: of gold before anything reads it, of the training set before a model learns
from it. What a leak is, is decided in `features.audit`.
"""

from collections.abc import Sequence

import dagster as dg
import polars as pl

from fvi_pipeline.defs.features import FEATURE_HISTORY, catalogue
from fvi_pipeline.defs.model import TRAINING_SET
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.features.audit import as_markdown, audit_history, audit_training_set, failures
from fvi_pipeline.features.audit_times import FeatureAudit
from fvi_pipeline.features.catalogue import FeatureColumn
from fvi_pipeline.model.training_set import TRAINING_FILE

_NAMED = 5


@dg.asset_check(
    asset=FEATURE_HISTORY,
    name="no_feature_knows_the_future",
    blocking=True,
    description="Every feature of every mine, as-of year and vintage: the facts that it rests on were known at the "
    "vintage's time, by gold's own times and by silver's.",
)
def no_feature_knows_the_future(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> dg.AssetCheckResult:
    """Audit gold's rows."""
    with warehouse.connect() as connection:
        return _result(context, audit_history(connection, _features()))


@dg.asset_check(
    asset=TRAINING_SET,
    name="training_set_is_the_as_of_join",
    blocking=True,
    description="Every feature of every training row is what plain SQL finds as of the row's moment, to the bit, and "
    "rests on facts known then; every outcome became known later.",
)
def training_set_is_the_as_of_join(
    context: dg.AssetCheckExecutionContext, warehouse: Warehouse, model_workshop: ModelWorkshop
) -> dg.AssetCheckResult:
    """Audit the rows that the model is about to learn from."""
    rows = pl.scan_parquet(model_workshop.training_folder / TRAINING_FILE)
    with warehouse.connect() as connection:
        return _result(context, audit_training_set(connection, _features(), rows))


def _features() -> list[FeatureColumn]:
    return [column for column in catalogue().features if column.role == "feature"]


def _result(context: dg.AssetCheckExecutionContext, audits: Sequence[FeatureAudit]) -> dg.AssetCheckResult:
    failed = failures(audits)
    metadata: dict[str, dg.MetadataValue] = {
        "audit": dg.MetadataValue.md(as_markdown(audits)),
        "features": dg.MetadataValue.int(len(audits)),
        "rows": dg.MetadataValue.int(max((audit.rows for audit in audits), default=0)),
        "violations": dg.MetadataValue.int(sum(audit.violations for audit in failed)),
    }
    if not failed:
        return dg.AssetCheckResult(passed=True, metadata=metadata)
    reasons = [str(audit) for audit in failed]
    heading = (
        f"Nothing goes on: {len(failed)} features know the future or differ, first {'; '.join(reasons[:_NAMED])}. "
        "Correct the SQL, or the times in silver, and build gold again."
    )
    # where the run is watched, not only where its check is looked up
    context.log.error("\n".join([heading, *reasons]))
    return dg.AssetCheckResult(passed=False, description=heading, metadata=metadata)


CHECKS = [no_feature_knows_the_future, training_set_is_the_as_of_join]
