"""What follows by itself, named, with the reason. Files start the landing sensor, the clock the schedules; neither is
repeated here.
"""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

_BACKFILL_TAG = "dagster/backfill"
_NOT_DERIVED = frozenset({"publishers", "landing"})


def after_a_backfill() -> dg.AutomationCondition[dg.AssetKey | dg.AssetCheckKey]:
    """Follow a backfill, and nothing else.

    Whoever backfills a year in the UI chooses some tables, and what is made from them would go on telling the old year:
    scores, weights and Redis would differ from the warehouse until the next file came. So an asset is requested when
    something that it is made from was brought up to date by a backfill, or is requested itself in this tick: one run
    then holds the whole way down. The runs of the sensor, of the schedules and of `fvi run` carry no such tag: they
    choose themselves what follows, and to react to them too would do their work twice. It waits until what is above
    has ended and has passed its blocking checks, so half a backfill or bad data go no further; and what was never made
    (no champion yet, so no scores) is left to the main job, which knows why.
    """
    by_a_backfill = dg.AutomationCondition.any_new_update_has_run_tags(tag_keys={_BACKFILL_TAG})
    updated = dg.AutomationCondition.newly_updated() & by_a_backfill
    return (
        dg.AutomationCondition.any_deps_match(updated | dg.AutomationCondition.will_be_requested()).since_last_handled()
        & ~dg.AutomationCondition.any_deps_in_progress()
        & dg.AutomationCondition.all_deps_blocking_checks_passed()
        & ~dg.AutomationCondition.in_progress()
        & ~dg.AutomationCondition.missing()
    ).with_label("after_a_backfill")


def with_conditions(
    assets: Iterable[dg.AssetsDefinition | dg.AssetSpec],
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets with their conditions: what is derived follows a backfill. What is received does not, and of what has
    years, the person who backfills chooses them.
    """

    def conditioned(spec: dg.AssetSpec) -> dg.AssetSpec:
        if spec.group_name in _NOT_DERIVED or spec.partitions_def is not None:
            return spec
        return spec.replace_attributes(automation_condition=after_a_backfill())

    return list(dg.map_asset_specs(conditioned, list(assets)))


AUTOMATION_SENSOR = dg.AutomationConditionSensorDefinition(
    "automation_conditions",
    target=dg.AssetSelection.all(),
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests what a condition of defs/automation.py asks for.",
)
