"""The segments of the newest cohort: which mine is in which, what each is like, and both in Redis for serving.

How they are found belongs to `segments`. They are context: no model depends on them.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from fvi_pipeline.defs.features import REGISTRY, catalogue, materialize_views
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.defs.retries import retried
from fvi_pipeline.features.views import SEGMENT_VIEW
from fvi_pipeline.model.training_set import SIZE_FEATURE
from fvi_pipeline.segments import store
from fvi_pipeline.segments.errors import TooFewMinesError
from fvi_pipeline.segments.fit import SegmentSettings

SEGMENTS = dg.AssetKey(["mart", "mine_segments"])
PROFILES = dg.AssetKey(["mart", "segment_profiles"])
ONLINE_SEGMENTS = dg.AssetKey(["feature_store", "online_segments"])
_GOLD = [
    dg.AssetKey(["gold", "gold_mine_features"]),
    dg.AssetKey(["gold", "gold_mine_feature_history"]),
    dg.AssetKey(["gold", "gold_mine_outcomes"]),
]


@dg.multi_asset(
    name="segments",
    specs=[
        dg.AssetSpec(
            SEGMENTS,
            deps=_GOLD[:1],
            skippable=True,
            group_name="segments",
            kinds={"scikitlearn", "postgres"},
            owners=["team:model"],
            description="The segment of every mine of the newest cohort (k-means on what the mines are, their number "
            "by silhouette), with the time since which it is known. Context, no input of a model.",
        ),
        dg.AssetSpec(
            PROFILES,
            deps=_GOLD,
            skippable=True,
            group_name="segments",
            kinds={"polars", "postgres"},
            owners=["team:model"],
            description="What each segment is like beside the whole cohort, in figures and in words, and what became "
            "of past mines of its kind.",
        ),
    ],
)
def segments(
    context: dg.AssetExecutionContext, warehouse: Warehouse, model_workshop: ModelWorkshop
) -> Iterator[dg.MaterializeResult[None]]:
    """Find the segments and add what has changed."""
    from fvi_pipeline.segments.found import find_segments
    from fvi_pipeline.segments.pictures import components_picture, in_markdown, silhouette_picture
    from fvi_pipeline.segments.report import profile_table, title

    now = datetime.now(UTC)
    with retried(context), warehouse.connect() as connection:
        try:
            found = find_segments(
                connection,
                catalogue().features,
                size_feature=SIZE_FEATURE,
                settings=SegmentSettings(seed=model_workshop.seed),
                known_by=now,
            )
        except TooFewMinesError as error:
            # a small or foreign landing folder is no fault; what was found before stays
            context.log.warning(f"No segments: {error}")
            return
        written = store.write_segments(
            connection, found.fit, found.cohort, found.profiles, found.past, found.choice.left_out, now
        )
    fit, names = found.fit, {profile.segment: profile.name for profile in found.profiles}
    plane, curve = f"Mines of {found.as_of_year}", "Silhouette by number of segments"
    yield dg.MaterializeResult(
        asset_key=SEGMENTS,
        metadata={
            "dagster/row_count": fit.mines.height,
            "rows_added": written.mines,
            "fit_id": fit.fit_id,
            "segments": len(names),
            "silhouette": fit.silhouette,
            "stability": fit.stability,
            "tried": dg.MetadataValue.json({str(each.segments): each.silhouette for each in fit.tried}),
            "features": list(fit.features),
            "left_out": dg.MetadataValue.json(found.choice.left_out),
            "values_missing": dg.MetadataValue.json(found.missing),
            "silhouettes": dg.MetadataValue.md(in_markdown(silhouette_picture(fit.tried, len(names), curve), curve)),
            "picture": dg.MetadataValue.md(in_markdown(components_picture(fit, names, plane), plane)),
        },
    )
    yield dg.MaterializeResult(
        asset_key=PROFILES,
        metadata={
            "dagster/row_count": len(found.profiles),
            "rows_added": written.profiles,
            "profiles": dg.MetadataValue.md(profile_table(found.profiles, found.past)),
            "title": title(found),
        },
    )


@dg.asset(
    key=ONLINE_SEGMENTS,
    deps=[REGISTRY, SEGMENTS],
    group_name="feature_store",
    kinds={"feast", "redis"},
    owners=["team:service"],
    description="The segment of every mine in Redis: the named feature `mine_segment`.",
)
def online_segments(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Write the newest segment of every mine."""
    with retried(context):
        materialize_views([SEGMENT_VIEW])
    with warehouse.connect() as connection:
        rows = connection.execute("select count(distinct mine_id) from mart.mine_segments").fetchone()
    return dg.MaterializeResult(metadata={"dagster/row_count": rows[0] if rows else 0})


@dg.asset_check(
    asset=SEGMENTS,
    name="every_mine_has_one_segment",
    blocking=True,
    description="Every mine of the newest cohort is in exactly one segment now, no other mine is, and each segment has "
    "a profile of the same fit.",
)
def every_mine_has_one_segment(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Compare with the cohort and the profiles."""
    with warehouse.connect() as connection:
        row = connection.execute(
            "with cohort as (select mine_id, as_of_year from gold.gold_mine_features where in_cohort "
            "and as_of_year = (select max(as_of_year) from gold.gold_mine_features)), "
            "placed as (select mine_id, as_of_year, count(*) as times from mart.current_mine_segments "
            "group by mine_id, as_of_year), "
            "profiles as (select fit_id, segment, segment_name from mart.segment_profiles where created_timestamp = "
            "(select max(created_timestamp) from mart.segment_profiles)) "
            "select (select count(*) from cohort left join placed using (mine_id, as_of_year) "
            "where placed.times is distinct from 1), "
            "(select count(*) from placed left join cohort using (mine_id, as_of_year) where cohort.mine_id is null), "
            "(select count(*) from mart.current_mine_segments as mines left join profiles "
            "using (fit_id, segment, segment_name) where profiles.fit_id is null)"
        ).fetchone()
    without, beside, unlike = row or (0, 0, 0)
    return dg.AssetCheckResult(
        passed=without == beside == unlike == 0,
        metadata={"without_one_segment": without, "not_of_the_cohort": beside, "without_profile": unlike},
    )


ASSETS = [segments, online_segments]
CHECKS = [every_mine_has_one_segment]
