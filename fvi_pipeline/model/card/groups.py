"""The groups that mines are told apart by: state, region, type and size, all as first known for the as-of year.

Measuring something in them belongs to `measures` and `fairness`.
"""

from __future__ import annotations

from typing import Final

import polars as pl
import psycopg

APPALACHIA: Final = "Appalachia"
INTERIOR: Final = "Interior"
WEST: Final = "West"
NOT_PUBLISHED: Final = "not published"
SIZE_CLASSES: Final = ("small", "medium", "large")
GROUPINGS: Final = {
    "region": "region",
    "mine_state": "state",
    "mine_type": "mine type",
    "size_class": "size class",
}
"""Columns of `with_groups`, and what a person calls them."""

# EIA's three coal-producing regions; a state that EIA splits is named with its part ("Kentucky (East)")
_REGIONS = {
    APPALACHIA: (
        "Alabama", "Georgia", "Kentucky (East)", "Maryland", "North Carolina", "Ohio", "Pennsylvania", "Tennessee",
        "Virginia", "West Virginia",
    ),
    INTERIOR: (
        "Arkansas", "Illinois", "Indiana", "Iowa", "Kansas", "Kentucky (West)", "Louisiana", "Michigan",
        "Mississippi", "Missouri", "Oklahoma", "Texas",
    ),
    WEST: (
        "Alaska", "Arizona", "California", "Colorado", "Montana", "New Mexico", "North Dakota", "Oregon",
        "South Dakota", "Utah", "Washington", "Wyoming",
    ),
}  # fmt: skip
_COHORT = (
    "select distinct on (mine_id, as_of_year) mine_id, as_of_year, mine_state, mine_type, production_short_tons "
    "from gold.gold_mine_feature_history where in_cohort and as_of_year between %s and %s "
    "order by mine_id, as_of_year, created_timestamp"
)


def region_of(state: str | None) -> str:
    """EIA's coal-producing region of a state as published; a row of no state (refuse recovery) is 'not published'."""
    for region, states in _REGIONS.items():
        if state is not None and any(state == name or state.startswith(f"{name} (") for name in states):
            return region
    return NOT_PUBLISHED


def with_groups(cohort: pl.DataFrame) -> pl.DataFrame:
    """Mines of whole cohorts with `region` and `size_class` added and no null among the groups.

    The size class is the third of its as-of year's cohort that a mine's production lies in, so that what is large is
    decided by what was known then.

    Args:
        cohort: mine_id, as_of_year, mine_state, mine_type, production_short_tons; every mine of each year's cohort.
    """
    rank = pl.col("production_short_tons").rank("average").over("as_of_year")
    share = (rank - 0.5) / pl.col("production_short_tons").count().over("as_of_year")
    small, medium, large = SIZE_CLASSES
    return cohort.with_columns(
        region=pl.col("mine_state").map_elements(region_of, return_dtype=pl.String, skip_nulls=False),
        size_class=pl.when(share < 1 / 3)
        .then(pl.lit(small))
        .when(share < 2 / 3)
        .then(pl.lit(medium))
        .when(share.is_not_null())
        .then(pl.lit(large))
        .otherwise(pl.lit(NOT_PUBLISHED)),
    ).with_columns(pl.col("mine_state", "mine_type").fill_null(NOT_PUBLISHED))


def read_cohorts(connection: psycopg.Connection, first_year: int, last_year: int) -> pl.DataFrame:
    """The cohorts of these as-of years with their groups, each mine as it was first known for the year."""
    rows = connection.execute(_COHORT, [first_year, last_year]).fetchall()
    return with_groups(
        pl.DataFrame(
            rows,
            schema={
                "mine_id": pl.String,
                "as_of_year": pl.Int64,
                "mine_state": pl.String,
                "mine_type": pl.String,
                "production_short_tons": pl.Float64,
            },
            orient="row",
        )
    )
