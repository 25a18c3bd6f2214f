"""Text into typed columns, by vectorised polars expressions. Reading files into text is the readers' work; what only
shows across the rows of a file belongs to `file_rules`.

A value that cannot be read, or that is impossible, is dropped and recorded; in a required column it takes
the row to quarantine. Nothing is corrected by guessing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import polars as pl

from fvi_pipeline.feeds.description import Column, Feed, Kind, OtherColumns, normalised_header
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.numbers import AMBIGUOUS_COMMA, PLAIN, plain_number, without_thousands
from fvi_pipeline.feeds.plausibility import BadValues, slipped_rows
from fvi_pipeline.feeds.tables import QuarantinedRow, TextTable, position_of, shortened

INDEX = "__index"
"""Position of a row in its text table."""
ROW_NUMBER = "row_number"
OTHER_VALUES = "other_values"
"""The landing column for values of columns that the feed does not describe, as a JSON object."""
_RAW = "raw:"
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
class TypedTable:
    """A text table, typed: `values` has `INDEX`, row_number, the part's landing columns and `OTHER_VALUES` for the rows
    that are good each by itself. `rejected_values` are theirs.
    """

    values: pl.DataFrame
    quarantined: list[QuarantinedRow]
    rejected_values: list[RejectedValue]


def typed(table: TextTable, feed: Feed) -> TypedTable:
    """Type a text table as its feed describes it.

    Raises:
        UnreadableFileError: a column stands in another unit than described.
    """
    _check_units(table)
    text = _text_frame(table, feed)
    values = _typed_frame(text, table.part.columns, loose=feed.loose_numbers)
    quarantine_reasons: dict[int, str] = {}
    rejected: list[tuple[int, RejectedValue]] = []
    bad_values = _bad_values(table.part.columns, text, values)
    for column, bad in bad_values:
        for index, row_number, raw, reason in bad.iter_rows():
            if column.required:
                quarantine_reasons.setdefault(index, reason)
            else:
                value = RejectedValue(table.part.name, row_number, column.name, reason, shortened(raw))
                rejected.append((index, value))
        if not column.required:
            is_bad = pl.col(INDEX).is_in(bad[INDEX].implode())
            values = values.with_columns(pl.when(is_bad).then(None).otherwise(pl.col(column.name)).alias(column.name))
    found = [BadValues(column, bad[INDEX], bad[_RAW + column.name]) for column, bad in bad_values]
    for index, reason in slipped_rows(table, feed, found):
        quarantine_reasons.setdefault(index, reason)
    if quarantine_reasons:
        bad_rows = pl.Series(list(quarantine_reasons), dtype=pl.UInt32)
        values = values.filter(~pl.col(INDEX).is_in(bad_rows.implode()))
    quarantined = [quarantined_row(table, index, reason) for index, reason in sorted(quarantine_reasons.items())]
    kept = [value for index, value in rejected if index not in quarantine_reasons]
    return TypedTable(values, quarantined, kept)


def quarantined_row(table: TextTable, index: int, reason: str) -> QuarantinedRow:
    """The row at this position of a text table, with why it cannot be loaded."""
    return QuarantinedRow(table.part.name, int(table.row_numbers[index]), reason, shortened(table.raw(index)))


def undescribed_columns(table: TextTable, feed: Feed) -> dict[int, str]:
    """Positions and titles of the columns to be kept although the feed does not describe them.

    A column without a title is kept too, as "column 5": it may hold values.
    """
    if feed.other_columns is OtherColumns.LEFT_OUT:
        return {}
    described = {position_of(table.header, column) for column in table.part.columns}
    found: dict[int, str] = {}
    for at, title in enumerate(table.titles):
        if at in described:
            continue
        name = " ".join(title.split()) or f"column {at + 1}"
        found[at] = name if name not in found.values() else f"{name} (column {at + 1})"
    return found


def _check_units(table: TextTable) -> None:
    if table.units is None:
        return
    for column in table.part.columns:
        position = position_of(table.header, column)
        if column.printed_unit is None or position is None:
            continue
        printed = table.units[position]
        if normalised_header(printed) != normalised_header(column.printed_unit):
            raise UnreadableFileError(
                f"Column '{column.headers[0]}' is in '{printed}'; expected '{column.printed_unit}'. "
                "Its values were not taken in."
            )


def _text_frame(table: TextTable, feed: Feed) -> pl.DataFrame:
    """The described columns as text: surrounding spaces gone, the publisher's signs for nothing as null."""
    texts = []
    for column in table.part.columns:
        at = position_of(table.header, column)
        tokens = feed.null_tokens if column.kind is Kind.TEXT else feed.null_tokens | feed.unstated_tokens
        text = pl.lit(None, dtype=pl.String) if at is None else _stated(at, tokens, table.is_stripped)
        texts.append(text.alias(column.name))
    return table.cells.select(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias(INDEX),
        table.row_numbers.alias(ROW_NUMBER),
        *texts,
        _other_values(table, feed).alias(OTHER_VALUES),
    )


@cache
def _stated(at: int, tokens: frozenset[str], is_stripped: bool) -> pl.Expr:
    """The text at a position, or null where it is one of the signs for nothing."""
    text = pl.col(str(at))
    stripped = text if is_stripped else text.str.strip_chars()
    # changing the case of every text costs, and most publishers' signs for nothing have none
    compared = stripped if all(token == token.upper() for token in tokens) else stripped.str.to_lowercase()
    says_nothing = compared.is_in(pl.Series(sorted(tokens), dtype=pl.String).implode())
    return pl.when(~says_nothing).then(stripped)


