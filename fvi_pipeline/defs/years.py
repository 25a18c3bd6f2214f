"""Years as partitions: of EIA's landing table and of what dbt keeps by year. Which models these are, `warehouse` knows.

A run without partitions (`fvi run`, the sensor's) takes in whatever there is and notes the years that it touched; a
backfill takes the chosen years anew.
"""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

YEARS = dg.TimeWindowPartitionsDefinition(cron_schedule="0 0 1 1 *", start="1983", fmt="%Y")
"""EIA's years, the first to the last one that is over."""
IN_ONE_RUN = dg.BackfillPolicy.single_run()
"""A backfill of adjacent years is one run: dbt starts once and not once a year."""


def chosen_years(context: dg.AssetExecutionContext) -> list[int]:
    """The years that this run was asked for; none when the run is not one of chosen years."""
    if context.assets_def.partitions_def is None or not context.run.tags.keys() & _TAGS:
        return []
    return [int(key) for key in context.partition_keys]


def note_years(context: dg.AssetExecutionContext, key: dg.AssetKey, years: Iterable[int]) -> None:
    """Tell Dagster that a run without partitions brought these years of the asset up to date."""
    known = set(YEARS.get_partition_keys())
    for year in sorted(set(years)):
        if str(year) in known:
            context.log_event(dg.AssetMaterialization(asset_key=key, partition=str(year)))


def without_years(assets: Iterable[dg.AssetsDefinition | dg.AssetSpec]) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The same assets for a job that takes in everything at once: Dagster would ask for a year otherwise."""
    return list(dg.map_asset_specs(lambda spec: spec.replace_attributes(partitions_def=None), list(assets)))


_TAGS = {"dagster/partition", "dagster/asset_partition_range_start"}
