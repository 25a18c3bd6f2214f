"""Rules that look at all rows of a file: one year, no copies, a digest of what it says. Single values are `convert`'s.

A file comes in batches; what these rules decide does not depend on where one batch ends and the next begins.
"""

from __future__ import annotations

import zlib
from collections import Counter
from typing import Any

import numpy as np
import polars as pl

from fvi_pipeline.feeds.convert import INDEX, ROW_NUMBER, TypedTable, quarantined_row
from fvi_pipeline.feeds.description import Feed
from fvi_pipeline.feeds.tables import TextTable

_Hashes = np.ndarray[Any, np.dtype[np.uint64]]
_Numbers = np.ndarray[Any, np.dtype[np.int64]]


class MostRowsAreOfAnotherYear(Exception):
    """The year that the first batch suggested is not the file's: it has to be read again, as of `year`."""

    def __init__(self, year: int) -> None:
        super().__init__(year)
        self.year = year


class OneYear:
    """A file of one year holds that year only; rows of another one would count twice.

    The file's year is the one that most of its rows have. `year` gives it where an earlier reading has found it out;
    otherwise the first batch's is taken, and `check` says whether it was right.
    """

    def __init__(self, feed: Feed, year: int | None) -> None:
        self._column = feed.single_year_column
        self._is_certain = year is not None
        self._year = year
        self._rows_of: Counter[int] = Counter()

    def reasons(self, values: pl.DataFrame) -> dict[int, str]:
        """Why rows of a batch cannot be loaded, by their INDEX."""
        name = self._column
        if name is None or values.height == 0:
            return {}
        years = values[name]
        # a batch of one year, as nearly all are, need not be counted
        is_one = years.null_count() == 0 and years.min() == years.max()
        self._rows_of.update({years[0]: len(years)} if is_one else dict(values.group_by(name).len().iter_rows()))
        if self._year is None:
            self._year = self._most()
        others = values.filter(pl.col(name) != self._year).select(INDEX, name)
        return {index: f"{name} is {year}, but the file is of {self._year}" for index, year in others.iter_rows()}

    def check(self) -> None:
        """To be called after the last batch.

        Raises:
            MostRowsAreOfAnotherYear: the file has to be read again with that year.
        """
        if self._year is not None and not self._is_certain and self._most() != self._year:
            raise MostRowsAreOfAnotherYear(self._most())

    def _most(self) -> int:
        return min(self._rows_of, key=lambda year: (-self._rows_of[year], year))


class Copies:
    """Exact copies of earlier rows, found by 128 bits of each row, and the digest of all rows that are none.

    The bits are kept in sorted runs, of which a longer one swallows the shorter ones before it, so that a row costs 24
    bytes and a batch is looked up in a few of them.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[_Hashes, _Hashes, _Numbers]] = []
        self._sums = [0, 0]
        self._count = 0
        self._part = ""

    @property
    def digest(self) -> str:
        """Digest of the rows seen, whatever their order and the file's form; equal for equal rows under one release of
        polars, whose hash it is.
        """
        return f"polars {pl.__version__}: {self._count} rows, {self._sums[0]:016x}{self._sums[1]:016x}"

    def reasons(self, values: pl.DataFrame, part: str) -> dict[int, str]:
        """Why rows of a batch cannot be loaded, by their INDEX; the others are remembered."""
        content = values.drop(INDEX, ROW_NUMBER)
        # the part counts as a column of its own would
        seed = 2 * zlib.crc32(part.encode())
        first, second = content.hash_rows(seed).to_numpy(), content.hash_rows(seed + 1).to_numpy()
        numbers = values[ROW_NUMBER].to_numpy()
        order = _order(first)
        first, second, numbers = first[order], second[order], numbers[order]
        original = self._originals(first, second)
        original = np.where(original > 0, original, _originals_within(first, second, numbers))
        is_new = original == numbers
        self._remember(first[is_new], second[is_new], numbers[is_new])
        copies = zip(values[INDEX].to_numpy()[order][~is_new].tolist(), original[~is_new].tolist(), strict=True)
        return {index: f"The row is an exact copy of row {at}" for index, at in copies}

    def _originals(self, first: _Hashes, second: _Hashes) -> _Numbers:
        """For each row the number of the same row in an earlier batch, or -1."""
        found = np.full(len(first), -1, dtype=np.int64)
        for run_first, run_second, run_numbers in self._runs:
            at = np.minimum(np.searchsorted(run_first, first), len(run_first) - 1)
            same = (run_first[at] == first) & (run_second[at] == second)
            found[same] = run_numbers[at[same]]
        return found

    def _remember(self, first: _Hashes, second: _Hashes, numbers: _Numbers) -> None:
        self._count += len(first)
        for at, hashes in enumerate((first, second)):
            self._sums[at] = (self._sums[at] + int(np.add.reduce(hashes, dtype=np.uint64))) % 2**64
        if len(first) == 0:
            return
        run = (first, second, numbers)
        while self._runs and len(self._runs[-1][0]) <= 2 * len(run[0]):
            run = _merged(self._runs.pop(), run)
        self._runs.append(run)


def _order(hashes: _Hashes) -> np.ndarray[Any, np.dtype[np.intp]]:
    """The order of ascending hashes; of rows that are the same, the first one of the batch stays first."""
    order = np.argsort(hashes)
    ascending = hashes[order]
    # a stable sort costs several times as much, and most batches have no two rows with the same hash
    return np.argsort(hashes, kind="stable") if (ascending[1:] == ascending[:-1]).any() else order


def _originals_within(first: _Hashes, second: _Hashes, numbers: _Numbers) -> _Numbers:
    """For each row of a sorted batch the number of the first row that is the same, often its own."""
    begins = np.ones(len(first), dtype=bool)
    begins[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return numbers[begins][np.cumsum(begins) - 1] if len(first) else numbers


def _merged(
    one: tuple[_Hashes, _Hashes, _Numbers], other: tuple[_Hashes, _Hashes, _Numbers]
) -> tuple[_Hashes, _Hashes, _Numbers]:
    first = np.concatenate([one[0], other[0]])
    # stable: two runs that are sorted already are only merged
    order = np.argsort(first, kind="stable")
    return first[order], np.concatenate([one[1], other[1]])[order], np.concatenate([one[2], other[2]])[order]


class FileRules:
    """The rules on all rows of one file, applied batch by batch."""

    def __init__(self, feed: Feed, year: int | None) -> None:
        self._year = OneYear(feed, year)
        self._copies = Copies()

    def apply(self, table: TextTable, batch: TypedTable) -> TypedTable:
        """The batch without the rows that break a rule, and without `INDEX`; they are in its quarantine."""
        values = batch.values
        reasons: dict[int, str] = {}
        for found in (self._year.reasons, lambda rows: self._copies.reasons(rows, table.part.name)):
            new = found(values)
            if new:
                reasons |= new
                values = values.filter(~pl.col(INDEX).is_in(pl.Series(list(new), dtype=pl.UInt32).implode()))
        quarantined = [quarantined_row(table, index, reason) for index, reason in sorted(reasons.items())]
        gone = {row.row_number for row in quarantined}
        return TypedTable(
            values.drop(INDEX),
            [*table.quarantined, *batch.quarantined, *quarantined],
            [value for value in batch.rejected_values if value.row_number not in gone],
        )

    def finish(self) -> str:
        """To be called after the last batch; returns the digest of what the file says.

        Raises:
            MostRowsAreOfAnotherYear: the file has to be read again with that year.
        """
        self._year.check()
        return self._copies.digest
