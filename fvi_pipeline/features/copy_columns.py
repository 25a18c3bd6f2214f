"""Rows of PostgreSQL as columns of numpy: `COPY … (FORMAT BINARY)`, taken apart a column at a time.

No value becomes a Python object of its own or a text on the way, so every bit of it stays. What the columns are used
for belongs to `online_store` and `parity`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from fvi_pipeline.features.errors import FeatureStoreError

BOOLEAN, BYTES, BIGINT, SMALLINT, INTEGER, TEXT = 16, 17, 20, 21, 23, 25
REAL, DOUBLE, VARCHAR, TIMESTAMP, TIMESTAMP_WITH_ZONE = 700, 701, 1043, 1114, 1184
TIMESTAMPS = (TIMESTAMP, TIMESTAMP_WITH_ZONE)
# as PostgreSQL sends them: the highest byte first
_FIXED: dict[int, np.dtype[Any]] = {
    BOOLEAN: np.dtype("u1"),
    BIGINT: np.dtype(">i8"),
    SMALLINT: np.dtype(">i2"),
    INTEGER: np.dtype(">i4"),
    REAL: np.dtype(">f4"),
    DOUBLE: np.dtype(">f8"),
    TIMESTAMP: np.dtype(">i8"),
    TIMESTAMP_WITH_ZONE: np.dtype(">i8"),
}
_OF_ANY_LENGTH = (BYTES, TEXT, VARCHAR)
READABLE = frozenset((*_FIXED, *_OF_ANY_LENGTH))
_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_HEADER_LENGTH = len(_SIGNATURE) + 8
_END = b"\xff\xff"
_TO_UNIX_MICROSECONDS = 946_684_800_000_000  # PostgreSQL counts from 2000
_INFINITE = (np.iinfo(np.int64).min, np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Column:
    """Values of some rows; where `present` is false the value is null and what `values` has there means nothing.

    Numbers and booleans have numpy's types, times are microseconds since 1970 in UTC, texts are bytes in UTF-8
    (an array of objects).
    """

    values: NDArray[Any]
    present: NDArray[np.bool_]


def column_types(connection: psycopg.Connection[Any], query: str) -> dict[str, int]:
    """The columns of a SELECT and PostgreSQL's numbers of their types; no row is read."""
    cursor = connection.execute(f"select * from ({query}) as described limit 0".encode())  # noqa: S608 - the caller's SELECT
    return {column.name: column.type_code for column in cursor.description or ()}


def copy_columns(
    connection: psycopg.Connection[Any], query: str, rows_at_once: int
) -> Iterator[tuple[int, dict[str, Column]]]:
    """The result of a SELECT, so many rows at once: how many, and its columns by name.

    Raises:
        FeatureStoreError: a column has a type that is not in `READABLE`, or an infinite time.
    """
    types = column_types(connection, query)
    unreadable = [name for name, kind in types.items() if kind not in READABLE]
    if unreadable:
        raise FeatureStoreError(f"Columns of a type that is not read in bulk: {', '.join(unreadable)}.")
    with connection.cursor() as cursor, cursor.copy(f"copy ({query}) to stdout (format binary)".encode()) as copy:
        rows: list[bytes] = []
        first = True
        for message in copy:  # one message is one row, says the protocol; the first one has the header before it
            row = bytes(message)
            if first:
                row, first = row[_HEADER_LENGTH:], False
            if row and row != _END:
                rows.append(row)
            if len(rows) == rows_at_once:
                yield len(rows), _columns(rows, types)
                rows = []
        if rows:
            yield len(rows), _columns(rows, types)


def _columns(rows: list[bytes], types: dict[str, int]) -> dict[str, Column]:
    # the place of a value that is null may lie at the very end: a gathered one looks beyond it
    data = b"".join((*rows, bytes(8)))
    ends = np.cumsum(np.fromiter(map(len, rows), dtype=np.int64, count=len(rows)))
    position = np.concatenate(([0], ends[:-1])) + 2  # a row begins with the number of its columns
    columns: dict[str, Column] = {}
    for name, kind in types.items():
        length = _gather(data, position, np.dtype(">i4")).astype(np.int64)
        position = position + 4
        present = length >= 0
        fixed = _FIXED.get(kind)
        if fixed is not None:
            columns[name] = Column(_native(name, kind, _gather(data, position, fixed), present), present)
        else:
            pieces = zip(position.tolist(), length.tolist(), strict=True)
            values = np.empty(len(rows), dtype=object)
            values[:] = [data[start : start + count] if count > 0 else b"" for start, count in pieces]
            columns[name] = Column(values, present)
        position = position + np.maximum(length, 0)
    return columns


def _gather(data: bytes, position: NDArray[np.int64], kind: np.dtype[Any]) -> NDArray[Any]:
    # a value may begin at any byte: seen as values that overlap, one beginning at each byte
    overlapping: NDArray[Any] = np.ndarray(len(data) - kind.itemsize + 1, dtype=kind, buffer=data, strides=(1,))
    return overlapping[position]


def _native(name: str, kind: int, values: NDArray[Any], present: NDArray[np.bool_]) -> NDArray[Any]:
    native = values.astype(values.dtype.newbyteorder("="))
    if kind == BOOLEAN:
        return native.astype(np.bool_)
    if kind in TIMESTAMPS:
        if np.isin(native[present], _INFINITE).any():
            raise FeatureStoreError(f"{name} has an infinite time, which no reader could tell. Correct it in gold.")
        return native + _TO_UNIX_MICROSECONDS
    return native
