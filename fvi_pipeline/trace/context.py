"""Steps through what surrounds a mine: commodity prices, a country's energy, and what the tracker says, now or then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import sql

from fvi_pipeline.trace.landed import bronze_step
from fvi_pipeline.trace.reader import Moment, Reader, known
from fvi_pipeline.trace.sources import Source
from fvi_pipeline.trace.step import Step

_PRICES, _ENERGY, _PROFILES = "silver_commodity_prices", "silver_country_energy", "silver_mine_profiles"
_TRACKER = "silver_mine_tracker_history"
_ENERGY_FEEDS = (("owid_energy", "energy_file_id"), ("owid_co2", "emissions_file_id"))


def price_steps(reader: Reader, source: Source, moment: Moment) -> tuple[Step, ...]:
    """The months of a price that were the newest at the moment, a step for each file that they come from."""
    condition, times = known(moment.known_by, _PRICES)
    period = source.period
    last, first = (period.last, period.first or 0) if period else (0, 0)
    found = reader.rows(
        sql.SQL(
            "select month, file_id, source_row_number, {} as value, {} from silver.silver_commodity_prices "
            "where {} order by month desc offset %s limit %s"
        ).format(sql.Identifier(source.column), reader.validity(_PRICES), condition),
        [*times, last, first - last + 1],
    )
    by_file: dict[int, list[dict[str, Any]]] = {}
    for row in found:
        by_file.setdefault(row["file_id"], []).append(row)
    below = reader.lineage.columns_below(_PRICES, source.column)
    steps = []
    for file_id, rows in by_file.items():
        numbers = [row["source_row_number"] for row in rows]
        months = f"{rows[-1]['month']:%Y-%m}" + (f" to {rows[0]['month']:%Y-%m}" if len(rows) > 1 else "")
        steps.append(
            Step(
                layer="silver",
                table=f"silver.{_PRICES}",
                column=source.column,
                row=months,
                value=rows[0]["value"] if len(rows) == 1 else None,
                details={"rows": len(rows), "known_at": max(row["known_at"] for row in rows)},
                rows=tuple({name: row[name] for name in ("month", "value", "known_at", "known_until")} for row in rows),
                sources=(bronze_step(reader, "world_bank_prices", below, file_id, numbers),),
            )
        )
    return tuple(steps)


def energy_steps(reader: Reader, source: Source, moment: Moment, country: str | None) -> tuple[Step, ...]:
    """The years of a country's figure that were the newest at the moment."""
    condition, times = known(moment.known_by, _ENERGY)
    found = reader.rows(
        sql.SQL(
            "select as_of_year, energy_file_id, emissions_file_id, {column} as value, {validity} "
            "from silver.silver_country_energy where country = %s and as_of_year <= %s and {known} "
            "order by as_of_year desc"
        ).format(column=sql.Identifier(source.column), validity=reader.validity(_ENERGY), known=condition),
        [country, moment.as_of_year, *times],
    )
    newest = next((row["as_of_year"] for row in found if row["value"] is not None), None)
    if newest is None or source.period is None:
        return ()
    return tuple(
        _energy_step(reader, source.column, str(country), row)
        for row in found
        if source.period.holds(row["as_of_year"], newest)
    )


def _energy_step(reader: Reader, column: str, country: str, row: dict[str, Any]) -> Step:
    below = reader.lineage.columns_below(_ENERGY, column)
    feed, file_column = next(
        (found for found in _ENERGY_FEEDS if set(below) <= reader.columns("bronze", f"bronze_{found[0]}")),
        _ENERGY_FEEDS[0],
    )
    file_id = row[file_column]
    numbers = reader.rows(
        sql.SQL(
            "select bronze.row_number from {} as bronze "
            "left join silver.country_aliases as aliases on aliases.published_name = bronze.country "
            "where bronze.file_id = %s and bronze.as_of_year = %s and coalesce(aliases.country, bronze.country) = %s"
        ).format(sql.Identifier("bronze", f"bronze_{feed}")),
        [file_id, row["as_of_year"], country],
    )
    return Step(
        layer="silver",
        table=f"silver.{_ENERGY}",
        column=column,
        row=f"{country}, {row['as_of_year']}",
        value=row["value"],
        details={name: row[name] for name in ("known_at", "known_until")},
        sources=(bronze_step(reader, feed, below, file_id, [found["row_number"] for found in numbers]),),
    )


