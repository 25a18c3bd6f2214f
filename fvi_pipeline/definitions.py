"""The one assembly of assets, checks, jobs, schedules, sensors and resources, for the UI, the tests and the CLI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from fvi_pipeline.defs import evidence, features, landing, model, publishers, serving, warehouse, weights
from fvi_pipeline.defs.resources import default_resources
from fvi_pipeline.platform.dbt_manifest import ensure_manifest
from fvi_pipeline.platform.settings import Settings, get_settings

MAIN_JOB = "fvi_main"


def build_defs(resource_overrides: Mapping[str, Any] | None = None, settings: Settings | None = None) -> dg.Definitions:
    """Everything that Dagster serves; `resource_overrides` replace resources by name.

    No server is contacted; the dbt manifest is parsed once per state of the dbt project.
    """
    settings = settings or get_settings()
    main_job = dg.define_asset_job(
        MAIN_JOB,
        selection=dg.AssetSelection.all(),
        executor_def=dg.in_process_executor,
        description="From publishers' files to a served score: everything, in order.",
    )
    return dg.Definitions(
        assets=[
            *publishers.publisher_specs(),
            landing.landing,
            *evidence.ASSETS,
            warehouse.build_dbt_assets(ensure_manifest(settings.dbt_project_dir, settings.home)),
            *features.ASSETS,
            *weights.ASSETS,
            *model.ASSETS,
            *serving.ASSETS,
        ],
        asset_checks=[*features.CHECKS, *weights.CHECKS, *model.CHECKS],
        jobs=[main_job, weights.NIGHTLY_JOB, model.WEEKLY_JOB],
        schedules=[weights.NIGHTLY_SCHEDULE, model.WEEKLY_SCHEDULE],
        sensors=[landing.build_landing_sensor(main_job)],
        resources={**default_resources(settings), **(resource_overrides or {})},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `workspace.yaml` loads."""
    return build_defs()
