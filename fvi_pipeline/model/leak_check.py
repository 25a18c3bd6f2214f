"""Looks for the future among the features of a training set: the mine's own facts of next year, under whatever name.

Names and definitions are not read, only values, so that a wrong join or an off-by-one year is found as well. When a
fact may be known is decided in gold; whether a candidate passes, in `gate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import psycopg
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from fvi_pipeline.model.dataset import HORIZON
from fvi_pipeline.model.errors import DatasetError

FACTS = ("production_short_tons", "average_employees", "labor_hours")
_NEXT = "_next_year"
_NOW = "_this_year"
_SAME = 1e-6  # relative; features may have been through float32


class LeakPolicy(BaseModel):
    """How near to the future a feature may come. In brackets the nearest of the 92 lawful ones on the U.S. panel,
    before standard errors are taken off; next year's production with noise of 30% has a rank correlation of 0.95.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    exact_share: float = Field(default=0.2, gt=0, le=1)
    """Share of rows whose value is next year's fact and not this year's (0.02: small numbers of people and mines)."""
    partial_correlation: float = Field(default=0.55, gt=0, lt=1)
    """Rank correlation with next year's fact, this year's being given (0.43: employees)."""
    change_correlation: float = Field(default=0.55, gt=0, lt=1)
    """Rank correlation with next year's change of a fact (0.33: underground hours per employee)."""
    own_auc: float = Field(default=0.92, gt=0.5, lt=1)
    """AUC of the feature alone for production in the next year, within as-of years (0.79: labor hours)."""
    missing_auc: float = Field(default=0.65, gt=0.5, lt=1)
    """The same of its being missing (0.55: the kind of operator)."""
    minimum_rows: int = Field(default=100, ge=10)
    minimum_closures: int = Field(default=10, ge=2)
    standard_errors: float = Field(default=3.0, ge=0)
    """A bound counts as exceeded when the measure exceeds it by so many standard errors."""
    maximum_rows: int = Field(default=25_000, ge=1000)
    """Of more rows, every k-th mine is taken, with all its years."""


@dataclass(frozen=True)
class Leak:
    """A feature that knows too much: of which fact, by which measure."""

    feature: str
    fact: str
    measure: str
    value: float
    bound: float

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"{self.feature} looks like {self.fact}: {self.measure} is {self.value:.3f}, and lawful features stay "
            f"below {self.bound:g}."
        )


@dataclass(frozen=True)
class LeakReport:
    """What was found, and which of the other features comes nearest by each measure."""

    leaks: list[Leak]
    nearest: dict[str, tuple[str, float]]
    features: int
    rows: int

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.leaks

    def metrics(self) -> dict[str, float]:
        """Flat numbers for the ledger."""
        nearest = {f"leak_nearest_{measure.replace(' ', '_')}": value for measure, (_, value) in self.nearest.items()}
        return {"leaks": float(len(self.leaks)), "leak_rows": float(self.rows), **nearest}

    def sentences(self) -> list[str]:
        """One for each feature, by its plainest sign."""
        plainest: dict[str, Leak] = {}
        for leak in self.leaks:
            known = plainest.get(leak.feature)
            if known is None or leak.value - leak.bound > known.value - known.bound:
                plainest[leak.feature] = leak
        return [plainest[name].sentence for name in sorted(plainest)]


def facts_as_first_released(connection: psycopg.Connection) -> pl.DataFrame:
    """Each mine's own facts by year (mine_id, as_of_year, FACTS), as the first release of the year had them."""
    rows = connection.execute(
        "select years.mine_id, years.as_of_year, years.production_short_tons, years.average_employees, "
        "years.labor_hours from silver.silver_mine_years as years "
        "inner join gold.gold_vintage_releases as releases on releases.file_id = years.file_id "
        "and releases.as_of_year = years.as_of_year and releases.fact_year = years.as_of_year "
        "inner join gold.gold_vintages as vintages on vintages.as_of_year = releases.as_of_year "
        "and vintages.created_timestamp = releases.created_timestamp and vintages.is_first"
    ).fetchall()
    schema = {"mine_id": pl.String, "as_of_year": pl.Int64} | dict.fromkeys(FACTS, pl.Float64)
    return pl.DataFrame(rows, schema=schema, orient="row")


