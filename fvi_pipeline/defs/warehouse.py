"""dbt as Dagster assets: every model an asset, every test a check. SQL belongs to `dbt_project/`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from fvi_pipeline.defs.resources import Warehouse
from fvi_pipeline.defs.retries import retried
from fvi_pipeline.defs.years import IN_ONE_RUN, YEARS, chosen_years, note_years
from fvi_pipeline.platform.database import advisory_lock
from fvi_pipeline.platform.dbt_command import DBT_LOCK
from fvi_pipeline.platform.dbt_manifest import project_digest

_YEARLY_SOURCE = "eia_coal_mines"
_PARTS_HOOK = "discard_stale_parts"
"""The macro in whose models `rebuild_years` has an effect."""
_PANEL = "silver_shared_operations"
"""The model whose parts are the files of the panel."""


class LayerTranslator(DagsterDbtTranslator):
    """Keys `layer/model`, groups by layer; a source is the asset of the landing or mart table that it names."""

    def __init__(self, yearly: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self._yearly = yearly

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

    def get_partitions_def(self, dbt_resource_props: Mapping[str, Any]) -> dg.PartitionsDefinition[str] | None:
        """Years, for what dbt keeps by year."""
        return YEARS if dbt_resource_props["unique_id"] in self._yearly else None


def yearly_models(manifest: Mapping[str, Any]) -> frozenset[str]:
    """Unique ids of silver's models whose years can be rebuilt one by one, and of what stands by year between them and
    EIA's landing table. Gold's parts are made of several years each: they are found by what they were made from.
    """
    nodes, parents, children = manifest["nodes"], manifest["parent_map"], manifest["child_map"]
    by_parts = {
        name
        for name, node in nodes.items()
        if node["config"].get("schema") == "silver" and _PARTS_HOOK in json.dumps(node["config"].get("pre-hook", []))
    }
    sources = {name for name, node in manifest["sources"].items() if node["name"] == _YEARLY_SOURCE}
    between = _reached(by_parts, parents) & _reached(sources, children)
    by_year = {name for name in between if name in nodes and "as_of_year" in nodes[name]["columns"]}
    return frozenset(by_parts | by_year)


def _reached(start: set[str], edges: Mapping[str, list[str]]) -> set[str]:
    reached, waiting = set[str](), list(start)
    while waiting:
        for name in edges.get(waiting.pop(), []):
            if name not in reached:
                reached.add(name)
                waiting.append(name)
    return reached


def build_dbt_assets(manifest: Path) -> dg.AssetsDefinition:
    """The assets of all dbt models in `manifest`; tests of error severity block what is downstream."""
    translator = LayerTranslator(yearly_models(json.loads(manifest.read_text())))

    @dbt_assets(manifest=manifest, dagster_dbt_translator=translator, name="warehouse", backfill_policy=IN_ONE_RUN)
    def warehouse_models(context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: Warehouse) -> Iterator[Any]:
        # two dbt runs at once would drop each other's views
        with (
            retried(context),
            warehouse.connect(autocommit=True) as connection,
            advisory_lock(connection, DBT_LOCK),
        ):
            project = project_digest(Path(dbt.project_dir))
            years = chosen_years(context)
            arguments = ["build"]
            if _built_project(connection) != project:
                arguments.append("--full-refresh")  # other SQL: the rows of an incremental model would be of two kinds
            if years:
                arguments += ["--vars", json.dumps({"rebuild_years": years})]
            before, views = _panel_parts(connection), _views(connection)
            built = set[dg.AssetKey]()
            try:
                for event in dbt.cli(arguments, context=context).stream():
                    if isinstance(event, dg.Output):
                        built.add(context.asset_key_for_output(event.output_name))
                    yield event
            except DagsterDbtCliRuntimeError:
                connection.execute("select 1")  # if the server is gone, that is the error, and it may pass
                raise
            finally:
                # dbt replaces a table with all that looks at it (dbt-core #2801), and this run may not get that far
                if not connection.broken and (dropped := views - _views(connection)):
                    dbt.cli(["run", "--select", " ".join(sorted(dropped))], raise_on_error=False).wait()
            if not context.is_subset:
                _note_built_project(connection, project)
            if not years:
                touched = _years_of(connection, before ^ _panel_parts(connection))
                for key in sorted(built & yearly_keys):
                    note_years(context, key, touched)

    yearly_keys = {spec.key for spec in warehouse_models.specs if spec.partitions_def is not None}
    return warehouse_models


def _built_project(connection: psycopg.Connection) -> str | None:
    row = connection.execute("select project_digest from ops.dbt_state").fetchone()
    return str(row[0]) if row else None


def _note_built_project(connection: psycopg.Connection, digest: str) -> None:
    connection.execute(
        "insert into ops.dbt_state (project_digest, built_at) values (%s, now()) on conflict (only_row) do update "
        "set project_digest = excluded.project_digest, built_at = excluded.built_at",
        [digest],
    )


def _views(connection: psycopg.Connection) -> set[str]:
    layers = ["bronze", "silver", "gold", "mart"]
    rows = connection.execute("select viewname from pg_views where schemaname = any(%s)", [layers]).fetchall()
    return {str(row[0]) for row in rows}


def _panel_parts(connection: psycopg.Connection) -> set[tuple[str, str]]:
    """The files in the panel's history, each with the digest of what it was built from."""
    rows = connection.execute("select part, inputs_digest from ops.built_parts where model = %s", [_PANEL]).fetchall()
    return {(str(part), str(digest)) for part, digest in rows}


def _years_of(connection: psycopg.Connection, parts: set[tuple[str, str]]) -> list[int]:
    rows = connection.execute(
        "select distinct period::int from landing.files where file_id = any(%s) and period is not null",
        [[int(part) for part, _ in parts]],
    ).fetchall()
    return [int(row[0]) for row in rows]
