"""When the facts that a feature may use became known: asked of silver, by the sources that its description names.

This way knows nothing of how gold computes a feature. What follows from the answer is decided in `audit_times`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import sql

from fvi_pipeline.features.errors import AuditError
from fvi_pipeline.trace.sources import Peers, Period, Source

YEARS, PRICES, ENERGY = "silver_mine_years", "silver_commodity_prices", "silver_country_energy"
TRACKER = "silver_mine_tracker_history"
_COUNTRY = "United States"
_ALL_YEARS = 1000

_FACTS: LiteralString = """
create temporary table audit_facts on commit drop as
with {parts}
select subjects.subject_id{columns}
from audit_subjects as subjects
left join audit_years as self
    on self.as_of_year = subjects.as_of_year and self.moment = subjects.moment
    and self.mine_id = subjects.mine_id and self.years_ago = 0
{joins}
"""
# the panel as each point knew it, as far back as sources about peers reach
_YEARS: LiteralString = """
create temporary table audit_years on commit drop as
select
    points.as_of_year, points.moment, points.as_of_year - facts.as_of_year as years_ago,
    facts.mine_id, facts.msha_id is not null as is_mine, facts.known_at{groups}
from audit_points as points
inner join silver.silver_mine_years as facts
    on facts.as_of_year between points.as_of_year - {reach} and points.as_of_year and {held}
"""
_OWN: LiteralString = """
select subjects.subject_id, {selected}
from audit_subjects as subjects
inner join silver.silver_mine_years as facts
    on facts.mine_id = subjects.mine_id and facts.as_of_year <= subjects.as_of_year and {held}
group by subjects.subject_id
"""
_PEERS: LiteralString = """
select facts.as_of_year, facts.moment{groups}, {selected}
from audit_years as facts {sharing}
where {conditions}
group by facts.as_of_year, facts.moment{groups}
"""
_SHARING_BEFORE: LiteralString = """
inner join audit_years as sharing
    on sharing.as_of_year = facts.as_of_year and sharing.moment = facts.moment
    and sharing.mine_id = facts.mine_id and sharing.years_ago = {}
"""
_PRICES: LiteralString = """
select facts.moment, {selected}
from (
    select points.moment, months.*, row_number() over (partition by points.moment order by months.month desc) - 1 as ago
    from (select distinct moment from audit_points) as points
    inner join silver.silver_commodity_prices as months on {held}
) as facts
group by facts.moment
"""
_ENERGY: LiteralString = """
select facts.as_of_year, facts.moment, {selected}
from (
    select
        points.as_of_year, points.moment, years.known_at,
        max(years.as_of_year) over (partition by points.as_of_year, points.moment) - years.as_of_year as ago
    from audit_points as points
    inner join silver.silver_country_energy as years on years.as_of_year <= points.as_of_year and {held}
    where years.country = {country} and years.{column} is not null
) as facts
group by facts.as_of_year, facts.moment
"""
# of the newest release alone: a mine that it does not name has no facts
_TRACKER: LiteralString = """
select subjects.subject_id, {selected}
from audit_subjects as subjects
inner join (
    select points.as_of_year, points.moment, max(releases.release_year) as release_year
    from audit_points as points
    inner join silver.silver_mine_tracker_history as releases
        on releases.release_year <= points.as_of_year and {held_then}
    group by points.as_of_year, points.moment
) as newest on newest.as_of_year = subjects.as_of_year and newest.moment = subjects.moment
inner join silver.silver_mine_tracker_history as facts
    on facts.mine_id = subjects.mine_id and facts.release_year = newest.release_year and {held}
