"""What follows by itself: a backfill, down to the last asset; a run of the sensor's, nothing."""

import dagster as dg
import pytest

from fvi_pipeline.defs.automation import with_conditions
from fvi_pipeline.defs.years import IN_ONE_RUN, YEARS, without_years


@dg.asset(group_name="landing", partitions_def=YEARS, backfill_policy=IN_ONE_RUN)
def received() -> None:
    """Stands for the landing table."""


@dg.asset(deps=[received], group_name="silver", partitions_def=YEARS, backfill_policy=IN_ONE_RUN)
def by_year() -> None:
    """Stands for a table that is built by year."""


@dg.asset(deps=[by_year], group_name="gold")
def whole() -> None:
    """Stands for a table that is built whole."""


@dg.asset(deps=[whole], group_name="serving")
def served() -> None:
    """Stands for what is served."""


@pytest.fixture
def definitions() -> dg.Definitions:
    assets = with_conditions([received, by_year, whole, served])
    return dg.Definitions(assets=assets)


def _requested(
    definitions: dg.Definitions, instance: dg.DagsterInstance, cursor: object = None
) -> tuple[set[str], object]:
    result = dg.evaluate_automation_conditions(definitions, instance, cursor=cursor)
    requested = {each.key.to_user_string() for each in result.results if not each.true_subset.is_empty}
    return requested, result.cursor


def test_a_backfill_is_followed_and_nothing_else(definitions: dg.Definitions) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        requested, cursor = _requested(definitions, instance)
        assert requested == set(), "what was never there is the main job's to make"
        run_without_years = dg.Definitions(assets=without_years([received, by_year, whole, served]))
        run_without_years.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
        requested, cursor = _requested(definitions, instance, cursor)
        assert requested == set(), "a run chooses itself what follows"
        backfill = definitions.resolve_implicit_global_asset_job_def()
        backfill.execute_in_process(
            instance=instance,
            asset_selection=[by_year.key],
            partition_key="2011",
            tags={"dagster/backfill": "a_user_s"},
        )
        requested, cursor = _requested(definitions, instance, cursor)
        assert requested == {"whole", "served"}
        requested, cursor = _requested(definitions, instance, cursor)
        assert requested == set(), "once"
