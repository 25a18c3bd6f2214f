"""Feast: the registry, and the online store filled from gold. Versions, views and reads belong to `features`; whether
online equals offline is checked in `parity`.
"""

import contextlib
import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.defs.retries import retried
from fvi_pipeline.features.catalogue import Catalogue, load_catalogue
from fvi_pipeline.features.versions import FeatureVersion, changes, live_versions, noted_versions
from fvi_pipeline.features.views import INDEX_VIEW
from fvi_pipeline.platform.dbt_manifest import ensure_manifest
from fvi_pipeline.platform.settings import get_settings

if TYPE_CHECKING:
    from feast import FeatureStore

FEATURE_HISTORY = dg.AssetKey(["gold", "gold_mine_feature_history"])
REGISTRY = dg.AssetKey(["feature_store", "registry"])
ONLINE_FEATURES = dg.AssetKey(["feature_store", "online_features"])
ONLINE_INDEX = dg.AssetKey(["feature_store", "online_index"])


def catalogue() -> Catalogue:
    """The project's features and metrics."""
    settings = get_settings()
    return load_catalogue(ensure_manifest(settings.dbt_project_dir, settings.home))


def feature_store() -> "FeatureStore":
    """The store in the environment of this process."""
    from fvi_pipeline.features.store import open_store

    return open_store(get_settings().feature_repo_dir, os.environ)


def materialize_views(views: Sequence[str]) -> None:
    """Bring the newest rows of some views into the online store; Feast's progress bars are left out."""
    from fvi_pipeline.features.store import materialize

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        materialize(feature_store(), views=views)


@dg.asset(
    key=REGISTRY,
    deps=[FEATURE_HISTORY],
    group_name="feature_store",
    kinds={"feast", "postgres"},
    owners=["team:data"],
    description="Feast's registry: entity, views and services of each version of the features, generated from the dbt "
    "manifest. A new or changed feature makes a new version; the ones before keep serving.",
)
def feature_registry(
    context: dg.AssetExecutionContext, warehouse: Warehouse, model_workshop: ModelWorkshop
) -> dg.MaterializeResult[None]:
    """Bring the registry in line with the catalogue."""
    from fvi_pipeline.features.store import apply

    described = catalogue()
    with contextlib.redirect_stdout(io.StringIO()):
        registered = apply(feature_store(), described, warehouse.database_url, lambda: _services_in_use(model_workshop))
    with warehouse.connect() as connection:
        versions = noted_versions(connection)
    return dg.MaterializeResult(
        metadata={"registered": registered, "features": len(described.model_features()), **_told(versions)}
    )


@dg.asset(
    key=ONLINE_FEATURES,
    deps=[REGISTRY, FEATURE_HISTORY],
    group_name="feature_store",
    kinds={"feast", "redis"},
    owners=["team:service"],
    description="The newest features of every mine of the panel in Redis, where serving reads them, for each version "
    "that gold can still compute.",
)
def online_features(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Write the newest row of every mine, restatements included."""
    with warehouse.connect() as connection:
        versions = live_versions(connection)
        rows = connection.execute("select count(distinct mine_id) from gold.gold_mine_feature_history").fetchone()
    with retried(context):
        materialize_views([version.view for version in versions])
    return dg.MaterializeResult(
        metadata={"dagster/row_count": rows[0] if rows else 0, "services": [version.service for version in versions]}
    )


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
        materialize_views([INDEX_VIEW])
    with warehouse.connect() as connection:
        rows = connection.execute("select count(*) from mart.fvi_index").fetchone()
    return dg.MaterializeResult(metadata={"dagster/row_count": rows[0] if rows else 0})


def _services_in_use(model_workshop: ModelWorkshop) -> set[str]:
    """The feature services of the models that reign, or that a Bento waits to serve."""
    from bentos.build import feature_services_of_bentos
    from fvi_pipeline.model.registry import MODELS

    champions = [model_workshop.registry(name).champion() for name in MODELS]
    return {champion.feature_service for champion in champions if champion} | feature_services_of_bentos()


def _told(versions: Sequence[FeatureVersion]) -> dict[str, list[str] | str]:
    """The newest version, what it has that the one before had not, and the state of all."""
    newest = versions[-1]
    states = [f"{version.service}: {version.frozen_because or 'live'}" for version in versions]
    if len(versions) == 1:
        return {"version": newest.service, "versions": states}
    change = changes(versions[-2], newest)
    return {
        "version": newest.service,
        "versions": states,
        "added": list(change.added),
        "changed": list(change.changed),
        "removed": list(change.removed),
    }


ASSETS = [feature_registry, online_features, online_index]
