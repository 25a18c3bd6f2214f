"""What a mine's surroundings say, computed anew in polars from silver's rows: the truth for gold_mine_peer_measures and
for the prices in gold_market_measures. Nothing here reads gold.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

COUNTY, STATE, BASIN = ["mine_state", "mine_county"], ["mine_state"], ["mine_basin"]
PEERS, OPERATOR = ["mine_state", "mine_type"], ["operator_key"]
_TONS = pl.col("production_short_tons")


def peer_measures(mine_years: pl.DataFrame, year: int, moment: datetime) -> pl.DataFrame:
    """The measures of every mine in the panel of the year, as known at the moment, by mine."""
    now, before = (_known(mine_years, wanted, moment) for wanted in (year, year - 1))
    produced = before.filter("is_mine", "producing").select("mine_id", *COUNTY, "mine_type", *OPERATOR)
    produced = produced.join(now.select("mine_id", still="producing"), on="mine_id", how="left")
    lost = produced.with_columns(lost=~pl.col("still").fill_null(False))
    mines = now.filter("is_mine")
    of_mines = before.filter("is_mine")
    table = mines
    for name, columns in {"county": COUNTY, "state": STATE, "basin": BASIN}.items():
        table = table.join(_change(now, before, columns, f"{name}_production"), on=columns, how="left")
    table = table.join(_change(mines, of_mines, OPERATOR, "operator_production"), on=OPERATOR, how="left")
    table = table.join(_counts(mines), on=OPERATOR, how="left")
    in_county = mines.group_by(COUNTY).agg(county_mines_producing=pl.col("producing").sum())
    table = table.join(in_county, on=COUNTY, how="left")
    for name, columns in {"county": COUNTY, "state": STATE, "peer": PEERS}.items():
        rate = lost.group_by(columns).agg((1 - pl.col("lost").mean()).alias(f"{name}_continuation_rate_1y"))
        table = table.join(rate, on=columns, how="left")
    for years in (3, 5):
        table = _with_survival_above_us(table, mine_years, year, years, moment)
    hours = now.filter("producing", pl.col("labor_hours") > 0)
    productivity = hours.group_by(PEERS).agg(
        peer_productivity_short_tons_per_hour=_TONS.sum() / pl.col("labor_hours").sum()
    )
    table = table.join(productivity, on=PEERS, how="left")
    producing = mines.filter("producing")
    table = table.join(_rank(producing, STATE, _TONS, "production_rank_in_state"), on="mine_id", how="left")
    hours = producing.filter(pl.col("labor_hours") > 0)
    by_hour = _TONS / pl.col("labor_hours")
    table = table.join(_rank(hours, PEERS, by_hour, "productivity_rank_among_peers"), on="mine_id", how="left")
    tons = [float(sum(rows["production_short_tons"])) for rows in (now, before)]
    others = [_lost_shares(lost, mine, operator) for mine, operator in table.select("mine_id", *OPERATOR).rows()]
    return table.with_columns(
        pl.lit(tons[0] / tons[1] - 1 if tons[1] else None, dtype=pl.Float64).alias("us_production_change_1y"),
        pl.Series("operator_lost_share_1y", [share[0] for share in others], dtype=pl.Float64),
        pl.Series("operator_other_mines_lost_share_1y", [share[1] for share in others], dtype=pl.Float64),
        share_of_county_production=_ratio(_TONS, pl.col("county_production_short_tons")),
        share_of_operator_production=_ratio(_TONS, pl.col("operator_production_short_tons")),
    ).sort("mine_id")


def price_to_mean(prices: pl.DataFrame, column: str, moment: datetime) -> float | None:
    """Mean price of the last twelve known months by that of the last sixty; None unless all sixty are known."""
    known = prices.filter(
        (pl.col("known_at") <= moment)
        & (pl.col("known_until").is_null() | (pl.col("known_until") > moment))
        & (pl.col("month").dt.offset_by("6y") > moment.date())
    )
    newest = known.sort("month", descending=True)[column].head(60).to_list()
    if len(newest) < 60 or None in newest:
        return None
    return float((sum(newest[:12]) / 12) / (sum(newest) / 60))


def _known(mine_years: pl.DataFrame, year: int, moment: datetime) -> pl.DataFrame:
    return mine_years.filter(
        (pl.col("as_of_year") == year)
        & (pl.col("known_at") <= moment)
        & (pl.col("known_until").is_null() | (pl.col("known_until") > moment))
    ).with_columns(producing=_TONS > 0, is_mine=pl.col("msha_id").is_not_null())


def _with_survival_above_us(
    table: pl.DataFrame, mine_years: pl.DataFrame, year: int, years: int, moment: datetime
) -> pl.DataFrame:
    """Of the mines that produced so many years before: the part of a group that still does, less that of all."""
    now = _known(mine_years, year, moment).filter("is_mine", "producing")["mine_id"].to_list()
    earlier = _known(mine_years, year - years, moment).filter("is_mine", "producing")
    still = earlier.with_columns(still=pl.col("mine_id").is_in(now))
    for name, columns in {"county": COUNTY, "peer": PEERS, "operator": OPERATOR}.items():
        above = (pl.col("still").mean() - pl.lit(still["still"].mean())).alias(f"{name}_survival_above_us_{years}y")
        table = table.join(still.group_by(columns).agg(above), on=columns, how="left")
    return table


def _ratio(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole != 0).then(part / whole)


def _change(now: pl.DataFrame, before: pl.DataFrame, columns: list[str], name: str) -> pl.DataFrame:
    tons, earlier = f"{name}_short_tons", "earlier_short_tons"
    both = now.group_by(columns).agg(_TONS.sum().alias(tons))
    both = both.join(before.group_by(columns).agg(_TONS.sum().alias(earlier)), on=columns, how="left")
    change = _ratio(pl.col(tons), pl.col(earlier)) - 1
    return both.select(*columns, tons, change.alias(f"{name}_change_1y"))


def _counts(mines: pl.DataFrame) -> pl.DataFrame:
    states = pl.col("mine_state").filter(pl.col("producing")).drop_nulls().n_unique()
    return mines.group_by(OPERATOR).agg(
        operator_mines_producing=pl.col("producing").sum(), operator_states_producing=states
    )


def _rank(rows: pl.DataFrame, columns: list[str], value: pl.Expr, name: str) -> pl.DataFrame:
    """Part of the others of its group that are below; null for a mine that is alone or in no group."""
    rows = rows.filter(pl.all_horizontal(pl.col(columns).is_not_null())).with_columns(ranked=value)
    rank = (pl.col("ranked").rank("min") - 1) / (pl.len() - 1)
    return rows.select("mine_id", pl.when(pl.len().over(columns) > 1).then(rank.over(columns)).alias(name))


def _lost_shares(lost: pl.DataFrame, mine: str, operator: str | None) -> tuple[float | None, float | None]:
    """Of the operator's mines of the year before, and of those beside the mine itself."""
    of_operator = lost.filter(pl.col("operator_key") == operator)
    return _lost_share(of_operator), _lost_share(of_operator.filter(pl.col("mine_id") != mine))


def _lost_share(mines: pl.DataFrame) -> float | None:
    return int(mines["lost"].sum()) / len(mines) if len(mines) else None
