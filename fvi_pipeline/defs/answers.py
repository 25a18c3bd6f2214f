"""Answers in words: how good they are, their traces in MLflow, their prompts in its registry. Answering belongs
to `answers`."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from fvi_pipeline.defs.model import SCORES, STUDIES
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.defs.retrieval import EMBEDDINGS
from fvi_pipeline.platform.settings import get_settings

QUALITY = dg.AssetKey(["mart", "answer_quality"])
TRACES = dg.AssetKey(["answers", "traces"])


@dg.asset(
    key=QUALITY,
    deps=[SCORES, EMBEDDINGS],
    group_name=STUDIES,
    kinds={"python", "postgres"},
    owners=["team:evidence"],
    description="Answers without a language model to questions made from the warehouse, beside the truth of SQL: "
    "numbers, "
    "citations, support, what was declined, time to the first sentence.",
)
def answer_quality(warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Ask every question and keep the measures."""
    from psycopg_pool import ConnectionPool

    from fvi_pipeline.answers.assembly import searcher_once
    from fvi_pipeline.answers.evaluate import evaluate, table
    from fvi_pipeline.answers.passages import SearchedPassages
    from fvi_pipeline.answers.quality import write_quality
    from fvi_pipeline.answers.service import Answerer

    with (
        ConnectionPool(warehouse.database_url, min_size=1, max_size=2, kwargs={"autocommit": True}, open=True) as pool,
        warehouse.connect(autocommit=True) as connection,
    ):
        answerer = Answerer(
            pool.connection, SearchedPassages(pool.connection, searcher_once(get_settings(), pool.connection))
        )
        quality = evaluate(answerer, connection)
        rows = write_quality(connection, "extractive", quality, datetime.now(UTC))
    faults = [f"{a.asked.text}: {'; '.join(a.faults)}" for a in quality.answers if a.faults]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows,
            "table": dg.MetadataValue.md(table(quality)),
            "faults": dg.MetadataValue.md("\n".join(f"- {fault}" for fault in faults) or "none"),
        }
    )


@dg.asset(
    key=TRACES,
    group_name=STUDIES,
    kinds={"mlflow"},
    owners=["team:evidence"],
    description="Answers of ops.answers as MLflow traces, feedback on them as assessments, prompts as versions "
    "of its registry; "
    "questions whose answers people disagreed with, for the next evaluation.",
)
def answer_traces(warehouse: Warehouse, model_workshop: ModelWorkshop) -> dg.MaterializeResult[None]:
    """Bring what is new into MLflow, and read the variants out."""
    from fvi_pipeline.answers.mlflow_traces import collect, register_prompts
    from fvi_pipeline.answers.readout import readout, table

    with warehouse.connect(autocommit=True) as connection:
        found = collect(
            connection, model_workshop.mlflow_tracking_uri, Path(model_workshop.home) / "mlflow" / "answers"
        )
        figures = readout(connection)
    return dg.MaterializeResult(
        metadata={
            "traces": found.traces,
            "feedback": found.feedback,
            "questions": found.questions,
            "prompts_registered": register_prompts(model_workshop.mlflow_tracking_uri),
            "variants": dg.MetadataValue.md(table(figures)),
        }
    )


JOB = dg.define_asset_job(
    "answers",
    selection=dg.AssetSelection.assets(QUALITY, TRACES),
    executor_def=dg.in_process_executor,
    description="How good answers in words are, and their traces in MLflow.",
)
SCHEDULE = dg.ScheduleDefinition(
    name="answers_schedule",
    job=JOB,
    cron_schedule="0 8 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every day at 08:00 UTC.",
)
STUDY_ASSETS = [answer_quality, answer_traces]
