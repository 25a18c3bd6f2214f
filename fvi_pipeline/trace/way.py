"""From what a user names (a mine, a year, a column) to its way. The single steps belong to the layers' modules."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import datetime

import psycopg
from psycopg import sql

from fvi_pipeline.trace.errors import TraceError
from fvi_pipeline.trace.gold import FEATURES, METRICS, metric_step
from fvi_pipeline.trace.mart import index_step, score_step, served_feature_step
from fvi_pipeline.trace.panel import operation_steps
from fvi_pipeline.trace.reader import Reader
from fvi_pipeline.trace.sources import Lineage
from fvi_pipeline.trace.step import Step

_PANEL = "silver_mine_metrics"
_SCHEMAS = {FEATURES: "gold", _PANEL: "silver", METRICS: "gold"}  # in the order in which a bare name is looked for
_SCORE = re.compile(r"fvi_score(?:_(\d+))?")
_INDEX = "index_score"
_NOT_FROM_A_FILE = frozenset(
    {"mine_id", "file_id", "source_row_numbers", "known_at", "known_until", "precedence_rule", "superseded_by_file_id"}
)
_DEFAULT_HORIZON = 5


def trace(
    connection: psycopg.Connection,
    lineage: Lineage,
    mine_id: str,
    year: int,
    column: str,
    *,
    horizon_years: int | None = None,
    as_of: datetime | None = None,
) -> Step:
    """The way of one number, from where it is served back to the rows of the publishers' files.

    Args:
        connection: to the warehouse; nothing is written.
        lineage: the described sources (`load_lineage`).
        mine_id: `msha:0102838`, `gem:M0086`, or `eia:YEAR-ROW` for a row that names no mine.
        year: the as-of year.
        column: a feature, a column of `silver_mine_metrics`, a metric of the index, `index_score`, or `fvi_score`
            (also `fvi_score_10`); `MODEL.COLUMN` where several models have the name.
        horizon_years: of a score; 5 unless the column says another.
        as_of: what was known at this time; None: what is known now.

    Raises:
        TraceError: there is no such mine, year or column, or it was not known then.
    """
    reader = Reader(connection, lineage)
    _check_mine(reader, mine_id)
    if score := _SCORE.fullmatch(column):
        return score_step(reader, mine_id, year, int(score[1] or horizon_years or _DEFAULT_HORIZON), as_of)
    if column == _INDEX:
        return index_step(reader, mine_id, year, as_of)
    model, name = _resolved(reader, mine_id, year, column)
    if model == FEATURES:
        return served_feature_step(reader, name, mine_id, year, as_of)
    if model == METRICS:
        return metric_step(reader, name, mine_id, year, as_of)
    return _panel_step(reader, name, mine_id, year, as_of)


def traceable_columns(connection: psycopg.Connection, lineage: Lineage) -> Mapping[str, tuple[str, ...]]:
    """The columns that `trace` follows, by model."""
    return _columns(Reader(connection, lineage))


def _columns(reader: Reader) -> dict[str, tuple[str, ...]]:
    return {
        FEATURES: reader.lineage.columns(FEATURES),
        _PANEL: tuple(sorted(reader.columns("silver", _PANEL) - _NOT_FROM_A_FILE)),
        METRICS: reader.lineage.columns(METRICS),
    }


def _resolved(reader: Reader, mine_id: str, year: int, column: str) -> tuple[str, str]:
    columns = _columns(reader)
    wanted, _, name = column.rpartition(".")
    wanted = wanted.rpartition(".")[2]  # with or without the schema
    having = [model for model, names in columns.items() if name in names and wanted in ("", model)]
    if not having:
        raise TraceError(_no_column(columns, column, name))
    # a mine that only the tracker has is in the index alone, a row that names no mine in silver alone
    with_row = (
        model
        for model in having
        if reader.rows(
            sql.SQL("select from {} where mine_id = %s and as_of_year = %s limit 1").format(
                sql.Identifier(_SCHEMAS[model], model)
            ),
            [mine_id, year],
        )
    )
    return next(with_row, having[0]), name


def _panel_step(reader: Reader, column: str, mine_id: str, year: int, as_of: datetime | None) -> Step:
    operations = operation_steps(reader, column, mine_id, year, as_of=as_of)
    if not operations:
        found = reader.rows(
            "select array_agg(distinct as_of_year order by as_of_year) as years, "
            "min(known_at) filter (where as_of_year = %s) as first_known_at "
            "from silver.silver_mine_metrics_history where mine_id = %s",
            [year, mine_id],
        )[0]
        if as_of is not None and found["first_known_at"] is not None:
            when = f"{as_of:%Y-%m-%d %H:%M} UTC; it was first known on {found['first_known_at']:%Y-%m-%d}"
            raise TraceError(f"Nothing about {mine_id} in {year} was known by {when}. Choose another --as-of.")
        years = ", ".join(map(str, found["years"] or ())) or "none"
        raise TraceError(f"silver.{_PANEL} has no row of {mine_id} for {year}; years that were published: {years}.")
    values = [step.value for step in operations if step.value is not None]
    numbers = [value for value in values if isinstance(value, int | float)]
    return Step(
        layer="silver",
        table=f"silver.{_PANEL}",
        column=column,
        row=f"{mine_id}, {year}",
        value=sum(numbers) if numbers else ", ".join(dict.fromkeys(map(str, values))) or None,
        details={"operations": len(operations)},
        sources=operations,
    )


def _check_mine(reader: Reader, mine_id: str) -> None:
    if reader.rows("select from silver.silver_mine_profiles where mine_id = %s", [mine_id]) or reader.rows(
        "select from silver.silver_mine_metrics_history where mine_id = %s limit 1", [mine_id]
    ):
        return
    digits = re.fullmatch(r"(?:msha:)?(\d{1,7})", mine_id)
    known_as = f"msha:{digits[1]:0>7}" if digits else f"gem:{mine_id.upper()}"
    meant = reader.rows("select mine_name from silver.silver_mine_profiles where mine_id = %s", [known_as])
    hint = f"Did you mean {known_as} ({meant[0]['mine_name']})?" if meant else "SQL: silver.silver_mine_profiles."
    raise TraceError(f"There is no mine {mine_id}. {hint}")


def _no_column(columns: Mapping[str, tuple[str, ...]], asked: str, name: str) -> str:
    everything = [_INDEX, "fvi_score", *(column for names in columns.values() for column in names)]
    close = difflib.get_close_matches(name, list(dict.fromkeys(everything)), n=3)
    if close:
        return f"There is no column {asked}. Did you mean {' or '.join(close)}?"
    lists = "; ".join(f"{model}: {', '.join(names)}" for model, names in columns.items())
    return f"There is no column {asked}. There are fvi_score, {_INDEX}; {lists}."
