"""The last two steps: rows of a bronze view, and the file that they were read from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from fvi_pipeline.trace.reader import Reader
from fvi_pipeline.trace.step import Step

_OF_A_FILE = (
    "file_id",
    "name",
    "publisher",
    "sha256",
    "period",
    "known_at",
    "known_at_rule",
    "ingested_at",
    "restates_file_id",
    "simulated",
)


def bronze_step(
    reader: Reader, feed: str, columns: Sequence[str], file_id: int, row_numbers: Sequence[int], part: str = ""
) -> Step:
    """The rows of a file that a value was taken from, as bronze holds them, with the file before them.

    A value that was refused when the file was read is there too, as it was written, with the reason.
    """
    view = f"bronze_{feed}"
    held = reader.columns("bronze", view)
    present = [column for column in columns if column in held]
    times = [name for name in ("known_at", "known_at_rule") if name in held]
    in_part = sql.SQL("and part = %s") if part else sql.SQL("")
    found = reader.rows(
        sql.SQL("select row_number, {} from {} where file_id = %s and row_number = any(%s) {} order by 1").format(
            sql.SQL(", ").join(map(sql.Identifier, [*times, *present])), sql.Identifier("bronze", view), in_part
        ),
        [file_id, list(row_numbers), *([part] if part else [])],
    )
    refused = reader.rows(
        sql.SQL(
            "select row_number, column_name, raw, reason from landing.rejected_values "
            "where file_id = %s and row_number = any(%s) and column_name = any(%s) {}"
        ).format(in_part),
        [file_id, list(row_numbers), present, *([part] if part else [])],
    )
    faults = {(row["row_number"], row["column_name"]): f"{row['raw']!r} refused: {row['reason']}" for row in refused}
    rows = [_row(row, present, faults) for row in found]
    only = rows[0] if len(rows) == 1 else None
    return Step(
        layer="bronze",
        table=f"bronze.{view}",
        column=", ".join(present),
        row=_rows_in_words(part, row_numbers),
        value=only["value"] if only else None,
        details={
            "known_at": max((row["known_at"] for row in found), default=None),
            **({"known_at_rule": _rules(found)} if "known_at_rule" in times else {}),
            **({"refused": only["refused"]} if only and "refused" in only else {}),
        },
        rows=() if only else tuple(rows),
        sources=(file_step(reader, file_id, row_numbers, part),),
    )


def file_step(reader: Reader, file_id: int, row_numbers: Sequence[int], part: str = "") -> Step:
    """A file of the ledger, and which of its rows are meant; numbered as a spreadsheet shows them."""
    file = reader.file(file_id)
    details: dict[str, Any] = {name: file[name] for name in _OF_A_FILE if file.get(name) not in (None, False)}
    if file["reason"]:
        details["reason"] = file["reason"]
    if part:
        details["part"] = part
    details["row_numbers"] = sorted(row_numbers)
    return Step("file", "landing.files", None, f"{file['name']}, {_rows_in_words(part, row_numbers)}", None, details)


def _row(row: dict[str, Any], columns: Sequence[str], faults: dict[tuple[int, str], str]) -> dict[str, Any]:
    values = [row[column] for column in columns]
    made: dict[str, Any] = {"row": row["row_number"], "value": values[0] if len(values) == 1 else values}
    refused = [faults[row["row_number"], column] for column in columns if (row["row_number"], column) in faults]
    return made | ({"refused": "; ".join(refused)} if refused else {})


def _rules(rows: Sequence[dict[str, Any]]) -> str | None:
    return ", ".join(sorted({row["known_at_rule"] for row in rows if row["known_at_rule"]})) or None


def _rows_in_words(part: str, row_numbers: Sequence[int]) -> str:
    numbers = sorted(row_numbers)
    sheet = f"sheet {part}, " if part else ""
    if len(numbers) == 1:
        return f"{sheet}row {numbers[0]}"
    shown = ", ".join(map(str, numbers[:6]))
    return f"{sheet}rows {shown}" + (f" and {len(numbers) - 6} more" if len(numbers) > 6 else "")
