"""The same work by a plain script: publishers' files to scores, with polars and LightGBM alone.

The rival of `make bench`: it reads the files, builds about the same features, fits one LightGBM under the
same split, tests it, scores the current cohort and ends with one JSON object. No database, history or checks.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import polars as pl
from python_calamine import CalamineWorkbook

HORIZONS = (1, 2, 3, 5, 10, 20)
EIA_TEXTS = {
    "MSHA ID": "msha_id", "Mine Name": "mine_name", "Mine State": "mine_state", "Mine Basin": "region",
    "Coal Supply Region": "region", "Mine Status": "mine_status", "Mine Type": "mine_type",
    "Company Type": "company_type", "Operation Type": "operation_type", "Union Code": "union_code",
    "Operating Company": "operating_company",
}  # fmt: skip
EIA_COLUMNS = EIA_TEXTS | {
    "Year": "as_of_year", "Production (short tons)": "production",
    "Average Employees": "employees", "Labor Hours": "hours",
}  # fmt: skip
CATEGORIES = ("mine_type", "company_type", "operation_type", "mine_state", "region")
KEYS = ("msha_id", "as_of_year", "mine_name", "in_cohort", "operating_company", "union_code", "event")


def read_eia(folder: Path) -> pl.DataFrame:
    """Every row of every readable year; a truncated row loses what it lacks, an empty file is passed over."""
    frames = []
    for path in sorted(folder.glob("eia_coal/coalpublic*.csv")):
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        if not content:
            continue
        text = content.decode("utf-8", errors="replace")  # what is not UTF-8 is a letter in an operator's name
        raw = pl.read_csv(io.StringIO(text), infer_schema_length=0, truncate_ragged_lines=True)
        present = {old: new for old, new in EIA_COLUMNS.items() if old in raw.columns}
        frames.append(raw.select(*present).rename(present))
    rows = pl.concat(frames, how="diagonal").with_columns(pl.all().str.strip_chars())
    rows = rows.with_columns(pl.all().replace(["", "-"], [None, None]))
    numbers = pl.col("production", "employees", "hours").str.replace_all(",", "")
    numbers = numbers.cast(pl.Float64, strict=False)
    rows = rows.filter(pl.col("msha_id").is_not_null())
    return rows.with_columns(numbers, pl.col("as_of_year").cast(pl.Int32), pl.col("msha_id").str.zfill(7))


def read_gem(folder: Path) -> pl.DataFrame:
    """GEM ids of the tracker's U.S. mines. Known in April 2024, so no training row may see more of it."""
    book = CalamineWorkbook.from_path(folder / "gem" / "Global-Coal-Mine-Tracker-April-2024.xlsx")
    found = []
    for sheet in book.sheet_names[1:]:
        for gem_mine_id, msha_id, *_ in book.get_sheet_by_name(sheet).to_python()[1:]:
            if str(msha_id).strip() not in ("", "-"):
                found.append((str(msha_id).removesuffix(".0").strip().zfill(7), str(gem_mine_id)))
    return pl.DataFrame(found, schema=["msha_id", "gem_mine_id"], orient="row").unique("msha_id", keep="first")


def read_market(folder: Path) -> pl.DataFrame:
    """One row per year: mean coal and gas prices with their changes, and what U.S. coal was used for."""
    book = CalamineWorkbook.from_path(folder / "world_bank" / "CMO-Historical-Data-Monthly.xlsx")
    rows = book.get_sheet_by_name("Monthly Prices").to_python()
    names = ["month", *(str(c) for c in rows[4][1:])]
    months = pl.DataFrame([[str(v) for v in row] for row in rows[6:]], schema=names, orient="row")
    year, number = (
        pl.col("month").str.slice(0, 4).cast(pl.Int32),
        pl.col("Coal, Australian", "Natural gas, US"),
    )
    prices = months.select(year.alias("as_of_year"), number.cast(pl.Float64, strict=False))
    prices = prices.rename({"Coal, Australian": "coal_price", "Natural gas, US": "gas_price"})
    prices = prices.group_by("as_of_year").mean().sort("as_of_year")
    prices = prices.with_columns(
        coal_price_change=pl.col("coal_price").log().diff(),
        gas_price_change=pl.col("gas_price").log().diff(),
        coal_to_gas_price=pl.col("coal_price") / pl.col("gas_price"),
    )
    energy = pl.read_csv(folder / "owid" / "owid-energy-data.csv", infer_schema_length=None)
    co2 = pl.read_csv(folder / "owid" / "owid-co2-data.csv", infer_schema_length=None)
    usa, year = pl.col("iso_code") == "USA", pl.col("year").cast(pl.Int32)
    energy = energy.filter(usa).select(year, "coal_share_elec", "coal_consumption")
    country = energy.join(co2.filter(usa).select(year, "coal_co2"), on="year", how="left")
    return prices.join(country, left_on="as_of_year", right_on="year", how="left")


