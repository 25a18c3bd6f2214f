"""The one assembly of assets, checks, jobs, schedules, sensors and resources, for the UI, the tests and the CLI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from fvi_pipeline.defs import (
    alerts,
    answers,
    arms,
    audit,
    backtest,
    bayes,
    companions,
    documentation,
    evidence,
    explanations,
    features,
    freshness,
    gate,
    landing,
    model,
    model_card,
    monitoring,
    online_answers,
    parity,
    publishers,
    quality,
    replay,
    retention,
    retraining,
    retrieval,
    segments,
    separation,
    serving,
    warehouse,
    weights,
)
from fvi_pipeline.defs.automation import AUTOMATION_SENSOR, with_conditions
from fvi_pipeline.defs.punctuality import with_deadlines
from fvi_pipeline.defs.resources import default_resources
from fvi_pipeline.defs.years import without_years
from fvi_pipeline.features.catalogue import load_catalogue
from fvi_pipeline.platform.dbt_manifest import ensure_manifest
from fvi_pipeline.platform.settings import Settings, get_settings

MAIN_JOB = "fvi_main"


def build_defs(resource_overrides: Mapping[str, Any] | None = None, settings: Settings | None = None) -> dg.Definitions:
    """Everything that Dagster serves; `resource_overrides` replace resources by name.

    No server is contacted; the dbt manifest is parsed once per state of the dbt project.
    """
    settings = settings or get_settings()
    resources = {**default_resources(settings), **(resource_overrides or {})}
    manifest = ensure_manifest(settings.dbt_project_dir, settings.home)
    load_catalogue(manifest)  # a feature without its description is refused before anything runs
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [
        *publishers.publisher_specs(),
        landing.landing,
        *evidence.ASSETS,
        warehouse.build_dbt_assets(manifest),
        *retrieval.ASSETS,
        *documentation.ASSETS,
        *quality.ASSETS,
        *features.ASSETS,
        *weights.ASSETS,
        *segments.ASSETS,
        *model.ASSETS,
        *backtest.ASSETS,
        *companions.ASSETS,
        *explanations.ASSETS,
        *model_card.ASSETS,
        *monitoring.ASSETS,
        *online_answers.ASSETS,
        *serving.ASSETS,
        *arms.ASSETS,
        *retention.ASSETS,
    ]
    assets = with_conditions(with_deadlines(assets))
    checks = [
        *audit.CHECKS,
        *quality.CHECKS,
        *parity.CHECKS,
        *weights.CHECKS,
        *segments.CHECKS,
        *model.CHECKS,
        *gate.CHECKS,
        *companions.CHECKS,
        *explanations.CHECKS,
    ]
    main_job = _main_job(assets, checks, resources)
    return dg.Definitions(
        # beside the main job and automation: replays and long comparisons have jobs of their own
        assets=[
            *assets,
            *replay.ASSETS,
            *backtest.STUDY_ASSETS,
            *bayes.STUDY_ASSETS,
            *separation.STUDY_ASSETS,
            *answers.STUDY_ASSETS,
        ],
        asset_checks=[*checks, *freshness.CHECKS],
        jobs=[
            main_job,
            weights.NIGHTLY_JOB,
            evidence.EVIDENCE_JOB,
            model.WEEKLY_JOB,
            freshness.FRESHNESS_JOB,
            replay.JOB,
            backtest.JOB,
            bayes.JOB,
            separation.JOB,
            answers.JOB,
        ],
        schedules=[
            weights.NIGHTLY_SCHEDULE,
            evidence.EVIDENCE_SCHEDULE,
            model.WEEKLY_SCHEDULE,
            freshness.FRESHNESS_SCHEDULE,
            backtest.SCHEDULE,
            bayes.SCHEDULE,
            separation.SCHEDULE,
            answers.SCHEDULE,
        ],
        sensors=[landing.build_landing_sensor(main_job), AUTOMATION_SENSOR, *alerts.SENSORS, *retraining.SENSORS],
        executor=dg.in_process_executor,
        resources=resources,
    )


def _main_job(
    assets: list[dg.AssetsDefinition | dg.AssetSpec],
    checks: list[dg.AssetChecksDefinition],
    resources: Mapping[str, Any],
) -> dg.JobDefinition:
    """Everything in one run, whatever the years. Checks that follow the clock and not the files are left out."""
    job = dg.define_asset_job(
        MAIN_JOB,
        selection=dg.AssetSelection.all(),
        executor_def=dg.in_process_executor,
        description="From publishers' files to a served score: everything, in order.",
    )
    whole = dg.Definitions(assets=without_years(assets), asset_checks=checks, jobs=[job], resources=resources)
    return whole.resolve_job_def(MAIN_JOB)


@dg.definitions
def defs() -> dg.Definitions:
    """What `workspace.yaml` loads."""
    return build_defs()
