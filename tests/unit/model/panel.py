"""A small panel from a known survival process, for the tests of the model."""

import numpy as np
import polars as pl

FEATURES = ["log_size", "trend", "noise", "hours"]
HORIZONS = (1, 2, 3, 5, 10)
LAST_YEAR = 2019


def survival_panel(mines: int = 400, first_year: int = 1999, seed: int = 1) -> pl.DataFrame:
    """Rows for make_dataset, with the true P(viable) as `truth`; small and shrinking mines close early.

    Mines close for good, each year with a hazard that follows from features that never change; closed ones
    are replaced, so that each year has as many. `noise` tells nothing and `hours` is missing before 2003.
    """
    generator = np.random.default_rng(seed)
    records = []
    for slot in range(mines):
        year, generation = first_year, 0
        while year <= LAST_YEAR:
            log_size, trend, noise = generator.normal(size=3)
            hazard = 1 / (1 + np.exp(2.2 + 0.9 * log_size + 0.7 * trend))
            lifetime = int(generator.geometric(hazard))
            for as_of in range(year, min(year + lifetime - 1, LAST_YEAR) + 1):
                hours = None if as_of < 2003 else float(10 * np.exp(log_size))
                features = (log_size, trend, noise, hours)
                mine_id = f"msha:{slot:05d}{generation:02d}"
                records += [
                    (
                        mine_id,
                        as_of,
                        h,
                        as_of + h,
                        int(as_of + h < year + lifetime),
                        *features,
                        (1 - hazard) ** h,
                    )
                    for h in HORIZONS
                    if as_of + h <= LAST_YEAR
                ]
            year, generation = year + lifetime, generation + 1
    columns = ["mine_id", "as_of_year", "horizon_years", "outcome_year", "viable", *FEATURES, "truth"]
    return pl.DataFrame(records, schema=columns, orient="row", infer_schema_length=None)
