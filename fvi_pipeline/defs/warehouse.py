"""dbt as Dagster assets: every model an asset, every test a check. SQL belongs to `dbt_project/`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets

from fvi_pipeline.defs.resources import Warehouse
from fvi_pipeline.platform.database import advisory_lock


class LayerTranslator(DagsterDbtTranslator):
    """Keys `layer/model`, groups by layer; a source is the asset of the landing or mart table that it names."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """The schema and the name that the table has in PostgreSQL."""
        layer = dbt_resource_props.get("source_name") or dbt_resource_props["config"]["schema"]
        return dg.AssetKey([layer, dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The layer."""
        return str(dbt_resource_props.get("source_name") or dbt_resource_props["config"]["schema"])

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """The team that answers for the warehouse."""
        return ["team:data"]


def build_dbt_assets(manifest: Path) -> dg.AssetsDefinition:
    """The assets of all dbt models in `manifest`; tests of error severity block what is downstream."""

    @dbt_assets(manifest=manifest, dagster_dbt_translator=LayerTranslator(), name="warehouse")
    def warehouse_models(context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: Warehouse) -> Iterator[Any]:
        # two dbt runs at once would drop each other's views
        with warehouse.connect(autocommit=True) as connection, advisory_lock(connection, "fvi.dbt"):
            yield from dbt.cli(["build"], context=context).stream().fetch_row_counts()

    return warehouse_models
