"""Steps through the panel of U.S. mines: a mine's years, their operations, and the rows of EIA's files."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import sql

from fvi_pipeline.trace.landed import bronze_step
from fvi_pipeline.trace.peers import peer_steps
from fvi_pipeline.trace.reader import Moment, Reader, known
from fvi_pipeline.trace.sources import Source
from fvi_pipeline.trace.step import Step

_FEED = "eia_coal_mines"
_YEARS, _OPERATIONS = "silver_mine_years", "silver_mine_metrics_history"


def year_steps(reader: Reader, source: Source, moment: Moment) -> tuple[Step, ...]:
    """What `silver_mine_years` gave to a row of that moment: the mine's own years, or those of its peers."""
    if source.peers is not None:
        return peer_steps(reader, source, source.peers, moment)
    years = [row for row in _years_of(reader, source.column, moment) if _within(source, row["as_of_year"], moment)]
    return tuple(_year_step(reader, source.column, moment.mine_id, row) for row in years)


def operation_steps(
    reader: Reader, column: str, mine_id: str, year: int, *, as_of: datetime | None = None, file_id: int | None = None
) -> tuple[Step, ...]:
    """The operations of a mine and year: those of one file, or those that held at a time (None: that hold now)."""
    which: sql.Composable
    parameters: list[Any]
    if file_id is not None:
        which, parameters = sql.SQL("file_id = %s"), [file_id]
    elif as_of is not None:
        which, parameters = known(as_of, _OPERATIONS)
    else:
        which, parameters = sql.SQL("known_until is null"), []
    found = reader.rows(
        sql.SQL(
            "select mine_type, operation_type, file_id, source_row_numbers, {column} as value, {validity} "
            "from silver.silver_mine_metrics_history where mine_id = %s and as_of_year = %s and {which} order by 1, 2"
        ).format(column=sql.Identifier(column), validity=reader.validity(_OPERATIONS), which=which),
        [mine_id, year, *parameters],
    )
    return tuple(_operation_step(reader, column, mine_id, year, row) for row in found)


def _years_of(reader: Reader, column: str, moment: Moment) -> list[dict[str, Any]]:
    condition, times = known(moment.known_by, _YEARS)
    return reader.rows(
        sql.SQL(
            "select as_of_year, file_id, {column} as value, {validity} from silver.silver_mine_years "
            "where mine_id = %s and as_of_year <= %s and {known} order by as_of_year desc"
        ).format(column=sql.Identifier(column), validity=reader.validity(_YEARS), known=condition),
        [moment.mine_id, moment.as_of_year, *times],
    )


def _within(source: Source, year: int, moment: Moment) -> bool:
    return source.period is None or source.period.holds(year, moment.as_of_year)


def _year_step(reader: Reader, column: str, mine_id: str, row: dict[str, Any]) -> Step:
    below = [
        step
        for name in reader.lineage.columns_below(_YEARS, column)
        for step in operation_steps(reader, name, mine_id, row["as_of_year"], file_id=row["file_id"])
    ]
    return Step(
        layer="silver",
        table=f"silver.{_YEARS}",
        column=column,
        row=f"{mine_id}, {row['as_of_year']}",
        value=row["value"],
        details=_validity(row),
        sources=tuple(below),
    )


def _operation_step(reader: Reader, column: str, mine_id: str, year: int, row: dict[str, Any]) -> Step:
    below = reader.lineage.columns_below(_OPERATIONS, column)
    kinds = [kind for kind in (row["mine_type"], row["operation_type"]) if kind]
    return Step(
        layer="silver",
        table=f"silver.{_OPERATIONS}",
        column=column,
        row=", ".join([mine_id, str(year), *kinds]),
        value=row["value"],
        details=_validity(row),
        sources=(bronze_step(reader, _FEED, below, row["file_id"], row["source_row_numbers"]),),
    )


def _validity(row: dict[str, Any]) -> dict[str, Any]:
    rules = ("precedence_rule", "superseded_by_file_id")
    held = {name: row[name] for name in ("known_at", "known_until")}
    return held | {name: row[name] for name in rules if row.get(name) is not None}