def build_features(rows: pl.DataFrame, market: pl.DataFrame) -> pl.DataFrame:
    """One row per mine and year, from years up to its own. The status is no feature: it leaks."""
    usable = pl.col("as_of_year") >= 2001
    active = (pl.col("production") > 0) & (~usable | (pl.col("mine_status") == "Active").fill_null(False))
    numbers = ("msha_id", "as_of_year", "production", "employees", "hours")
    mines = (
        rows.sort("production", descending=True, nulls_last=True)
        .group_by("msha_id", "as_of_year", maintain_order=True)
        .agg(
            pl.col("production").sum(),
            # The sum of nothing is not zero people but an unknown number of them.
            pl.when(pl.col("hours").is_not_null().any()).then(pl.col("employees", "hours").sum()),
            in_cohort=active.any(),
            rows=pl.len(),
            largest=pl.struct(pl.all().exclude(*numbers, "mine_status")).first(),
        )
        .unnest("largest")
        .sort("msha_id", "as_of_year")
    )

    def before(column: str, years: int) -> pl.Expr:
        # A gap in the listing makes the earlier value unknown, not the one of the last listed year.
        is_that_year = pl.col("as_of_year").shift(years) == pl.col("as_of_year") - years
        return pl.when(is_that_year).then(pl.col(column).shift(years)).over("msha_id")

    def change(column: str, years: int) -> pl.Expr:
        return (pl.col(column) + 1).log() - (before(column, years) + 1).log()

    def ratio(above: str, below: str) -> pl.Expr:
        return pl.when(pl.col(below) > 0).then(pl.col(above) / pl.col(below))

    mines = mines.with_columns(
        productivity=ratio("production", "hours"),
        tons_per_employee=ratio("production", "employees"),
        hours_per_employee=ratio("hours", "employees"),
        production_to_peak=pl.col("production") / pl.col("production").cum_max().over("msha_id"),
        production_change=change("production", 1),
        production_change_3_years=change("production", 3),
        employees_change=change("employees", 1),
        hours_change=change("hours", 1),
        years_listed=pl.col("as_of_year") - pl.col("as_of_year").min().over("msha_id"),
        production_mean_3_years=pl.col("production").rolling_mean(3, min_samples=1).over("msha_id"),
        idle_years=(pl.col("production") <= 0).cum_sum().over("msha_id"),
        operator_production=pl.col("production").sum().over("operating_company", "as_of_year"),
        operator_mines=pl.len().over("operating_company", "as_of_year"),
        state_production=pl.col("production").sum().over("mine_state", "as_of_year"),
        unionised=pl.col("union_code").is_not_null() & (pl.col("union_code") != "Non-Union"),
    ).with_columns(
        productivity_change=change("productivity", 1),
        state_share=pl.col("production") / pl.col("state_production"),
    )
    codes = [pl.col(c).cast(pl.Categorical).to_physical().alias(c) for c in CATEGORIES]
    mines = mines.with_columns(*codes, event=pl.col("production") > 0)
    return mines.join(market, on="as_of_year", how="left")


def build_outcomes(features: pl.DataFrame, last_year: int) -> pl.DataFrame:
    """Cohort rows by horizon; `viable` is null where the year lies ahead."""
    producing = features.filter("event").select("msha_id", outcome_year="as_of_year", viable=pl.lit(True))
    horizons = pl.DataFrame({"horizon_years": HORIZONS}, schema={"horizon_years": pl.Int32})
    rows = features.filter("in_cohort").join(horizons, how="cross")
    rows = rows.with_columns(outcome_year=pl.col("as_of_year") + pl.col("horizon_years"))
    rows = rows.join(producing, on=["msha_id", "outcome_year"], how="left")
    known = pl.col("outcome_year") <= last_year
    return rows.with_columns(viable=pl.when(known).then(pl.col("viable").fill_null(False)))


