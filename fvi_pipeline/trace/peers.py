"""Steps to the peers of a mine: the rows of the panel that share a state, an operator or a basin with it, or all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql

from fvi_pipeline.trace.landed import bronze_step
from fvi_pipeline.trace.reader import Moment, Reader, known
from fvi_pipeline.trace.sources import Peers, Source
from fvi_pipeline.trace.step import Step

_FEED = "eia_coal_mines"
_YEARS, _OPERATIONS = "silver_mine_years", "silver_mine_metrics_history"
_ROWS = """
with peers as materialized (
    select years.as_of_year, years.file_id, years.mine_id, years.{column} as value, years.known_at
    from silver.silver_mine_years as years
    inner join silver.silver_mine_years as sharing
        on sharing.mine_id = years.mine_id and sharing.as_of_year = coalesce(%s::int, years.as_of_year)
    where years.as_of_year between %s and %s and {years_known} and {sharing_known} and {shares}
        and (years.msha_id is not null or not %s::boolean)
),
-- once per file: landing finds the rows of a file, not those of a mine
operations as materialized (
    select operations.file_id, operations.mine_id, array_agg(number order by number) as row_numbers
    from silver.silver_mine_metrics_history as operations
    cross join lateral unnest(operations.source_row_numbers) as number
    where operations.file_id = any(array(select distinct peers.file_id from peers))
    group by operations.file_id, operations.mine_id
)
select peers.*, operations.row_numbers
from peers
left join operations using (file_id, mine_id)
order by peers.as_of_year desc, peers.value desc nulls last, peers.mine_id
"""


def peer_steps(reader: Reader, source: Source, peers: Peers, moment: Moment) -> tuple[Step, ...]:
    """What the mine's peers gave to a row of that moment, a step for each year of the source's period.

    There is none when the mine's own row does not say what they would share.
    """
    shared = _shared(reader, peers, moment)
    if shared is None:
        return ()
    years_known, times = known(moment.known_by, "years")
    sharing_known, _ = known(moment.known_by, "sharing")
    shares = [sql.SQL("true"), *(sql.SQL("{} = %s").format(sql.Identifier("sharing", column)) for column in shared)]
    shared_year = None if peers.shared_before is None else moment.as_of_year - peers.shared_before
    found = reader.rows(
        sql.SQL(_ROWS).format(
            column=sql.Identifier(source.column),
            years_known=years_known,
            sharing_known=sharing_known,
            shares=sql.SQL(" and ").join(shares),
        ),
        [shared_year, *_first_and_last(source, moment), *times, *times, *shared.values(), peers.mines_only],
    )
    groups: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in found:
        groups.setdefault((row["as_of_year"], row["file_id"]), []).append(row)
    who = "mines" if peers.mines_only else "rows"
    whose = f"{who} with {', '.join(map(' '.join, shared.items()))}" if shared else f"all {who}"
    when = "" if shared_year is None else f" in {shared_year}"
    return tuple(
        _peer_step(reader, source.column, file_id, f"{year}, {whose}{when}", rows)
        for (year, file_id), rows in groups.items()
    )


def _shared(reader: Reader, peers: Peers, moment: Moment) -> Mapping[str, str] | None:
    if not peers.columns:
        return {}
    condition, times = known(moment.known_by, _YEARS)
    own = reader.rows(
        sql.SQL("select {} from silver.silver_mine_years where mine_id = %s and as_of_year = %s and {}").format(
            sql.SQL(", ").join(map(sql.Identifier, peers.columns)), condition
        ),
        [moment.mine_id, moment.as_of_year, *times],
    )
    return own[0] if own and None not in own[0].values() else None


def _first_and_last(source: Source, moment: Moment) -> tuple[int, int]:
    period = source.period
    if period is None:
        return moment.as_of_year, moment.as_of_year
    first = 0 if period.first is None else moment.as_of_year - period.first
    return first, moment.as_of_year - period.last


def _peer_step(reader: Reader, column: str, file_id: int, which: str, rows: Sequence[dict[str, Any]]) -> Step:
    numbers = [number for row in rows for number in row["row_numbers"] or ()]
    columns = [
        bronze
        for below in reader.lineage.columns_below(_YEARS, column)
        for bronze in reader.lineage.columns_below(_OPERATIONS, below)
    ]
    return Step(
        layer="silver",
        table=f"silver.{_YEARS}",
        column=column,
        row=which,
        value=_total([row["value"] for row in rows]),
        details={"rows": len(rows), "known_at": max(row["known_at"] for row in rows)},
        rows=tuple({"mine_id": row["mine_id"], "value": row["value"], "rows": row["row_numbers"]} for row in rows),
        sources=(bronze_step(reader, _FEED, columns, file_id, numbers),),
    )


def _total(values: Sequence[Any]) -> Any:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return sum(numbers) if numbers else None