def tracker_steps(reader: Reader, source: Source, moment: Moment) -> tuple[Step, ...]:
    """What the newest release of the tracker that describes a year up to t said of the mine at the moment."""
    condition, times = known(moment.known_by, "facts")
    newest, _ = known(moment.known_by, "releases")
    found = reader.rows(
        sql.SQL(
            "select release_year, {column} as value, {validity} from silver.silver_mine_tracker_history as facts "
            "where mine_id = %s and {known} and release_year = (select max(release_year) "
            "from silver.silver_mine_tracker_history as releases where release_year <= %s and {newest})"
        ).format(
            column=sql.Identifier(source.column), validity=reader.validity(_TRACKER), known=condition, newest=newest
        ),
        [moment.mine_id, *times, moment.as_of_year, *times],
    )
    return tuple(_tracker_step(reader, source.column, moment.mine_id, row) for row in found)


def _tracker_step(reader: Reader, column: str, mine_id: str, row: dict[str, Any]) -> Step:
    gem_mines = reader.rows(
        "select distinct gem_mine_id from bronze.bronze_gem_coal_mines "
        "where 'msha:' || msha_id = %s and known_at <= %s order by 1",
        [mine_id, row["known_at"]],
    )
    gem_mine_ids = [found["gem_mine_id"] for found in gem_mines]
    return Step(
        layer="silver",
        table=f"silver.{_TRACKER}",
        column=column,
        row=f"{mine_id}, release of {row['release_year'] + 1}",
        value=row["value"],
        details={"tracker_mines": gem_mine_ids, "known_at": row["known_at"], "known_until": row["known_until"]},
        sources=_tracker_rows(reader, reader.lineage.columns_below(_TRACKER, column), gem_mine_ids, row["known_at"]),
    )


def profile_steps(reader: Reader, source: Source, mine_id: str) -> tuple[Step, ...]:
    """What the tracker says of a mine now, or of the mines that share something with it."""
    mines = reader.rows("select mine_id from silver.silver_mine_profiles where mine_id = %s", [mine_id])
    if source.peers is not None:
        shares = sql.SQL(" and ").join(
            sql.SQL("others.{0} = own.{0}").format(sql.Identifier(column)) for column in source.peers.columns
        )
        mines = reader.rows(
            sql.SQL(
                "select others.mine_id from silver.silver_mine_profiles as own "
                "inner join silver.silver_mine_profiles as others on {} where own.mine_id = %s order by 1"
            ).format(shares),
            [mine_id],
        )
    return _profile_steps(reader, source.column, [row["mine_id"] for row in mines])


def _profile_steps(reader: Reader, column: str, mine_ids: Sequence[str]) -> tuple[Step, ...]:
    found = reader.rows(
        sql.SQL(
            "select mine_id, gem_mine_ids, tracker_status, tracker_known_at, {} as value "
            "from silver.silver_mine_profiles where mine_id = any(%s) and gem_mine_ids is not null order by 1"
        ).format(sql.Identifier(column)),
        [list(mine_ids)],
    )
    return tuple(_profile_step(reader, column, row) for row in found)


def _profile_step(reader: Reader, column: str, row: dict[str, Any]) -> Step:
    below = reader.lineage.columns_below(_PROFILES, column)
    return Step(
        layer="silver",
        table=f"silver.{_PROFILES}",
        column=column,
        row=row["mine_id"],
        value=row["value"],
        details={
            "tracker_mines": row["gem_mine_ids"],
            "tracker_status": row["tracker_status"],
            "known_at": row["tracker_known_at"],
        },
        sources=_tracker_rows(reader, below, row["gem_mine_ids"]),
    )


def _tracker_rows(
    reader: Reader, columns: Sequence[str], gem_mine_ids: Sequence[str], known_by: datetime | None = None
) -> tuple[Step, ...]:
    """The rows of the tracker's mines in the newest file of each sheet, of those known by a time."""
    landed = reader.rows(
        "select file_id, part, array_agg(row_number order by row_number) as numbers "
        "from bronze.bronze_gem_coal_mines where gem_mine_id = any(%s) and (part, file_id) in ("
        # a release that comes as CSV has a file for each sheet
        "select distinct on (part) part, file_id from bronze.bronze_gem_coal_mines "
        "where known_at <= coalesce(%s, 'infinity'::timestamptz) "
        "order by part, known_at desc, file_id desc) group by 1, 2 order by 1, 2",
        [list(gem_mine_ids), known_by],
    )
    return tuple(
        bronze_step(reader, "gem_coal_mines", columns, found["file_id"], found["numbers"], found["part"])
        for found in landed
    )
