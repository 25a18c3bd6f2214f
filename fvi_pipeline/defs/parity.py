"""The checks that the online store holds what gold holds. The comparison itself belongs to `features.parity`."""

from typing import TYPE_CHECKING

import dagster as dg

from fvi_pipeline.defs.features import ONLINE_FEATURES, ONLINE_INDEX, feature_store
from fvi_pipeline.defs.segments import ONLINE_SEGMENTS
from fvi_pipeline.features.online_views import online_views
from fvi_pipeline.features.views import INDEX_VIEW, SEGMENT_VIEW

if TYPE_CHECKING:
    from fvi_pipeline.features.parity import ParityReport


@dg.asset_check(
    asset=ONLINE_FEATURES,
    name="online_equals_offline",
    blocking=True,
    description="Of every mine, each feature and context value in Redis is gold's, to the bit; no other mine is there.",
)
def online_equals_offline() -> dg.AssetCheckResult:
    """Compare all mines of every version of the features that is served."""
    from fvi_pipeline.features.parity import compare

    store = feature_store()
    views = [view.name for view in online_views(store) if view.name not in (INDEX_VIEW, SEGMENT_VIEW)]
    return _result(compare(store, views))


@dg.asset_check(
    asset=ONLINE_INDEX,
    name="online_index_equals_offline",
    blocking=True,
    description="Each mine's index and its parts in Redis are those of mart.fvi_index, to the bit; no other mine.",
)
def online_index_equals_offline() -> dg.AssetCheckResult:
    """Compare all mines."""
    from fvi_pipeline.features.parity import compare

    return _result(compare(feature_store(), [INDEX_VIEW]))


@dg.asset_check(
    asset=ONLINE_SEGMENTS,
    name="online_segments_equal_offline",
    blocking=True,
    description="Each mine's segment in Redis is the newest of mart.mine_segments; no other mine is there.",
)
def online_segments_equal_offline() -> dg.AssetCheckResult:
    """Compare all mines."""
    from fvi_pipeline.features.parity import compare

    return _result(compare(feature_store(), [SEGMENT_VIEW]))


def _result(report: "ParityReport") -> dg.AssetCheckResult:
    first = f" First: {report.first[0]}." if report.first else ""
    return dg.AssetCheckResult(
        passed=not report.different,
        description=f"{report.values:,} values compared, {report.different:,} differ.{first}",
        metadata={
            "mines": dict(report.mines),
            "values": report.values,
            "different": report.different,
            **({"differences": dg.MetadataValue.md(report.markdown())} if report.different else {}),
        },
    )


CHECKS = [online_equals_offline, online_index_equals_offline, online_segments_equal_offline]
