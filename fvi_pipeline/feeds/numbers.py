"""Numbers as people write them, as a program reads them. Which numbers are possible belongs to `convert`.

Nothing is guessed: where a comma may part thousands or decimals and the column's range allows both, there is no number.
"""

from __future__ import annotations

import polars as pl

from fvi_pipeline.feeds.description import Column, Kind

PLAIN = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
"""A number as a program writes it."""
_THOUSANDS = r"^[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?$"
_WHOLE_THOUSANDS = r"^[+-]?[0-9]{1,3}(,[0-9]{3})+$"
_SPACE = r"[ \u{a0}\u{2009}\u{202f}]"
_SPACED_THOUSANDS = rf"^[+-]?[0-9]{{1,3}}({_SPACE}[0-9]{{3}})+([.,][0-9]+)?$"
_DOTTED_THOUSANDS = r"^[+-]?[0-9]{1,3}((\.[0-9]{3})+,[0-9]+|(\.[0-9]{3}){2,})$"
_DECIMAL_COMMA = r"^[+-]?[0-9]+,[0-9]+$"
# one comma with three digits behind it and one to three before it, not led by a zero
AMBIGUOUS_COMMA = r"^[+-]?[1-9][0-9]{0,2},[0-9]{3}$"
"""A text such as 1,234 that is either 1234 or 1.234."""


def plain_number(text: pl.Expr, column: Column, *, loose: bool) -> pl.Expr:
    """The number as a program writes it, or null where the text is no number that this column can hold.

    Strictly, commas part thousands. With `loose`, spaces and dots may part thousands and a comma decimals.
    """
    plain = pl.when(text.str.contains(PLAIN)).then(text)
    without_commas = text.str.replace_all(",", "", literal=True)
    if not loose:
        return pl.coalesce(plain, pl.when(text.str.contains(_THOUSANDS)).then(without_commas))
    with_dot = text.str.replace(",", ".", literal=True)
    is_ambiguous = text.str.contains(AMBIGUOUS_COMMA)
    led_by_zero = text.str.contains(r"^[+-]?0")
    return pl.coalesce(
        plain,
        pl.when(is_ambiguous).then(_only_possible(without_commas, with_dot, column)),
        pl.when(~is_ambiguous & ~led_by_zero & text.str.contains(_THOUSANDS)).then(without_commas),
        pl.when(~is_ambiguous & text.str.contains(_DECIMAL_COMMA)).then(with_dot),
        pl.when(text.str.contains(_SPACED_THOUSANDS)).then(
            text.str.replace_all(_SPACE, "").str.replace(",", ".", literal=True)
        ),
        pl.when(text.str.contains(_DOTTED_THOUSANDS)).then(
            text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        ),
    )


def without_thousands(text: pl.Expr) -> pl.Expr:
    """The text without its commas, where they part the thousands of a whole number."""
    whole = text.str.replace_all(",", "", literal=True)
    return pl.when(text.str.contains(_WHOLE_THOUSANDS)).then(whole).otherwise(text)


def _only_possible(thousands: pl.Expr, decimals: pl.Expr, column: Column) -> pl.Expr:
    """The reading of an ambiguous comma that the column can hold, if it is the only one."""
    if column.kind in (Kind.INTEGER, Kind.YEAR):
        return thousands
    return pl.when(~_possible(decimals, column)).then(thousands).when(~_possible(thousands, column)).then(decimals)


def _possible(number: pl.Expr, column: Column) -> pl.Expr:
    value = number.cast(pl.Float64, strict=False)
    return value.is_between(
        float("-inf") if column.minimum is None else column.minimum,
        float("inf") if column.maximum is None else column.maximum,
    )
