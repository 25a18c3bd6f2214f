"""Steps in gold: a feature or a metric of a mine and year, at the moment at which it was known."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import sql

from fvi_pipeline.trace.context import energy_steps, price_steps, profile_steps, tracker_steps
from fvi_pipeline.trace.errors import TraceError
from fvi_pipeline.trace.panel import year_steps
from fvi_pipeline.trace.reader import Moment, Reader
from fvi_pipeline.trace.sources import Source
from fvi_pipeline.trace.step import Step

FEATURES, METRICS = "gold_mine_features", "gold_mine_index_metrics"
_HISTORY = "gold_mine_feature_history"


def feature_step(reader: Reader, column: str, mine_id: str, year: int, as_of: datetime | None) -> Step:
    """A feature at the newest vintage (known by `as_of`), with what it is computed from.

    Raises:
        TraceError: the mine has no such row, or it was not known then.
    """
    vintages = reader.rows(
        sql.SQL(
            "select event_timestamp, created_timestamp, newest_fact_known_at, {} as value "
            "from gold.gold_mine_feature_history where mine_id = %s and as_of_year = %s order by created_timestamp"
        ).format(sql.Identifier(column)),
        [mine_id, year],
    )
    if not vintages:
        raise TraceError(_no_row(reader, mine_id, year, _HISTORY))
    row = _newest(vintages, as_of, mine_id, year)
    moment = Moment(mine_id, year, row["created_timestamp"])
    return Step(
        layer="gold",
        table=f"gold.{FEATURES if row is vintages[-1] else _HISTORY}",
        column=column,
        row=f"{mine_id}, {year}",
        value=row["value"],
        details={
            "event_timestamp": row["event_timestamp"],
            "created_timestamp": row["created_timestamp"],
            "newest_fact_known_at": row["newest_fact_known_at"],
            "vintage": f"{vintages.index(row) + 1} of {len(vintages)}",
        },
        sources=tuple(
            step
            for source in reader.lineage.sources(FEATURES, column)
            for step in _source_steps(reader, source, moment, "United States")
        ),
    )


def metric_step(reader: Reader, column: str, mine_id: str, year: int, as_of: datetime | None) -> Step:
    """A metric of the index at the newest moment (known by `as_of`), with what it is computed from.

    Raises:
        TraceError: the mine has no such row, or it was not known then.
    """
    moments = reader.rows(
        sql.SQL(
            "select event_timestamp, created_timestamp, is_current, country, {} as value "
            "from gold.gold_mine_index_metrics where mine_id = %s and as_of_year = %s order by created_timestamp"
        ).format(sql.Identifier(column)),
        [mine_id, year],
    )
    if not moments:
        raise TraceError(_no_row(reader, mine_id, year, METRICS))
    row = _newest(moments, as_of, mine_id, year)
    moment = Moment(mine_id, year, row["created_timestamp"])
    in_panel = bool(
        reader.rows(
            "select from gold.gold_mine_feature_history where mine_id = %s and as_of_year = %s limit 1", [mine_id, year]
        )
    )
    sources = [
        source
        for source in reader.lineage.sources(METRICS, column)
        if source.members in (None, "panel" if in_panel else "tracker")
        # what the tracker says belongs to the current row alone
        and (row["is_current"] or source.model != "silver_mine_profiles")
    ]
    return Step(
        layer="gold",
        table=f"gold.{METRICS}",
        column=column,
        row=f"{mine_id}, {year}",
        value=row["value"],
        details={
            "event_timestamp": row["event_timestamp"],
            "created_timestamp": row["created_timestamp"],
            "is_current": row["is_current"],
        },
        sources=tuple(step for source in sources for step in _source_steps(reader, source, moment, row["country"])),
    )


def _source_steps(reader: Reader, source: Source, moment: Moment, country: str | None) -> tuple[Step, ...]:
    if source.model == "silver_mine_years":
        return year_steps(reader, source, moment)
    if source.model == "silver_commodity_prices":
        return price_steps(reader, source, moment)
    if source.model == "silver_country_energy":
        return energy_steps(reader, source, moment, source.country_for(country))
    if source.model == "silver_mine_tracker_history":
        return tracker_steps(reader, source, moment)
    if source.model == "silver_mine_profiles":
        return profile_steps(reader, source, moment.mine_id)
    if source.model in (FEATURES, _HISTORY):
        return (feature_step(reader, source.column, moment.mine_id, moment.as_of_year, moment.known_by),)
    raise TraceError(
        f"The way through {source.model} is not known (a source of the dbt project says {source.text}). "
        "Describe a source in silver_mine_years, silver_commodity_prices, silver_country_energy, silver_mine_profiles, "
        "silver_mine_tracker_history or gold_mine_feature_history."
    )


def _newest(rows: list[dict[str, Any]], as_of: datetime | None, mine_id: str, year: int) -> dict[str, Any]:
    known = [row for row in rows if as_of is None or row["created_timestamp"] <= as_of]
    if not known:
        raise TraceError(
            f"Nothing about {mine_id} in {year} was known by {as_of:%Y-%m-%d %H:%M} UTC; "
            f"it was first known on {rows[0]['created_timestamp']:%Y-%m-%d}. Choose a later --as-of."
        )
    return known[-1]


def _no_row(reader: Reader, mine_id: str, year: int, model: str) -> str:
    found = reader.rows(
        sql.SQL("select min(as_of_year) as first, max(as_of_year) as last from {} where mine_id = %s").format(
            sql.Identifier("gold", model)
        ),
        [mine_id],
    )[0]
    if found["first"] is None:
        return f"gold.{model} has no row of {mine_id}. A mine without a production history has index metrics only."
    return f"gold.{model} has no row of {mine_id} for {year}; it has years from {found['first']} to {found['last']}."
