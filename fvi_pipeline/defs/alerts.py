"""What people are told when nobody looks: a run that failed, sent to a webhook. Sending belongs to `platform`."""

from __future__ import annotations

import dagster as dg

from fvi_pipeline.defs.resources import Webhook
from fvi_pipeline.platform.webhook import post, without_secrets


@dg.run_failure_sensor(
    name="failure_webhook",
    # runs of `fvi run` belong to no code location, and fail all the same
    monitor_all_code_locations=True,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Posts every failed run to FVI_WEBHOOK_URL, as JSON and without secrets.",
)
def failure_webhook(context: dg.RunFailureSensorContext, webhook: Webhook) -> dg.SkipReason | None:
    """Say which run failed, where and why."""
    if not webhook.url:
        return dg.SkipReason("FVI_WEBHOOK_URL is not set: nobody is told.")
    run = context.dagster_run
    steps = []
    for event in context.get_step_failure_events():
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause  # the first cause; what is around it is Dagster's own frame
        steps.append(
            {"step": event.step_key, "error": without_secrets(error.message.strip()) if error else "no message"}
        )
    post(
        webhook.url,
        {
            "event": "run_failed",
            "run_id": run.run_id,
            "job": run.job_name,
            "started_by": run.tags.get("fvi/started_by")
            or run.tags.get("dagster/schedule_name")
            or run.tags.get("dagster/sensor_name")
            or run.tags.get("dagster/backfill")
            or "a person",
            "message": without_secrets(context.failure_event.message or ""),
            "failed_steps": steps,
        },
    )
    return None


SENSORS = [failure_webhook]
