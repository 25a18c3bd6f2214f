"""Text into typed columns, by vectorised polars expressions. Reading files into text is the readers' work.

A value that cannot be read, or that is impossible, is dropped and recorded; in a required column it takes
the row to quarantine. Nothing is corrected by guessing.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from fvi_pipeline.feeds.description import Column, Feed, Kind, normalised_header
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.tables import QuarantinedRow, TextTable, shortened

_ROW = "row_number"
_INDEX = "__index"
_PLAIN = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
_THOUSANDS = r"^[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?$"
_SPACED_THOUSANDS = r"^[+-]?[0-9]{1,3}([ \u{a0}\u{202f}][0-9]{3})+([.,][0-9]+)?$"
_DECIMAL_COMMA = r"^[+-]?[0-9]+,[0-9]+$"
_WHOLE = r"^([+-]?[0-9]+)(\.0*)?$"
_DATE_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d", "%b %d, %Y")


@dataclass(frozen=True)
class RejectedValue:
    """A value that was dropped from a row that is loaded; it is null there."""

    part: str
    row_number: int
    column_name: str
    reason: str
    raw: str


@dataclass(frozen=True)
class TypedPart:
    """One part of a file, typed: `frame` has row_number and the part's landing columns."""

    part: str
    frame: pl.DataFrame
    quarantined: list[QuarantinedRow]
    rejected_values: list[RejectedValue]


def typed(table: TextTable, feed: Feed) -> TypedPart:
    """Type a text table as its feed describes it.

    Raises:
        UnreadableFileError: a column stands in another unit than described.
    """
    columns = table.part.columns
    _check_units(table)
    text = _text_frame(table, feed)
    values = text.select(_INDEX, _ROW, *(_typed(column, feed) for column in columns))
    quarantine_reasons: dict[int, str] = {}
    rejected: list[tuple[int, RejectedValue]] = []
    nulled: dict[str, pl.Series] = {}
    for column in columns:
        bad = _bad_values(column, text, values)
        if bad.height == 0:
            continue
        for index, row_number, raw, reason in bad.iter_rows():
            if column.required:
                quarantine_reasons.setdefault(index, reason)
            else:
                value = RejectedValue(table.part.name, row_number, column.name, reason, shortened(raw))
                rejected.append((index, value))
        if not column.required:
            nulled[column.name] = bad[_INDEX]
    values = values.with_columns(
        pl.when(pl.col(_INDEX).is_in(indexes.implode())).then(None).otherwise(pl.col(name)).alias(name)
        for name, indexes in nulled.items()
    )
    _mark_other_years(values, feed, quarantine_reasons)
    _mark_copies(values, quarantine_reasons)
    bad_rows = pl.Series(list(quarantine_reasons), dtype=pl.UInt32)
    frame = values.filter(~pl.col(_INDEX).is_in(bad_rows.implode())).drop(_INDEX)
    quarantined = [
        QuarantinedRow(table.part.name, table.row_numbers[index], reason, shortened(table.raw(index)))
        for index, reason in sorted(quarantine_reasons.items())
    ]
    kept = [value for index, value in rejected if index not in quarantine_reasons]
    return TypedPart(table.part.name, frame, [*table.quarantined, *quarantined], kept)


def _check_units(table: TextTable) -> None:
    if table.units is None:
        return
    for column in table.part.columns:
        position = _position(table.header, column)
        if column.printed_unit is None or position is None:
            continue
        printed = table.units[position]
        if normalised_header(printed) != normalised_header(column.printed_unit):
            raise UnreadableFileError(
                f"Column '{column.headers[0]}' is in '{printed}'; expected '{column.printed_unit}'. "
                "Its values were not taken in."
            )


def _position(header: tuple[str, ...], column: Column) -> int | None:
    return next((header.index(name) for name in column.headers if name in header), None)


def _text_frame(table: TextTable, feed: Feed) -> pl.DataFrame:
    """The described columns as text: surrounding spaces gone, the publisher's signs for nothing as null."""
    # one pass over the rows instead of one per column
    by_position = list(zip(*table.rows, strict=True)) if table.rows else []
    height = len(table.rows)
    series = [
        pl.int_range(height, dtype=pl.UInt32, eager=True).alias(_INDEX),
        pl.Series(_ROW, table.row_numbers, dtype=pl.Int64),
    ]
    for column in table.part.columns:
        position = _position(table.header, column)
        if position is None or not by_position:
            series.append(pl.Series(column.name, [None] * height, dtype=pl.String))
        else:
            series.append(pl.Series(column.name, by_position[position], dtype=pl.String))
    return pl.DataFrame(series).with_columns(_stated(column, feed) for column in table.part.columns)


def _stated(column: Column, feed: Feed) -> pl.Expr:
    tokens = feed.null_tokens if column.kind is Kind.TEXT else feed.null_tokens | feed.unstated_tokens
    text = pl.col(column.name).str.strip_chars()
    says_nothing = text.str.to_lowercase().is_in(pl.Series(sorted(tokens), dtype=pl.String).implode())
    return pl.when(says_nothing).then(None).otherwise(text).alias(column.name)


