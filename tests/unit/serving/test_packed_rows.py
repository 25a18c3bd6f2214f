"""A mine as one value: every part of it comes back as it was."""

from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fvi_pipeline.serving.mines import StoredMine
from fvi_pipeline.serving.packed_rows import pack, unpack

FEATURES = 5
_rows = st.lists(st.floats(width=32, allow_nan=True), min_size=FEATURES, max_size=FEATURES)
_moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
_mines = st.builds(
    StoredMine,
    row=st.none() | _rows.map(lambda values: np.array(values, dtype=np.float32)),
    as_of_year=st.none() | st.integers(1900, 2200),
    in_cohort=st.booleans(),
    index_score=st.none() | st.floats(0, 100),
    known_at=st.none() | _moments,
)


@given(st.lists(st.none() | _mines, max_size=6))
def test_what_is_packed_is_unpacked(mines):
    found = unpack([None if mine is None else pack(mine) for mine in mines], FEATURES)
    for mine, again in zip(mines, found, strict=True):
        if mine is None or again is None:
            assert mine is again
            continue
        assert (again.as_of_year, again.in_cohort, again.index_score, again.known_at) == (
            mine.as_of_year, mine.in_cohort, mine.index_score, mine.known_at,
        )  # fmt: skip
        assert (again.row is None) == (mine.row is None)
        if mine.row is not None:
            assert again.row.dtype == np.float32
            np.testing.assert_array_equal(again.row, mine.row)


def test_a_row_of_other_features_is_none():
    mine = StoredMine(np.zeros(FEATURES + 1, dtype=np.float32), 2019, True, None)
    assert unpack([pack(mine), b"", b"broken"], FEATURES) == [None, None, None]