def _other_values(table: TextTable, feed: Feed) -> pl.Expr:
    """A JSON object of what the row says in undescribed columns; null where it says nothing there."""
    members = []
    for at, title in undescribed_columns(table, feed).items():
        text = _stated(at, feed.null_tokens, table.is_stripped)
        member = pl.struct(text.alias(title)).struct.json_encode().str.head(-1).str.slice(1)
        members.append(pl.when(text.is_not_null()).then(member))
    if not members:
        return pl.lit(None, dtype=pl.String)
    content = pl.concat_str(members, separator=",", ignore_nulls=True)
    return pl.when(content != "").then(pl.format("{{{}}}", content))


def _typed_frame(text: pl.DataFrame, columns: tuple[Column, ...], *, loose: bool) -> pl.DataFrame:
    """The columns typed; null where the text is none of the column's kind."""
    values = text.select(INDEX, ROW_NUMBER, *(_typed_at_once(column, loose) for column in columns), OTHER_VALUES)
    unread = [column for column in columns if values[column.name].null_count() > text[column.name].null_count()]
    if not unread:
        return values
    return values.with_columns(text.select(_typed(column, loose) for column in unread))


@cache  # expressions are values, and a batch of a small file costs less than making them
def _typed_at_once(column: Column, loose: bool) -> pl.Expr:
    """What `_typed` says of the usual spellings, at a fraction of its cost; null for all others."""
    text = pl.col(column.name)
    if column.kind is Kind.MSHA_ID:
        return pl.when(text.str.contains(r"^[0-9]{7}$") & (text != "0000000")).then(text).alias(column.name)
    if column.kind in (Kind.INTEGER, Kind.YEAR):
        # polars' cast takes an optional sign and digits, and nothing else
        with_commas = column.kind is Kind.INTEGER and not loose
        return (without_thousands(text) if with_commas else text).cast(pl.Int64, strict=False).alias(column.name)
    if column.kind is Kind.NUMBER:
        return pl.when(text.str.contains(PLAIN)).then(text).cast(pl.Float64, strict=False).alias(column.name)
    return _typed(column, loose)


@cache
def _typed(column: Column, loose: bool) -> pl.Expr:
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
    number = plain_number(text, column, loose=loose)
    if column.kind in (Kind.INTEGER, Kind.YEAR):
        return number.str.extract(_WHOLE).cast(pl.Int64, strict=False).alias(column.name)
    return number.cast(pl.Float64, strict=False).alias(column.name)


def _bad_values(
    columns: tuple[Column, ...], text: pl.DataFrame, values: pl.DataFrame
) -> list[tuple[Column, pl.DataFrame]]:
    """Each column with values that cannot be taken in: their INDEX, row number, raw text and reason."""
    both = values.hstack(text.select(pl.col(column.name).alias(_RAW + column.name) for column in columns))
    # the reasons are words and cost; first it is asked whether a column needs any
    suspect = both.select(_is_bad(column).any().alias(column.name) for column in columns if _problems(column))
    needed = {name for name, found in zip(suspect.columns, suspect.row(0), strict=True) if found}
    return [
        (
            column,
            both.filter(_is_bad(column)).select(
                INDEX,
                ROW_NUMBER,
                pl.col(_RAW + column.name).fill_null(""),
                pl.coalesce(pl.when(is_bad).then(reason) for is_bad, reason in _problems(column)).alias("reason"),
            ),
        )
        for column in columns
        if column.name in needed
    ]


@cache
def _is_bad(column: Column) -> pl.Expr:
    return pl.any_horizontal(is_bad for is_bad, _ in _problems(column))


@cache
def _problems(column: Column) -> list[tuple[pl.Expr, pl.Expr]]:
    """What can be wrong with a column's value, and the words for it, the first that applies counting."""
    raw, value, name = pl.col(_RAW + column.name), pl.col(column.name), column.name
    shown = raw.str.slice(0, 100)
    problems = []
    if column.required:
        problems.append((raw.is_null(), pl.lit(f"{name} is missing")))
    if column.kind is not Kind.TEXT:
        words = pl.format(f"{name} is not {_EXPECTED[column.kind]}: {{}}", shown)
        if column.kind is Kind.NUMBER:
            either = pl.format(f"{name} may mean thousands or decimals by its comma: {{}}", shown)
            words = pl.when(raw.str.contains(AMBIGUOUS_COMMA)).then(either).otherwise(words)
        problems.append((raw.is_not_null() & value.is_null(), words))
    if column.pattern is not None:
        fits = raw.str.contains(f"^(?:{column.pattern})$")
        problems.append((~fits, pl.format(f"{name} has another form than expected: {{}}", shown)))
    if column.allowed is not None:
        known = raw.str.to_lowercase().is_in(pl.Series(sorted(column.allowed), dtype=pl.String).implode())
        problems.append((~known, pl.format(f"{name} is none of the known values: {{}}", shown)))
    low, high = _range(column)
    if low is not None:
        problems.append((value < low, pl.format(f"{name} is below {low:,.0f}: {{}}", shown)))
    if high is not None:
        problems.append((value > high, pl.format(f"{name} is above {high:,.0f}: {{}}", shown)))
    return problems


_EXPECTED = {
    Kind.TEXT: "text",
    Kind.INTEGER: "a whole number",
    Kind.YEAR: "a year",
    Kind.NUMBER: "a number",
    Kind.DATE: "a date",
    Kind.MONTH: "a month such as 1960M01",
    Kind.MSHA_ID: "an MSHA ID of up to seven digits",
}
_LARGEST_YEAR = 2**31 - 1


def _range(column: Column) -> tuple[float | None, float | None]:
    if column.kind is Kind.YEAR and column.maximum is None:
        return column.minimum, _LARGEST_YEAR
    if column.kind is Kind.NUMBER and column.maximum is None:
        return column.minimum, 1e300  # an overflow to infinity is no measurement
    return column.minimum, column.maximum
