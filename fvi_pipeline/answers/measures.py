"""Whether an answer is right: its numbers against the truth of SQL, its citations against the rows that they name.

Everything is looked up anew, by the table and key of a citation; nothing of the tools that answered is used. Which
questions are asked is in `question_set`, running them in `evaluate`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from fvi_pipeline.answers.asked import Asked
from fvi_pipeline.answers.checking import numbers

_TABLE = re.compile(r"^(silver|gold|mart|ops)\.[a-z_]+$")


@dataclass(frozen=True)
class Measured:
    """One answer beside the truth."""

    asked: Asked
    status: str
    is_right: bool
    """The status, the numbers, the texts and the mines are those of the truth."""
    numbers_exact: bool
    sentences: int
    sentences_supported: int
    sentences_cited_right: int
    first_token_milliseconds: float
    milliseconds: float
    faults: tuple[str, ...] = ()


def measured(connection: psycopg.Connection[Any], asked: Asked, answer: Mapping[str, Any]) -> Measured:
    """Compare an answer (sentences, citations, status, milliseconds) with the truth of its question."""
    claims = [sentence for sentence in answer["sentences"] if sentence["claim"]]
    text = "\n".join(sentence["text"] for sentence in answer["sentences"])
    faults = []
    if answer["status"] not in asked.status:
        faults.append(f"status {answer['status']}")
    right_numbers = True
    if "answered" in asked.status and answer["status"] == "answered":
        missing = [number for number in asked.numbers if not _stated(number, text)]
        right_numbers = not missing
        faults += [f"{number:,.10g} is missing" for number in missing]
        faults += [f"{wanted!r} is missing" for wanted in asked.texts if _squeezed(wanted) not in _squeezed(text)]
    elif asked.numbers:
        right_numbers = answer["status"] in asked.status
    cited = {c["mine_id"] for c in answer["citations"] if c["type"] == "fact" and c["mine_id"]}
    lacking = [mine for mine in asked.mines if mine not in cited]
    if lacking and answer["status"] in asked.status:
        faults.append(f"not about {', '.join(lacking)}")
    if asked.kind == "list" and asked.mines and cited - set(asked.mines):
        faults.append(f"also about {', '.join(sorted(cited - set(asked.mines)))}")
    by_reference = {c["id"]: c for c in answer["citations"]}
    wrong = {reference: fault for reference, c in by_reference.items() if (fault := citation_fault(connection, c))}
    cited_right = 0
    for sentence in claims:
        bad = [wrong[reference] for reference in sentence["citations"] if reference in wrong]
        bad += [f"{r} leads nowhere" for r in sentence["citations"] if r not in by_reference]
        bad += [] if sentence["supported"] else list(sentence["problems"])
        cited_right += not bad
        faults += [f"{sentence['text'][:60]}…: {fault}" for fault in bad]
    return Measured(
        asked,
        answer["status"],
        not faults,
        right_numbers,
        len(claims),
        sum(bool(sentence["supported"]) for sentence in claims),
        cited_right,
        float(answer["first_token_milliseconds"]),
        float(answer["milliseconds"]),
        tuple(faults),
    )


def _squeezed(text: str) -> str:
    return " ".join(text.split()).casefold()


def _stated(truth: float, text: str) -> bool:
    """Whether a text has the number, whole numbers in full, others rounded to the digits that it gives, one at
    least."""
    truth = float(truth)
    for stated in numbers(text):
        if truth == int(truth):
            if stated.value == truth:
                return True
        elif (stated.decimals >= 1 and abs(stated.value - truth) <= stated.tolerance * (1 + 1e-9)) or (
            stated.decimals == 0 and abs(truth) >= 1_000 and stated.value == float(f"{truth:.0f}")
        ):
            return True
    return False


def citation_fault(connection: psycopg.Connection[Any], citation: Mapping[str, Any]) -> str | None:
    """What is wrong with a citation, looked up in the warehouse; None if nothing is."""
    if citation["type"] == "passage":
        row = connection.execute(
            "select text from silver.silver_document_content where chunk_id = %s", [citation["chunk_id"]]
        ).fetchone()
        if row is None:
            return f"{citation['id']}: there is no such chunk"
        quotes = (citation["quote"] or "").split(" … ")
        lost = [quote for quote in quotes if _squeezed(quote.split("[contact left out]")[0]) not in _squeezed(row[0])]
        return f"{citation['id']}: its text does not have the quote" if lost else None
    table = citation["table"]
    if not _TABLE.match(table):
        return f"{citation['id']}: {table} is no table to cite"
    rows = _rows(connection, table, citation["key"])
    if not rows:
        return f"{citation['id']}: {table} has no such row"
    if len(rows) > 1:
        return None  # a count or a total: its number is compared with the truth
    return _value_fault(citation, rows[0])


def _rows(connection: psycopg.Connection[Any], table: str, key: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    schema, name = table.split(".")
    with connection.cursor(row_factory=dict_row) as cursor:
        columns = {
            row["attname"]
            for row in cursor.execute(
                "select attname from pg_attribute where attrelid = to_regclass(%s) and attnum > 0", [table]
            ).fetchall()
        }
        asked = {column: value for column, value in key.items() if column in columns}
        if not asked:
            return cursor.execute(sql.SQL("select * from {} limit 2").format(sql.Identifier(schema, name))).fetchall()
        conditions = sql.SQL(" and ").join(
            sql.SQL("{}::text = any(%s)").format(sql.Identifier(column))
            if column not in ("scored_at", "promoted_at")
            else sql.SQL("{} = any(%s::timestamptz[])").format(sql.Identifier(column))
            for column in asked
        )
        values = [[str(v) for v in (value if isinstance(value, list) else [value])] for value in asked.values()]
        query = sql.SQL("select * from {} where {} limit 400").format(sql.Identifier(schema, name), conditions)
        return cursor.execute(query, values).fetchall()


def _value_fault(citation: Mapping[str, Any], row: Mapping[str, Any]) -> str | None:
    for value in citation["values"]:
        name, stated = value["name"], value["value"]
        name = "value" if name == row.get("feature") and "contribution" in row else name
        held = row.get(name)
        if name not in row or held is None or stated is None:
            continue
        if isinstance(stated, int | float) and not isinstance(stated, bool):
            if not math.isclose(float(held), float(stated), rel_tol=1e-9, abs_tol=1e-9):
                return f"{citation['id']}: {name} is {held} there, not {stated}"
        elif not str(held).startswith(str(stated)):
            return f"{citation['id']}: {name} is {held!r} there, not {stated!r}"
    return None
