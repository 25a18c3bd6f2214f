import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from fvi_pipeline.model.dataset import SplitPolicy, data_hash, fit_rows, make_dataset, split_by_time
from fvi_pipeline.model.errors import DatasetError

from .panel import FEATURES

POLICY = SplitPolicy(minimum_comparable_rows=200)


def test_rows_are_float32_sorted_and_hashed_whatever_their_order(panel: pl.DataFrame) -> None:
    dataset = make_dataset(panel, FEATURES)
    shuffled = make_dataset(panel.sample(fraction=1, shuffle=True, seed=5), FEATURES)
    from_pandas = make_dataset(panel.to_pandas(), FEATURES)

    assert dataset.features.dtype == np.float32
    assert dataset.features.shape == (panel.height, len(FEATURES) + 1)
    assert (dataset.features[:, -1] == dataset.horizon_years).all()
    assert np.isnan(dataset.features[:, FEATURES.index("hours")]).any()
    digest = data_hash(dataset, FEATURES)
    assert data_hash(shuffled, FEATURES) == digest
    assert data_hash(from_pandas, FEATURES) == digest


def test_hash_follows_values_outcomes_and_names(panel: pl.DataFrame) -> None:
    digests = {
        data_hash(make_dataset(frame, names), names)
        for frame, names in [
            (panel, FEATURES),
            (panel, FEATURES[::-1]),
            (panel.with_columns(pl.col("noise") + 0.001), FEATURES),
            (panel.with_columns(viable=1 - pl.col("viable")), FEATURES),
            (panel.with_columns(pl.col("as_of_year") - 1), FEATURES),
        ]
    }
    assert len(digests) == 5


def test_no_part_of_the_split_sees_what_comes_later(panel: pl.DataFrame) -> None:
    split = split_by_time(make_dataset(panel, FEATURES), POLICY)

    assert (split.train_until_year, split.tuning_until_year) == (2013, 2008)
    assert split.tuning_fit.keys["outcome_year"].max() <= 2008
    assert split.final_fit.keys["outcome_year"].max() <= 2013
    for part in (split.stopping, split.calibration):
        assert part.keys["as_of_year"].min() >= 2008
        assert part.keys["outcome_year"].max() <= 2013
        # the leak that the years alone would allow: a mine's year known to the fit by a shorter horizon
        seen = split.tuning_fit.keys.select("mine_id", "as_of_year").unique()
        assert part.keys.join(seen, on=["mine_id", "as_of_year"]).is_empty()
    assert not set(split.stopping.keys["mine_id"]) & set(split.calibration.keys["mine_id"])
    assert split.test.keys["as_of_year"].min() == 2014
    assert split.test.horizons == [1, 2, 3, 5]


def test_earlier_years_are_used_only_for_horizons_that_comparable_years_cannot_teach(
    panel: pl.DataFrame,
) -> None:
    rows = fit_rows(make_dataset(panel, FEATURES), 2011, SplitPolicy(minimum_comparable_rows=600))
    first_years = dict(rows.keys.group_by("horizon_years").agg(pl.col("as_of_year").min()).iter_rows())
    assert first_years == {1: 2001, 2: 2001, 3: 2001, 5: 2001, 10: 1999}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop("trend"), "lacks the columns"),
        (lambda frame: pl.concat([frame, frame.head(1)]), "occurs twice"),
        (lambda frame: frame.with_columns(trend=pl.lit("up")), "not numbers"),
        (lambda frame: frame.with_columns(trend=pl.lit(float("inf"))), "infinite"),
        (lambda frame: frame.with_columns(viable=pl.lit(None)), "viable must be"),
        (lambda frame: frame.with_columns(viable=pl.lit(2)), "viable must be"),
        (lambda frame: frame.with_columns(outcome_year=pl.lit(None)), "holds nulls"),
    ],
)
def test_a_frame_that_cannot_be_trusted_is_refused(panel: pl.DataFrame, change, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DatasetError, match=message):
        make_dataset(change(panel), FEATURES)


def test_too_few_years_are_said_to_be_too_few(panel: pl.DataFrame) -> None:
    with pytest.raises(DatasetError, match="Load more years"):
        split_by_time(make_dataset(panel.filter(pl.col("as_of_year") > 2012), FEATURES), POLICY)
    with pytest.raises(DatasetError, match="no row with a known outcome"):
        split_by_time(make_dataset(panel.head(0), FEATURES), POLICY)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError):
        SplitPolicy.model_validate({"test_year": 3})
