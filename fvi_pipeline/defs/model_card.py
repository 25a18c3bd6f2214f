"""Cards of the registered versions, for the Dagster UI, MLflow and SQL. Their content belongs to `model.card`."""

import dagster as dg

from fvi_pipeline.defs.model import TRAINING_SET
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.defs.retries import retried
from fvi_pipeline.platform.settings import get_settings

MODEL_CARD = dg.AssetKey(["model", "model_card"])
# of less weight than all else that follows the training set: a run goes through its steps one by one, and the cards
# tell what the gate decided. Dependencies on the models would leave the cards out where one of them is skipped
_AFTER_THE_GATE = {"dagster/priority": "-2"}


@dg.asset(
    key=MODEL_CARD,
    deps=[TRAINING_SET],
    op_tags=_AFTER_THE_GATE,
    group_name="model",
    kinds={"mlflow", "postgres"},
    owners=["team:model"],
    description="What each registered version is, what it was measured on, for whom it works less well, and its "
    "limits: in ops.model_cards and among the artifacts of the version's run.",
)
def model_card(
    context: dg.AssetExecutionContext, warehouse: Warehouse, model_workshop: ModelWorkshop
) -> dg.MaterializeResult[None]:
    """Make the cards that are missing or may have changed."""
    from fvi_pipeline.model.card.store import make_card, stored_card, versions_to_describe
    from fvi_pipeline.model.card.writer import configured_writer
    from fvi_pipeline.model.registry import MODELS

    writer = configured_writer(get_settings())
    made: list[str] = []
    metadata: dict[str, dg.MetadataValue] = {}
    with retried(context), warehouse.connect() as connection:
        for name in MODELS:
            registry = model_workshop.registry(name)
            for version in versions_to_describe(registry, connection):
                card = make_card(connection, registry, version, writer)
                if card.is_new:
                    made.append(f"{name} {version}")
            reigning = registry.champion() or registry.newest()
            shown = stored_card(connection, name, reigning.version) if reigning else None
            if shown is not None:
                metadata[name] = dg.MetadataValue.md(shown.markdown)
        row = connection.execute("select count(*) from ops.model_cards").fetchone()
    return dg.MaterializeResult(
        metadata={"dagster/row_count": row[0] if row else 0, "made": dg.MetadataValue.json(made), **metadata}
    )


ASSETS = [model_card]
