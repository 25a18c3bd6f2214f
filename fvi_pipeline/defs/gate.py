"""The gate's checks in Dagster: nothing of the future among the features, whether the newest challenger passed, and
its parity.

What is looked at and what is asked belongs to `model.leak_check` and `model.gate_criteria`; the gate itself is called
where a model is trained.
"""

from collections.abc import Mapping

import dagster as dg
import polars as pl

from fvi_pipeline.defs.model import CHALLENGER, TRAINING_SET
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.model.training_set import TRAINING_FILE


@dg.asset_check(
    asset=TRAINING_SET,
    name="no_feature_is_the_future",
    blocking=True,
    description="No feature comes near the mine's own production, employees or labor hours of the year after, by "
    "value, by rank or by being missing.",
)
def no_feature_is_the_future(warehouse: Warehouse, model_workshop: ModelWorkshop) -> dg.AssetCheckResult:
    """Look for next year's facts among the training set's features; what knows them stops here."""
    from fvi_pipeline.model.dataset import KEY_COLUMNS
    from fvi_pipeline.model.leak_check import facts_as_first_released, find_leaks

    frame = pl.read_parquet(model_workshop.training_folder / TRAINING_FILE)
    features = [name for name in frame.columns if name not in (*KEY_COLUMNS, "viable", "event_timestamp")]
    with warehouse.connect() as connection:
        report = find_leaks(frame, features, facts_as_first_released(connection))
    nearest = {measure: f"{feature}: {value:.3f}" for measure, (feature, value) in report.nearest.items()}
    return dg.AssetCheckResult(
        passed=report.passed,
        description=" ".join(report.sentences()) or None,
        metadata={"features": report.features, "rows": report.rows, "nearest": dg.MetadataValue.json(nearest)},
    )


def gate_checks(asset: dg.AssetKey) -> list[dg.AssetChecksDefinition]:
    """The checks of an asset that reports `model.promotion.Promotion.metadata`: what the gate said, and parity."""

    @dg.asset_check(
        asset=asset,
        name="gate_passed",
        description="The gate let the newest challenger pass, or it is the champion already; else it says why not.",
    )
    def gate_passed(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        """Show what the gate decided; a refusal is a warning, since the former champion goes on reigning."""
        shown = _reported(context, asset)
        if "gate_decision" not in shown:
            return dg.AssetCheckResult(passed=True, description="There is no challenger.")
        decision, reason = str(shown["gate_decision"].value), str(shown["gate_reason"].value)
        return dg.AssetCheckResult(
            passed=decision != "refused",
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{decision.capitalize()}: {reason}",
            metadata={name: value for name, value in shown.items() if name.startswith(("gate_", "leak"))},
        )

    @dg.asset_check(
        asset=asset,
        name="onnx_equals_lightgbm",
        description="Rows of the panel, and rows at and around every threshold: ONNX and LightGBM agree.",
    )
    def onnx_equals_lightgbm(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        """Read what the training measured; the gate has refused a challenger that is not at parity."""
        parity = {name: value for name, value in _reported(context, asset).items() if name.startswith("parity_")}
        over = parity.get("parity_rows_over_tolerance")
        return dg.AssetCheckResult(passed=over is not None and over.value == 0, metadata=parity)

    return [gate_passed, onnx_equals_lightgbm]


def _reported(context: dg.AssetCheckExecutionContext, asset: dg.AssetKey) -> Mapping[str, dg.MetadataValue]:
    event = context.instance.get_latest_materialization_event(asset)
    return event.asset_materialization.metadata if event and event.asset_materialization else {}


CHECKS: list[dg.AssetChecksDefinition] = [no_feature_is_the_future, *gate_checks(CHALLENGER)]