def find_leaks(
    frame: pl.DataFrame, feature_names: Sequence[str], facts: pl.DataFrame, policy: LeakPolicy | None = None
) -> LeakReport:
    """Compare each feature with the mine's own facts of the year after.

    Args:
        frame: training rows: mine_id, as_of_year, horizon_years, features; the features of a mine and year are the
            same at every horizon.
        feature_names: the columns to look at.
        facts: mine_id, as_of_year and the facts of that year as first released; one row per mine and year.
        policy: the bounds; the defaults when None.

    Raises:
        DatasetError: a feature is not a column of the frame.
    """
    policy = policy or LeakPolicy()
    absent = [name for name in feature_names if name not in frame.columns]
    if absent:
        raise DatasetError(f"The training frame lacks the columns {absent}. Add them, or look at the others only.")
    rows = _beside_next_year(frame, feature_names, facts, policy.maximum_rows)
    columns = {name: rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in feature_names}
    mines = rows["mine_id"].rank("dense").to_numpy()
    measured: list[Leak] = []
    ranked: dict[tuple[str, bytes], _RankedFact] = {}
    for fact in (name for name in facts.columns if name not in ("mine_id", "as_of_year")):
        now = rows[fact + _NOW].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        later = rows[fact + _NEXT].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        for name, values in columns.items():
            known = np.isfinite(values) & (now > 0) & (later > 0)
            if known.sum() >= policy.minimum_rows:
                key = (fact, known.tobytes())  # most features are missing together
                ranked[key] = ranked.get(key) or _RankedFact(now[known], later[known], mines[known])
                measured += _beside_fact(name, fact, values[known], ranked[key], policy)
    measured += _alone(rows, feature_names, policy)
    leaks = [entry for entry in measured if entry.value > entry.bound]
    suspects = {leak.feature for leak in leaks}
    nearest: dict[str, tuple[str, float]] = {}
    for entry in measured:
        if entry.feature not in suspects and entry.value > nearest.get(entry.measure, ("", -1.0))[1]:
            nearest[entry.measure] = (entry.feature, entry.value)
    return LeakReport(leaks, nearest, len(feature_names), rows.height)