def _typed(column: Column, feed: Feed) -> pl.Expr:
    text = pl.col(column.name)
    if column.kind is Kind.TEXT:
        return text
    if column.kind is Kind.MSHA_ID:
        # a spreadsheet shows the number 100347 for the ID 0100347; an ID of nothing but zeros is none
        is_id = text.str.contains(r"^[0-9]{1,7}$") & ~text.str.contains(r"^0+$")
        return pl.when(is_id).then(text.str.zfill(7)).alias(column.name)
    if column.kind is Kind.MONTH:
        month = text.str.extract(r"^([0-9]{4}M[0-9]{2})$")
        return month.str.replace("M", "-").str.to_date("%Y-%m", strict=False).alias(column.name)
    if column.kind is Kind.DATE:
        return pl.coalesce(text.str.to_date(form, strict=False) for form in _DATE_FORMATS).alias(column.name)
    number = _plain_number(text, loose=feed.loose_numbers)
    if column.kind in (Kind.INTEGER, Kind.YEAR):
        return number.str.extract(_WHOLE).cast(pl.Int64, strict=False).alias(column.name)
    return number.cast(pl.Float64, strict=False).alias(column.name)


def _plain_number(text: pl.Expr, *, loose: bool) -> pl.Expr:
    """The number as a program writes it, or null where the text is no number."""
    ways = [
        pl.when(text.str.contains(_PLAIN)).then(text),
        pl.when(text.str.contains(_THOUSANDS)).then(text.str.replace_all(",", "", literal=True)),
    ]
    if loose:
        spaced = text.str.replace_all(r"[ \u{a0}\u{202f}]", "").str.replace(",", ".", literal=True)
        ways.append(pl.when(text.str.contains(_SPACED_THOUSANDS)).then(spaced))
        # after the thousands: 1,234 is one thousand, 1,5 one and a half
        decimal = text.str.replace(",", ".", literal=True)
        ways.append(pl.when(text.str.contains(_DECIMAL_COMMA)).then(decimal))
    return pl.coalesce(ways)


def _bad_values(column: Column, text: pl.DataFrame, values: pl.DataFrame) -> pl.DataFrame:
    """Index, row number, raw text and reason of the values of one column that cannot be taken in."""
    frame = text.select(_INDEX, _ROW, pl.col(column.name).alias("raw")).with_columns(values[column.name].alias("value"))
    raw, value = pl.col("raw"), pl.col("value")
    shown = raw.str.slice(0, 100)
    reasons = [
        pl.when(raw.is_not_null() & value.is_null()).then(
            pl.format(f"{column.name} is not {_EXPECTED[column.kind]}: {{}}", shown)
        )
    ]
    if column.required:
        reasons.append(pl.when(raw.is_null()).then(pl.lit(f"{column.name} is missing")))
    low, high = _range(column)
    if low is not None:
        below = pl.format(f"{column.name} is below {low:,.0f}: {{}}", shown)
        reasons.append(pl.when(value.cast(pl.Float64) < low).then(below))
    if high is not None:
        above = pl.format(f"{column.name} is above {high:,.0f}: {{}}", shown)
        reasons.append(pl.when(value.cast(pl.Float64) > high).then(above))
    return (
        frame.with_columns(pl.coalesce(reasons).alias("reason"))
        .filter(pl.col("reason").is_not_null())
        .select(_INDEX, _ROW, raw.fill_null(""), "reason")
    )


_EXPECTED = {
    Kind.TEXT: "text",
    Kind.INTEGER: "a whole number",
    Kind.YEAR: "a year",
    Kind.NUMBER: "a number",
    Kind.DATE: "a date",
    Kind.MONTH: "a month such as 1960M01",
    Kind.MSHA_ID: "an MSHA ID of up to seven digits",
}
_LARGEST_INTEGER = 2**31 - 1


def _range(column: Column) -> tuple[float | None, float | None]:
    if column.kind in (Kind.INTEGER, Kind.YEAR) and column.maximum is None:
        return column.minimum, _LARGEST_INTEGER
    if column.kind is Kind.NUMBER and column.maximum is None:
        return column.minimum, 1e300  # an overflow to infinity is no measurement
    return column.minimum, column.maximum


def _mark_other_years(values: pl.DataFrame, feed: Feed, reasons: dict[int, str]) -> None:
    """A file of one year holds that year only; rows of another one would count twice."""
    name = feed.single_year_column
    if name is None:
        return
    good = values.filter(~pl.col(_INDEX).is_in(pl.Series(list(reasons), dtype=pl.UInt32).implode()))
    if good.height == 0:
        return
    year = good.group_by(name).len().sort("len", name, descending=[True, False])[name][0]
    for index, other in good.filter(pl.col(name) != year).select(_INDEX, name).iter_rows():
        reasons[index] = f"{name} is {other}, but the file is of {year}"


def _mark_copies(values: pl.DataFrame, reasons: dict[int, str]) -> None:
    """An exact copy of an earlier row in every described column is the same fact stated twice."""
    good = values.filter(~pl.col(_INDEX).is_in(pl.Series(list(reasons), dtype=pl.UInt32).implode()))
    content = [name for name in values.columns if name not in (_INDEX, _ROW)]
    copies = good.select(_INDEX, _ROW, pl.col(_ROW).first().over(content).alias("first")).filter(
        pl.col(_ROW) != pl.col("first")
    )
    for index, _, first in copies.iter_rows():
        reasons[index] = f"The row is an exact copy of row {first}"
