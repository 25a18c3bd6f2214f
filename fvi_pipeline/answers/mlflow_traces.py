"""Answers into MLflow: each one a trace with its steps, feedback on them, and the prompts as versions of its registry.

Runs in the pipeline, not in the service: a machine that serves has no MLflow. Traces come from ops.answers, each once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from fvi_pipeline.answers.prompts import REGISTERED_NAME, prompt, versions

EXPERIMENT = "fvi_answers"
_MAXIMUM = 1_000
_NOT_TRACED = """
select * from ops.answers where mlflow_trace_id is null order by answered_at, answer_id limit %s for update skip locked
"""
_FEEDBACK = """
select f.feedback_id, f.verdict, f.comment, f.client, a.mlflow_trace_id
from ops.feedback as f join ops.answers as a on a.answer_id = f.request_id
where a.mlflow_trace_id is not null and f.mlflow_assessed_at is null
order by f.given_at limit %s
"""
_COLLECT = """
insert into ops.answer_questions (answer_id, question, mine_id, verdict, comment)
select distinct on (a.answer_id) a.answer_id, a.question, a.mine_ids[1], f.verdict, f.comment
from ops.feedback as f join ops.answers as a on a.answer_id = f.request_id
where f.verdict = 'disagree' order by a.answer_id, f.given_at desc
on conflict (answer_id) do nothing
"""


@dataclass(frozen=True)
class Collected:
    """What one collection brought."""

    traces: int = 0
    feedback: int = 0
    questions: int = 0


def collect(connection: psycopg.Connection[Any], tracking_uri: str, artifacts: Path) -> Collected:
    """Bring answers and feedback that MLflow does not have into it; disagreed questions into ops.answer_questions.

    `artifacts` is the folder of what a trace has beside its spans. Commits after each answer: a run that is stopped
    goes on where it was.
    """
    import mlflow

    mlflow.set_tracking_uri(tracking_uri)
    experiment = mlflow.get_experiment_by_name(EXPERIMENT)
    experiment_id = (
        mlflow.create_experiment(EXPERIMENT, artifact_location=artifacts.as_uri())
        if experiment is None
        else experiment.experiment_id
    )
    traces = feedback = 0
    while True:
        with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(_NOT_TRACED, [1]).fetchone()
            if row is None or traces >= _MAXIMUM:
                break
            trace_id = _trace(row, experiment_id)
            # it is written behind; what is noted here must be there
            mlflow.flush_trace_async_logging()
            cursor.execute(
                "update ops.answers set mlflow_trace_id = %s where answer_id = %s", [trace_id, row["answer_id"]]
            )
        traces += 1
    for feedback_id, verdict, comment, client, trace_id in connection.execute(_FEEDBACK, [_MAXIMUM]).fetchall():
        source = mlflow.entities.AssessmentSource(source_type="HUMAN", source_id=client or "local")
        mlflow.log_feedback(trace_id=trace_id, name="verdict", value=verdict, rationale=comment, source=source)
        connection.execute("update ops.feedback set mlflow_assessed_at = now() where feedback_id = %s", [feedback_id])
        feedback += 1
    questions = connection.execute(_COLLECT).rowcount
    return Collected(traces, feedback, questions)


def _trace(row: Mapping[str, Any], experiment_id: str) -> str:
    from mlflow.tracing.fluent import start_span_no_context

    steps = row["steps"]
    spans: dict[str, Any] = {}
    for step in steps:
        parent = spans.get(step["parent_id"]) if step["parent_id"] else None
        about: dict[str, Any] = {}
        if parent is None:
            tags = {
                "fvi.answer_id": str(row["answer_id"]), "fvi.trace_id": row["trace_id"], "fvi.variant": row["variant"],
                "fvi.mode": row["mode"], "fvi.status": row["status"], "mlflow.source": "ops.answers",
            }  # fmt: skip
            about = {"inputs": {"question": row["question"]}, "experiment_id": experiment_id, "tags": tags}
        span = start_span_no_context(
            name=step["name"],
            span_type=step["kind"],
            parent_span=parent,
            start_time_ns=step["started_ns"],
            attributes={name: _plain(value) for name, value in step["attributes"].items()},
            **about,
        )
        usage = step["attributes"].get("usage") if step["kind"] == "LLM" else None
        if usage:
            span.set_attribute(
                "mlflow.chat.tokenUsage",
                {
                    "input_tokens": usage["prompt_tokens"],
                    "output_tokens": usage["completion_tokens"],
                    "total_tokens": usage["prompt_tokens"] + usage["completion_tokens"],
                },
            )
        spans[step["span_id"]] = span
    for step in reversed(steps):
        span = spans[step["span_id"]]
        if step["parent_id"] is None:
            span.set_outputs({"answer": row["answer"], "status": row["status"]})
        span.end(end_time_ns=step["ended_ns"], status="ERROR" if step["error"] else "OK")
    root: str = spans[steps[0]["span_id"]].trace_id
    return root


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) or value is None else json.dumps(value, default=str)


def register_prompts(tracking_uri: str) -> int:
    """Put every prompt that MLflow's registry does not have into it, in order; how many were new.

    A version of ours is found by the hash of its text, which it is tagged with; the alias `in_use` is the newest.
    """
    import mlflow

    mlflow.set_tracking_uri(tracking_uri)
    known: dict[str, int] = {}
    registered = mlflow.genai.load_prompt(REGISTERED_NAME, allow_missing=True)
    if registered is not None:
        for number in range(1, registered.version + 1):
            version = mlflow.genai.load_prompt(f"prompts:/{REGISTERED_NAME}/{number}", allow_missing=True)
            if version is not None:
                known[version.tags.get("sha256", "")] = version.version
    added = 0
    for version_name in versions():
        ours = prompt(version_name)
        if ours.sha256 not in known:
            tags = {"sha256": ours.sha256, "fvi_version": version_name}
            new = mlflow.genai.register_prompt(REGISTERED_NAME, ours.text, commit_message=version_name, tags=tags)
            known[ours.sha256] = new.version
            added += 1
    return added
