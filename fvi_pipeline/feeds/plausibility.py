"""Whether a row as a whole can be what it seems to be. Single values are judged by `convert`, files by `file_rules`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import polars as pl

from fvi_pipeline.feeds.description import Column, Feed, Kind
from fvi_pipeline.feeds.tables import TextTable, position_of

_NUMBER = r"^[+-]?[0-9][0-9 .,]*$"
_SHOWN_COLUMNS = 5


class BadValues(NamedTuple):
    """The values of one column that cannot be taken in, and the positions of their rows."""

    column: Column
    rows: pl.Series
    texts: pl.Series


def slipped_rows(table: TextTable, feed: Feed, bad_values: Sequence[BadValues]) -> Iterator[tuple[int, str]]:
    """The rows whose cells have slipped by some columns, by their positions, each with the reason why it is taken for
    one.

    One sign is enough where it says clearly what happened: a number in a column of words, one of the few words that
    a column may hold in another one, an empty cell among cells that are filled together. Other bad values count
    only together, and if one of them is in a column of words: two mistyped numbers do not make a slipped row. What
    still looks right in such a row is not what it seems, so nothing of it may be taken in.
    """
    if feed.shifted_row_signs is None:
        return
    seems = "The row seems to have slipped by some columns"
    for row, what in _clear_signs(table, feed, bad_values):
        yield row, f"{seems}: {what}"
    if not any(bad.column.kind is Kind.TEXT for bad in bad_values):
        return
    found = pl.concat(
        pl.DataFrame({"row": bad.rows.cast(pl.UInt32)}).with_columns(
            pl.lit(bad.column.name).alias("column"), pl.lit(bad.column.kind is Kind.TEXT).alias("is_words")
        )
        for bad in bad_values
    )
    together = (
        found.group_by("row", maintain_order=True)
        .agg(pl.col("column"), pl.col("is_words").any())
        .filter(pl.col("is_words") & (pl.col("column").list.len() >= feed.shifted_row_signs))
    )
    for row, columns, _ in together.iter_rows():
        shown = ", ".join(columns[:_SHOWN_COLUMNS]) + (" …" if len(columns) > _SHOWN_COLUMNS else "")
        yield row, f"{seems}: {len(columns)} values are of the wrong kind ({shown})"


def _clear_signs(table: TextTable, feed: Feed, bad_values: Sequence[BadValues]) -> Iterator[tuple[int, str]]:
    words = pl.Series(
        sorted({word for part in feed.parts for column in part.columns for word in column.allowed or ()}),
        dtype=pl.String,
    )
    for bad in bad_values:
        name = bad.column.name
        for row in bad.rows.filter(bad.texts.str.to_lowercase().is_in(words.implode())):
            yield int(row), f"a word of another column stands for {name}"
        if bad.column.kind is Kind.TEXT:
            for row in bad.rows.filter(bad.texts.str.contains(_NUMBER)):
                yield int(row), f"a number stands for {name}"
    positions = {column.name: position_of(table.header, column) for column in table.part.columns}
    for group in feed.filled_together:
        present = {str(at): name for name in group if (at := positions.get(name)) is not None}
        is_empty = table.cells.select(pl.col(at).str.strip_chars() == "" for at in present)
        mixed = is_empty.select(pl.any_horizontal(pl.all()) & ~pl.all_horizontal(pl.all())).to_series().arg_true()
        for row in mixed:
            missing = next(name for at, name in present.items() if is_empty[at][row])
            yield row, f"{missing} is empty while the cells beside it are filled"
