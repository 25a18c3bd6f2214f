"""Feast: the registry, and the online store filled from gold. Views and reads belong to `features`."""

import contextlib
import io
import os
from typing import TYPE_CHECKING

import dagster as dg

from fvi_pipeline.defs.resources import Warehouse
from fvi_pipeline.defs.retries import retried
from fvi_pipeline.features.catalogue import Catalogue, load_catalogue
from fvi_pipeline.features.views import FEATURE_VIEW, INDEX_VIEW
from fvi_pipeline.platform.settings import get_settings

if TYPE_CHECKING:
    from feast import FeatureStore

FEATURE_HISTORY = dg.AssetKey(["gold", "gold_mine_feature_history"])
REGISTRY = dg.AssetKey(["feature_store", "registry"])
ONLINE_FEATURES = dg.AssetKey(["feature_store", "online_features"])
ONLINE_INDEX = dg.AssetKey(["feature_store", "online_index"])
_SAMPLE = 200


def catalogue() -> Catalogue:
    """The project's features and metrics."""
    return load_catalogue(get_settings().dbt_project_dir)


def feature_store() -> "FeatureStore":
    """The store in the environment of this process."""
    from fvi_pipeline.features.store import open_store

    return open_store(get_settings().feature_repo_dir, os.environ)


def materialize_view(view: str) -> None:
    """Bring the newest rows of one view into the online store; Feast's progress bars are left out."""
    from fvi_pipeline.features.store import materialize

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        materialize(feature_store(), views=[view])


@dg.asset(
    key=REGISTRY,
    deps=[FEATURE_HISTORY],
    group_name="feature_store",
    kinds={"feast", "postgres"},
    owners=["team:data"],
    description="Feast's registry: entity, views and services, generated from the descriptions of the gold models.",
)
def feature_registry(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Bring the registry in line with the catalogue."""
    from fvi_pipeline.features.store import apply

    described = catalogue()
    with contextlib.redirect_stdout(io.StringIO()):
        registered = apply(feature_store(), described, warehouse.database_url)
    return dg.MaterializeResult(metadata={"registered": registered, "features": len(described.model_features())})


@dg.asset(
    key=ONLINE_FEATURES,
    deps=[REGISTRY, FEATURE_HISTORY],
    group_name="feature_store",
    kinds={"feast", "redis"},
    owners=["team:service"],
    description="The newest features of every mine of the panel in Redis, where serving reads them.",
)
def online_features(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Write the newest row of every mine, restatements included."""
    with retried(context):
        materialize_view(FEATURE_VIEW)
    with warehouse.connect() as connection:
        rows = connection.execute("select count(distinct mine_id) from gold.gold_mine_feature_history").fetchone()
    return dg.MaterializeResult(metadata={"dagster/row_count": rows[0] if rows else 0})


@dg.asset(
    key=ONLINE_INDEX,
    deps=[REGISTRY, dg.AssetKey(["mart", "fvi_index"])],
    group_name="feature_store",
    kinds={"feast", "redis"},
    owners=["team:service"],
    description="The index of every mine in Redis, where serving reads it.",
)
def online_index(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Write the index of every mine."""
    with retried(context):
        materialize_view(INDEX_VIEW)
    with warehouse.connect() as connection:
        rows = connection.execute("select count(*) from mart.fvi_index").fetchone()
    return dg.MaterializeResult(metadata={"dagster/row_count": rows[0] if rows else 0})


@dg.asset_check(
    asset=ONLINE_FEATURES,
    name="online_equals_offline",
    blocking=True,
    description=f"For {_SAMPLE} mines, every feature in Redis is the one in gold, to the bit.",
)
def online_equals_offline(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Compare a sample, the same one each time."""
    from fvi_pipeline.features.store import online_differences

    with warehouse.connect() as connection:
        rows = connection.execute(
            "select mine_id from (select distinct mine_id from gold.gold_mine_features) as mines "
            "order by md5(mine_id) limit %s",
            [_SAMPLE],
        ).fetchall()
    mine_ids = [row[0] for row in rows]
    different = online_differences(feature_store(), catalogue(), warehouse.database_url, mine_ids)
    return dg.AssetCheckResult(
        passed=different.is_empty(),
        metadata={
            "mines": len(mine_ids),
            "different": different.height,
            "first": [" ".join(map(str, row)) for row in different.head(5).rows()],
        },
    )


ASSETS = [feature_registry, online_features, online_index]
CHECKS = [online_equals_offline]