def area_under_curve(outcome: npt.NDArray[Any], score: npt.NDArray[Any]) -> float | None:
    """Area under the ROC curve by mid-ranks; None when only one outcome occurs."""
    ranks = pl.Series(score).rank().to_numpy()
    positive = int(outcome.sum())
    if positive in (0, len(outcome)):
        return None
    excess = ranks[outcome].sum() - positive * (positive + 1) / 2
    return round(float(excess / (positive * (len(outcome) - positive))), 4)


def fit(train: pl.DataFrame, names: list[str]) -> lgb.Booster:
    """One LightGBM over all horizons, monotone in the horizon."""
    # One thread: on a machine that others use, LightGBM's threads wait for each other longer than they work.
    fixed = {"objective": "binary", "learning_rate": 0.04, "seed": 20240401, "num_threads": 1, "verbose": -1}
    tree = {"num_leaves": 31, "min_data_in_leaf": 60, "lambda_l2": 5.0}
    sampling = {"feature_fraction": 0.7, "bagging_fraction": 0.8, "bagging_freq": 1}
    monotone = {"monotone_constraints": [0] * (len(names) - 1) + [-1]}
    data = lgb.Dataset(matrix(train, names), train["viable"].to_numpy().astype(np.int8), feature_name=names)
    return lgb.train({**fixed, **tree, **sampling, **monotone}, data, num_boost_round=300)


def matrix(rows: pl.DataFrame, names: list[str]) -> npt.NDArray[Any]:
    """The features as single precision, missing values as NaN."""
    return rows.select(pl.col(names).cast(pl.Float32)).to_numpy()


def evaluate(test: pl.DataFrame, base_rates: dict[int, float]) -> list[dict[str, Any]]:
    """AUC and Brier score per horizon beside the training rate and the ranking by size alone."""
    results = []
    for horizon in HORIZONS:
        rows = test.filter(pl.col("horizon_years") == horizon)
        if rows.is_empty() or horizon not in base_rates:
            continue
        outcome, score = rows["viable"].to_numpy().astype(bool), rows["probability"].to_numpy()
        auc, size = (area_under_curve(outcome, s) for s in (score, rows["production"].to_numpy()))
        brier, rate = (round(float(np.mean((outcome - p) ** 2)), 4) for p in (score, base_rates[horizon]))
        quality = {"auc": auc, "auc_size_only": size, "brier": brier, "brier_base_rate": rate}
        share = round(float(outcome.mean()), 4)
        results.append({"horizon_years": horizon, "rows": len(rows), "viable_share": share, **quality})
    return results


def main(folder: Path) -> None:
    """Run every stage, timing each."""
    stages: dict[str, float] = {}
    clock = time.monotonic()

    def lap(stage: str) -> None:
        nonlocal clock
        stages[stage], clock = round(time.monotonic() - clock, 3), time.monotonic()

    rows, gem, market = read_eia(folder), read_gem(folder), read_market(folder)
    lap("read")
    features = build_features(rows, market)
    last_year = int(rows["as_of_year"].max())  # type: ignore[arg-type]  # a column of years is no column of dates
    table = build_outcomes(features, last_year)
    names = [*(c for c in features.columns if c not in KEYS), "horizon_years"]
    lap("features")
    split = last_year - 6
    train = table.filter(pl.col("outcome_year") <= split)
    test = table.filter(pl.col("viable").is_not_null(), pl.col("as_of_year") > split)
    model = fit(train, names)
    lap("train")
    test = test.with_columns(probability=pl.Series(model.predict(matrix(test, names))))
    rates = dict(train.group_by("horizon_years").agg(pl.col("viable").mean()).iter_rows())
    metrics = evaluate(test, rates)
    lap("test")
    current = table.filter(pl.col("as_of_year") == last_year).join(gem, on="msha_id", how="left")
    current = current.with_columns(fvi_score=100 * pl.Series(model.predict(matrix(current, names))))
    lap("score")
    five = current.filter(pl.col("horizon_years") == 5).sort("fvi_score")
    least = five.select("msha_id", "mine_name", pl.col("fvi_score").round(1)).head(3)
    print("least likely to be producing in five years:", *least.iter_rows(), sep="\n  ")
    report = {
        "rows_with_msha_id": len(rows), "features": len(names), "train_until_year": split,
        "train_rows": len(train), "metrics": metrics, "scored_mines": len(five),
        "scored_mines_in_gem": five["gem_mine_id"].count(), "stage_seconds": stages,
        "peak_memory_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }  # fmt: skip
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/plain_script.py SOURCE_DIR")
    main(Path(sys.argv[1]))