def _beside_next_year(
    frame: pl.DataFrame, names: Sequence[str], facts: pl.DataFrame, maximum_rows: int
) -> pl.DataFrame:
    rows = frame.filter(pl.col(HORIZON) == pl.col(HORIZON).min().over("mine_id", "as_of_year"))
    rows = rows.select("mine_id", "as_of_year", *names)
    years = facts["as_of_year"].unique().to_list()
    rows = rows.filter((pl.col("as_of_year") + 1).is_in(years))
    if rows.height > maximum_rows:
        mines = rows["mine_id"].unique().sort()
        rows = rows.filter(pl.col("mine_id").is_in(mines.gather_every(-(-rows.height // maximum_rows)).implode()))
    measures = [name for name in facts.columns if name not in ("mine_id", "as_of_year")]
    this_year = facts.rename({name: name + _NOW for name in measures})
    next_year = facts.with_columns(pl.col("as_of_year") - 1).rename({name: name + _NEXT for name in measures})
    keys = ["mine_id", "as_of_year"]
    rows = rows.join(this_year, on=keys, how="left").join(next_year, on=keys, how="left")
    # a mine that the next year's file does not have did not produce in it
    closed = (pl.col(FACTS[0] + _NEXT).fill_null(0) <= 0) if FACTS[0] in measures else pl.lit(False)
    return rows.with_columns(closed.alias("closed"))


class _RankedFact:
    """A fact of this year and the next for the mines that go on, as ranks; those that close are judged by `_alone`."""

    def __init__(self, now: NDArray[np.float64], later: NDArray[np.float64], mines: NDArray[np.int64]) -> None:
        self.later = later
        self.moved = np.abs(later - now) > _SAME * later
        self.ranks = [_ranks(part) for part in (later, now, later / now)]
        self.varies = all(np.ptp(row) for row in self.ranks)
        self.mines = len(np.unique(mines))


def _beside_fact(
    name: str, fact: str, values: NDArray[np.float64], beside: _RankedFact, policy: LeakPolicy
) -> list[Leak]:
    what = f"next year's {fact}"
    found = []
    moved = beside.moved
    if moved.sum() >= policy.minimum_rows:
        share = float((np.abs(values - beside.later)[moved] <= _SAME * beside.later[moved]).mean())
        found.append(Leak(name, what, "share of equal values", share, policy.exact_share))
    if not beside.varies or not np.ptp(values):
        return found
    correlation = np.asarray(np.corrcoef(np.stack([_ranks(values), *beside.ranks])), dtype=np.float64)
    spare = (1 - correlation[0, 2] ** 2) * (1 - correlation[1, 2] ** 2)
    partial = (correlation[0, 1] - correlation[0, 2] * correlation[1, 2]) / np.sqrt(spare) if spare > 1e-9 else 0.0
    error = policy.standard_errors / np.sqrt(beside.mines)
    for measure, value, bound in (
        ("rank correlation beyond this year", partial, policy.partial_correlation),
        ("rank correlation with its change", correlation[0, 3], policy.change_correlation),
    ):
        found.append(Leak(name, what, measure, _less(abs(float(value)), error), bound))
    return found


def _alone(rows: pl.DataFrame, names: Sequence[str], policy: LeakPolicy) -> list[Leak]:
    """How well each feature, and its being missing, tells the mines that produce in the next year from the others of
    the same as-of year.
    """
    what = "production in the next year"
    closed, going = pl.col("closed"), ~pl.col("closed")
    expressions = []
    for name in names:
        value = pl.col(name).cast(pl.Float64).fill_nan(None)
        known = value.is_not_null()
        expressions += [
            value.rank("average").filter(going).sum().alias(f"{name} ranks"),
            (known & going).sum().cast(pl.Float64).alias(f"{name} going"),
            (known & closed).sum().cast(pl.Float64).alias(f"{name} closed"),
        ]
    by_year = rows.group_by("as_of_year").agg(
        *expressions, going.sum().cast(pl.Float64).alias("going"), closed.sum().cast(pl.Float64).alias("closed")
    )
    all_going, all_closed = by_year["going"].to_numpy(), by_year["closed"].to_numpy()
    pairs = all_going * all_closed
    if all_closed.sum() < policy.minimum_closures or not pairs.sum():
        return []
    found = []
    for name in names:
        ranks, positive, negative = (by_year[f"{name} {part}"].to_numpy() for part in ("ranks", "going", "closed"))
        if negative.sum() >= policy.minimum_closures and (positive * negative).sum():
            auc = float((ranks - positive * (positive + 1) / 2).sum() / (positive * negative).sum())
            found.append(_ranking(name, what, "AUC alone", auc, float(negative.sum()), policy.own_auc, policy))
        # the indicator's AUC: pairs of which only the closed one lacks the value, and half of the ties
        missing_closed, missing_going = all_closed - negative, all_going - positive
        ordered = missing_closed * positive + (missing_closed * missing_going + negative * positive) / 2
        auc = float(ordered.sum() / pairs.sum())
        found.append(
            _ranking(name, what, "AUC of being missing", auc, float(all_closed.sum()), policy.missing_auc, policy)
        )
    return found


def _ranking(name: str, what: str, measure: str, auc: float, closures: float, bound: float, policy: LeakPolicy) -> Leak:
    auc = max(auc, 1 - auc)
    error = policy.standard_errors * np.sqrt(auc * (1 - auc) / closures)
    return Leak(name, what, measure, max(0.5, auc - float(error)), bound)


def _less(correlation: float, error: float) -> float:
    """The correlation less its error, on the scale of Fisher."""
    return max(0.0, float(np.tanh(np.arctanh(min(correlation, 1 - 1e-9)) - error)))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.stats import rankdata

    return np.asarray(rankdata(values), dtype=np.float64)
