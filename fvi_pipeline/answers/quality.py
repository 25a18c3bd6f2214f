"""The measures of answers into mart.answer_quality. Measuring belongs to `evaluate`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from fvi_pipeline.answers.evaluate import GOALS, Quality


def write_quality(connection: psycopg.Connection[Any], generator: str, quality: Quality, moment: datetime) -> int:
    """Replace the measures of a generator; the number of rows. Commits once."""
    figures = quality.as_json()
    questions = figures.pop("questions")
    rows = [
        (generator, measure, value, GOALS.get(measure), _reached(measure, value), questions, moment)
        for measure, value in figures.items()
    ]
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("delete from mart.answer_quality where generator = %s", [generator])
        cursor.executemany(
            "insert into mart.answer_quality (generator, measure, value, goal, is_reached, questions, measured_at) "
            "values (%s, %s, %s, %s, %s, %s, %s)",
            rows,
        )
    return len(rows)


def _reached(measure: str, value: float | None) -> bool | None:
    goal = GOALS.get(measure)
    if goal is None or value is None:
        return None
    return value < goal if measure == "first_token_p95" else value >= goal
