"""What serving reads ready-made from Redis: scores with their reasons, and forecasts. They are computed in `model`."""

import dagster as dg

from fvi_pipeline.defs.companions import CLOSING_YEARS, PRODUCTION_FORECASTS, STATUS_FORECASTS
from fvi_pipeline.defs.features import ONLINE_FEATURES
from fvi_pipeline.defs.model import EXPLANATIONS, SCORES
from fvi_pipeline.defs.resources import ModelWorkshop, OnlineStore, Warehouse
from fvi_pipeline.defs.retries import retried

ONLINE_ANSWERS = dg.AssetKey(["feature_store", "online_answers"])
_MARTS = {"production": PRODUCTION_FORECASTS, "next_status": STATUS_FORECASTS, "closing_year": CLOSING_YEARS}


@dg.asset(
    key=ONLINE_ANSWERS,
    deps=[SCORES, EXPLANATIONS, ONLINE_FEATURES],
    group_name="feature_store",
    kinds={"redis"},
    owners=["team:service"],
    description="Scores with what every feature adds to them, of every mine of the cohort, in Redis: serving takes "
    "those that are of the values and the model that it has, and computes the others.",
)
def online_answers(
    context: dg.AssetExecutionContext, warehouse: Warehouse, online_store: OnlineStore, model_workshop: ModelWorkshop
) -> dg.MaterializeResult[None]:
    """Copy the marts' newest scores of the champion."""
    import redis

    from fvi_pipeline.features.online_version import writing
    from fvi_pipeline.model.online_answers import publish_records

    champion = model_workshop.registry().champion()
    if champion is None:
        raise dg.Failure("There is no champion yet. Materialise model/champion first.")
    features = model_workshop.registry().load(champion.version).features
    with (
        retried(context),
        warehouse.connect() as connection,
        redis.Redis.from_url(online_store.redis_url) as client,
        writing(client),
    ):
        records = publish_records(connection, client, champion.onnx_sha256, champion.version, features)
    return dg.MaterializeResult(metadata={"dagster/row_count": records, "model_version": champion.version})


def online_of(mart: dg.AssetKey) -> dg.AssetKey:
    """The asset that brings a mart's forecasts to Redis."""
    return dg.AssetKey(["feature_store", f"online_{mart.path[-1]}"])


def _online_forecasts(kind: str, mart: dg.AssetKey) -> dg.AssetsDefinition:
    """An asset of its own a kind: one without a champion is skipped, and the others are not."""

    @dg.asset(
        key=online_of(mart),
        deps=[mart],
        group_name="feature_store",
        kinds={"redis"},
        owners=["team:service"],
        description=f"{mart.to_user_string()} of every mine of the cohort in Redis, where serving reads it.",
    )
    def online_forecasts(
        context: dg.AssetExecutionContext, warehouse: Warehouse, online_store: OnlineStore
    ) -> dg.MaterializeResult[None]:
        """Copy the mart's newest forecasts."""
        import redis

        from fvi_pipeline.features.online_version import writing
        from fvi_pipeline.model.online_answers import publish_forecasts

        with (
            retried(context),
            warehouse.connect() as connection,
            redis.Redis.from_url(online_store.redis_url) as client,
            writing(client),
        ):
            mines = publish_forecasts(connection, client, kind)
        return dg.MaterializeResult(metadata={"dagster/row_count": mines})

    return online_forecasts


ASSETS = [online_answers, *(_online_forecasts(kind, mart) for kind, mart in _MARTS.items())]
