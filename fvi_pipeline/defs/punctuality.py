"""When the schedules' work is late: the policies by which Dagster's daemon judges what they write.

How old the publishers' files are belongs to `freshness`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import dagster as dg

from fvi_pipeline.defs.model import CHALLENGER
from fvi_pipeline.defs.quality import QUALITY
from fvi_pipeline.defs.weights import INDEX, WEIGHTS

# two hours for a night that waits behind a long run; the failure comes when the next one is missed too
_NIGHTLY = dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=26), fail_window=timedelta(hours=50))
_WEEKLY = dg.FreshnessPolicy.time_window(
    warn_window=timedelta(days=7, hours=2), fail_window=timedelta(days=14, hours=2)
)
_POLICIES = {QUALITY: _NIGHTLY, WEIGHTS: _NIGHTLY, INDEX: _NIGHTLY, CHALLENGER: _WEEKLY}


def with_deadlines(
    assets: Iterable[dg.AssetsDefinition | dg.AssetSpec],
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets, those that a schedule writes with the time after which they are late."""

    def timed(spec: dg.AssetSpec) -> dg.AssetSpec:
        policy = _POLICIES.get(spec.key)
        return spec if policy is None else spec.replace_attributes(freshness_policy=policy)

    return list(dg.map_asset_specs(timed, list(assets)))
