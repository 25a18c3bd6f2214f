"""The questions that answers are measured on, made from a warehouse: five kinds, in several wordings, with their truth.

The truth comes from SQL of its own over silver and the marts, never from the tools that answer. The same warehouse
gives the same questions: mines are drawn by the hash of their identifier. Measuring belongs to `evaluate`.
"""

from __future__ import annotations

from typing import Any

import psycopg

from fvi_pipeline.answers.asked import KINDS, SCORED, Asked, Warehouse, key_of, plain_name
from fvi_pipeline.answers.questions_of_many import lists, unanswerable
from fvi_pipeline.answers.questions_of_mines import changes, like_names, numbers, whys


def question_set(connection: psycopg.Connection[Any]) -> list[Asked]:
    """All questions for this warehouse."""
    warehouse = Warehouse(connection)
    named = warehouse.rows("select mine_id, mine_name from silver.silver_mine_profiles where mine_name is not null")
    for row in named:
        key = key_of(row["mine_name"])
        warehouse.names[key] = warehouse.names.get(key, 0) + 1
    scored = warehouse.rows(SCORED)
    alone = [
        mine for mine in scored if warehouse.names[key_of(mine["mine_name"])] == 1 and plain_name(mine["mine_name"])
    ]
    return [
        *numbers(warehouse, alone),
        *like_names(warehouse, scored),
        *whys(warehouse, alone[20:] + alone[:20]),
        *changes(warehouse, alone[32:] + alone[:32]),
        *lists(warehouse, scored),
        *unanswerable(warehouse, alone),
        *_reviewed(warehouse),
    ]


def _reviewed(warehouse: Warehouse) -> list[Asked]:
    """Questions whose answers people disagreed with, once somebody has said what is right."""
    rows = warehouse.rows("select * from ops.answer_questions where reviewed_by is not null order by answer_id")
    return [
        Asked(
            row["kind"],
            row["question"],
            row["mine_id"],
            tuple(row["expected_numbers"]),
            tuple(row["expected_texts"]),
            tuple(row["expected_mine_ids"]),
            (row["expected_status"],),
            about="feedback",
        )
        for row in rows
    ]


__all__ = ["KINDS", "Asked", "question_set"]