group by subjects.subject_id
"""


@dataclass(frozen=True)
class _Part:
    """A query of its own, how its rows are joined to the subjects, and the columns that it answers with."""

    name: str
    query: sql.Composable
    join: sql.Composable
    columns: tuple[str, ...]


def write_facts(
    connection: psycopg.Connection, sources: Iterable[Source], copied: Iterable[Source] = ()
) -> tuple[Mapping[Source, str], Mapping[Source, str]]:
    """Fill the temporary table `audit_facts`, a row for each of `audit_subjects` (whose columns `judge` names).

    A source's column has the newest known_at of the facts that it names and that held at the moment, null without any.
    A copied source (one year of the mine's own) also gets a column with the fact itself.

    Returns:
        The column of each source, and the column of each copied one. Sources of the same facts share one.

    Raises:
        AuditError: a source is of a model whose facts cannot be asked.
    """
    columns: dict[Source, str] = {}
    named = list(sources)
    for source in named:
        columns.setdefault(_asked(source), f"facts_{len(columns)}")
    values = {source: f"value_{number}" for number, source in enumerate(dict.fromkeys(copied))}
    connection.execute("drop table if exists pg_temp.audit_facts, pg_temp.audit_points, pg_temp.audit_years")
    connection.execute(
        "create temporary table audit_points on commit drop as select distinct as_of_year, moment from audit_subjects"
    )
    connection.execute("analyze audit_points")
    _write_years(connection, [source for source in columns if source.peers is not None])
    parts = [
        *_own(columns, values),
        *_shared(columns),
        *_prices(columns),
        *(_energy(source, column) for source, column in columns.items() if source.model == ENERGY),
        *_tracker(columns),
    ]
    connection.execute(
        sql.SQL(_FACTS).format(
            parts=sql.SQL(", ").join(
                sql.SQL("{} as materialized ({})").format(sql.Identifier(part.name), part.query) for part in parts
            ),
            columns=sql.SQL("").join(
                sql.SQL(", {}").format(sql.Identifier(part.name, column)) for part in parts for column in part.columns
            ),
            joins=sql.SQL(" ").join(part.join for part in parts),
        )
    )
    return {source: columns[_asked(source)] for source in named}, values


def _asked(source: Source) -> Source:
    """The source without what does not change the answer: a row of the panel is known as a whole."""
    if source.model not in (YEARS, PRICES, ENERGY, TRACKER):
        raise AuditError(
            f"The audit cannot ask when the facts of {source.text} became known. Name a source in {YEARS}, {PRICES}, "
            f"{ENERGY} or {TRACKER}."
        )
    column = "" if source.model == YEARS else source.column
    return Source("", source.model, column, _period(source), source.peers, source.country)


def _period(source: Source) -> Period:
    if source.period is None:
        raise AuditError(f"The source {source.text} names no period. Write one, such as [t].")
    return source.period


def _in_period(source: Source, ago: LiteralString) -> sql.Composed:
    """Whether the steps before the anchor (an expression) are in the source's period."""
    period = _period(source)
    upper = sql.SQL("") if period.first is None else sql.SQL(" and {} <= {}").format(sql.SQL(ago), period.first)
    return sql.SQL("{} >= {}{}").format(sql.SQL(ago), period.last, upper)


def _held(facts: str, at: str) -> sql.Composed:
    """The rows that held at a subject's or point's moment, by their own times, whatever file they say to be of."""
    return sql.SQL("{0}.known_at <= {1}.moment and ({0}.known_until is null or {0}.known_until > {1}.moment)").format(
        sql.Identifier(facts), sql.Identifier(at)
    )


def _newest(condition: sql.Composable, column: str) -> sql.Composed:
    return sql.SQL("max(facts.known_at) filter (where {}) as {}").format(condition, sql.Identifier(column))


def _stated(source: Source) -> sql.Composed:
    return sql.SQL("facts.{} is not null").format(sql.Identifier(source.column))


def _joined(name: str, keys: Sequence[str], further: Sequence[sql.Composable] = ()) -> sql.Composed:
    on = [sql.SQL("{0}.{1} = subjects.{1}").format(sql.Identifier(name), sql.Identifier(key)) for key in keys]
    return sql.SQL("left join {} on {}").format(sql.Identifier(name), sql.SQL(" and ").join([*on, *further]))


def _write_years(connection: psycopg.Connection, shared: Sequence[Source]) -> None:
    firsts = [_period(source).first for source in shared]
    groups = dict.fromkeys(column for source in shared if source.peers for column in source.peers.columns)
    connection.execute(
        sql.SQL(_YEARS).format(
            groups=sql.SQL("").join(sql.SQL(", {}").format(sql.Identifier("facts", column)) for column in groups),
            reach=max((_ALL_YEARS if first is None else first for first in firsts), default=0),
            held=_held("facts", "points"),
        )
    )
    connection.execute("analyze audit_years")


def _own(columns: Mapping[Source, str], values: Mapping[Source, str]) -> list[_Part]:
    own = {source: column for source, column in columns.items() if source.model == YEARS and source.peers is None}
    if not own:
        return []
    ago: LiteralString = "(subjects.as_of_year - facts.as_of_year)"
    selected = [_newest(_in_period(source, ago), column) for source, column in own.items()]
    selected += [
        sql.SQL("max({}) filter (where {}) as {}").format(
            sql.Identifier("facts", source.column), _in_period(source, ago), sql.Identifier(column)
        )
        for source, column in values.items()
    ]
    query = sql.SQL(_OWN).format(selected=sql.SQL(", ").join(selected), held=_held("facts", "subjects"))
    return [_Part("own", query, _joined("own", ("subject_id",)), (*own.values(), *values.values()))]


def _shared(columns: Mapping[Source, str]) -> list[_Part]:
    """Whom a mine shares something with is said by its own row of year t; null is never shared."""
    groups: dict[Peers, dict[Source, str]] = {}
    for source, column in columns.items():
        if source.peers is not None:
            groups.setdefault(source.peers, {})[source] = column
    return [_peers(f"peers_{number}", peers, named) for number, (peers, named) in enumerate(groups.items())]


def _peers(name: str, peers: Peers, columns: Mapping[Source, str]) -> _Part:
    of = "facts" if peers.shared_before is None else "sharing"
    groups = [sql.Identifier(of, group) for group in peers.columns]
    conditions: list[sql.Composable] = [sql.SQL("{} is not null").format(group) for group in groups]
    if peers.mines_only:
        conditions.append(sql.SQL("facts.is_mine"))
    sharing: sql.Composable = sql.SQL("")
    if peers.shared_before is not None:
        sharing = sql.SQL(_SHARING_BEFORE).format(peers.shared_before)
    query = sql.SQL(_PEERS).format(
        groups=sql.SQL("").join(sql.SQL(", {}").format(group) for group in groups),
        selected=sql.SQL(", ").join(
            _newest(_in_period(source, "facts.years_ago"), column) for source, column in columns.items()
        ),
        sharing=sharing,
        conditions=sql.SQL(" and ").join(conditions or [sql.SQL("true")]),
    )
    same = [
        sql.SQL("{} = {}").format(sql.Identifier(name, group), sql.Identifier("self", group)) for group in peers.columns
    ]
    return _Part(name, query, _joined(name, ("as_of_year", "moment"), same), tuple(columns.values()))


def _prices(columns: Mapping[Source, str]) -> list[_Part]:
    prices = {source: column for source, column in columns.items() if source.model == PRICES}
    if not prices:
        return []
    selected = [
        _newest(sql.SQL("{} and {}").format(_in_period(source, "facts.ago"), _stated(source)), column)
        for source, column in prices.items()
    ]
    query = sql.SQL(_PRICES).format(selected=sql.SQL(", ").join(selected), held=_held("months", "points"))
    return [_Part("prices", query, _joined("prices", ("moment",)), tuple(prices.values()))]


def _energy(source: Source, column: str) -> _Part:
    query = sql.SQL(_ENERGY).format(
        selected=_newest(_in_period(source, "facts.ago"), column),
        held=_held("years", "points"),
        country=source.country_for(_COUNTRY),
        column=sql.Identifier(source.column),
    )
    name = f"energy_{column}"
    return _Part(name, query, _joined(name, ("as_of_year", "moment")), (column,))


def _tracker(columns: Mapping[Source, str]) -> list[_Part]:
    tracker = {source: column for source, column in columns.items() if source.model == TRACKER}
    if not tracker:
        return []
    query = sql.SQL(_TRACKER).format(
        selected=sql.SQL(", ").join(_newest(_stated(source), column) for source, column in tracker.items()),
        held_then=_held("releases", "points"),
        held=_held("facts", "subjects"),
    )
    return [_Part("tracker", query, _joined("tracker", ("subject_id",)), tuple(tracker.values()))]
