"""Which features count, by the catalogue's sources and by the values."""

from __future__ import annotations

import numpy as np
import polars as pl

from fvi_pipeline.features.catalogue import load_catalogue
from fvi_pipeline.segments.features import FeatureRule, choose_features
from fvi_pipeline.segments.naming import WORDS
from tests.unit.segments.planted import column

ROWS = 100


def test_what_a_mine_is_counts_and_neighbours_changes_and_prices_do_not() -> None:
    drawn = np.random.default_rng(0)
    own, mines = "silver_mine_years.production_short_tons", ROWS
    columns = [
        column("output"),
        column("peak", sources=(f"{own}[..t]",)),
        column("change", sources=(f"{own}[t-1]", f"{own}[t]")),
        column("trend", sources=(f"{own}[t-4..t]",)),
        column("of_the_state", sources=(f"{own}[t; rows with same mine_state]",)),
        column("price", sources=("silver_commodity_prices.natural_gas_us_usd_per_mmbtu[newest-11..newest]",)),
        column("depth", sources=("silver_mine_tracker_history.mine_depth_m[newest]",)),
        column("rare"),
        column("constant"),
        column("as_output"),
        column("as_of_year", role="context"),
    ]
    values = {name: drawn.normal(size=mines) for name in ("output", "peak", "change", "trend", "of_the_state", "price")}
    output = values["output"]
    cohort = pl.DataFrame(values).with_columns(
        pl.Series("depth", np.where(np.arange(mines) < 25, np.nan, drawn.normal(size=mines))),
        pl.Series("rare", [None] * 31 + [1.0, 2.0] * 34 + [1.0], dtype=pl.Float64),
        pl.Series("constant", [None] * 10 + [5.0] * 90, dtype=pl.Float64),
        pl.Series("as_output", -np.exp(output)),  # ranks them the other way round
    )
    choice = choose_features(columns, cohort)
    assert choice.features == ("output", "peak", "depth")
    assert choice.left_out == {
        "change": "is about an earlier year or a change",
        "trend": "is about an earlier year or a change",
        "of_the_state": "is not of the mine alone",
        "price": "is not of the mine alone",
        "rare": "is known for 69% of the mines",
        "constant": "is the same for all mines",
        "as_output": "ranks the mines as output does",
    }
    assert choose_features(columns, cohort, FeatureRule(0.8, 2.0)).features == ("output", "peak", "as_output")


def test_names_speak_of_features_that_there_are_and_a_good_part_of_the_catalogue_is_of_the_mine(manifest) -> None:
    catalogue = load_catalogue(manifest)
    drawn = np.random.default_rng(1)
    cohort = pl.DataFrame({name: drawn.normal(size=ROWS) for name in catalogue.model_features()})
    choice = choose_features(catalogue.features, cohort)
    assert set(WORDS) <= set(catalogue.model_features())
    assert {"production_short_tons", "production_to_peak", "is_underground"} <= set(choice.features)
    assert 15 <= len(choice.features) <= 45
    assert {"gas_price_usd_per_mmbtu", "county_mines_producing", "production_change_1y"} <= set(choice.left_out)
