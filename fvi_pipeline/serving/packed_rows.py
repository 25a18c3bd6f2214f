"""What the online store holds of a mine as one value: read at once, instead of a hundred fields of a hash.

Packed by whoever read the fields first, and kept under the version of the online store that they were read at, so that
no materialisation leaves an old one in use. Feast's own form is read in `feature_reader`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.serving.arms import MineFields
from fvi_pipeline.serving.mines import StoredMine
from fvi_pipeline.serving.redis_link import Command

_PREFIX = b"fvi:rows:"
# also the code's: a row of another form is none
_FORM = b"1:"
SECONDS_KEPT = 24 * 3600
_HAS_ROW, _HAS_YEAR, _IN_COHORT, _HAS_INDEX, _HAS_KNOWN = 1, 2, 4, 8, 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@lru_cache(maxsize=16)
def _layout(features: int) -> np.dtype[np.void]:
    # known_at in microseconds since 1970; the values in the model's order
    parts = [("flags", "u1"), ("year", "<i4"), ("index", "<f8"), ("known", "<i8"), ("row", "<f4", (features,))]
    return np.dtype(parts)


@lru_cache(maxsize=16)
def _name(fields: tuple[bytes, ...], names: tuple[str, ...]) -> bytes:
    told = b"\n".join([*fields, "\n".join(names).encode()])
    return hashlib.blake2b(told, digest_size=8).hexdigest().encode()


def rows_key(version: bytes, fields: MineFields) -> bytes:
    """The hash of the packed rows of a version of the online store, for models with these fields."""
    return b"%b%b%b:%b" % (_PREFIX, _FORM, version, _name(fields.fields, fields.names))


def keep_commands(key: bytes, mines: Mapping[str, StoredMine]) -> list[Command]:
    """The commands that keep rows; none for no mines."""
    if not mines:
        return []
    pairs = [part for mine_id, mine in mines.items() for part in (mine_id, pack(mine))]
    return [("HSET", key, *pairs), ("EXPIRE", key, SECONDS_KEPT)]


def pack(mine: StoredMine) -> bytes:
    """The bytes of a mine."""
    flags = (
        _HAS_ROW * (mine.row is not None)
        | _HAS_YEAR * (mine.as_of_year is not None)
        | _IN_COHORT * mine.in_cohort
        | _HAS_INDEX * (mine.index_score is not None)
        | _HAS_KNOWN * (mine.known_at is not None)
    )
    known = (mine.known_at - _EPOCH) // _MICROSECOND if mine.known_at is not None else 0
    row: NDArray[np.float32] = mine.row if mine.row is not None else np.empty(0, dtype=np.float32)
    packed = np.zeros(1, dtype=_layout(len(row)))
    packed[0] = (flags, mine.as_of_year or 0, mine.index_score or 0.0, known, row)
    return packed.tobytes()


def unpack(packed: Sequence[bytes | None], features: int) -> list[StoredMine | None]:
    """The mines; None for what is not there, or is no row of so many features."""
    whole, bare = _layout(features), _layout(0)
    sizes = {whole.itemsize, bare.itemsize}
    present = [value for value in packed if value is not None and len(value) in sizes]
    # a mine without a row is shorter: nearly all have one, and are read together
    padded = np.frombuffer(b"".join([value.ljust(whole.itemsize, b"\0") for value in present]), dtype=whole)
    columns = (padded[name].tolist() for name in ("flags", "year", "index", "known"))
    found = iter(
        [
            StoredMine(
                row=row if flags & _HAS_ROW else None,
                as_of_year=year if flags & _HAS_YEAR else None,
                in_cohort=bool(flags & _IN_COHORT),
                index_score=index if flags & _HAS_INDEX else None,
                known_at=_moment(known) if flags & _HAS_KNOWN else None,
            )
            for flags, year, index, known, row in zip(*columns, np.ascontiguousarray(padded["row"]), strict=True)
        ]
    )
    return [next(found) if value is not None and len(value) in sizes else None for value in packed]


@lru_cache(maxsize=4_096)
def _moment(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND
