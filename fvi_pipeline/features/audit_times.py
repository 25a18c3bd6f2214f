"""Whether a value of gold may stand at a moment: gold's own claims beside silver's times, feature by feature.

The rows to judge are handed over in a temporary table; which rows these are is decided in `audit`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import LiteralString

import psycopg
from psycopg import sql

from fvi_pipeline.features.audit_facts import YEARS, write_facts
from fvi_pipeline.features.catalogue import FeatureColumn
from fvi_pipeline.features.groups import OWN, PEERS, FactGroup, groups_of
from fvi_pipeline.trace.sources import Source, parse_source

_REASONS = (
    "the row is of another as-of year",
    "its vintage reads a file that became known later, or one of a later year",
    "gold used a fact that became known later",
    "gold names no time at which its facts became known",
    "none of the facts that one of its sources names was known then",
    "one of its sources names a newer fact than gold says it used",
    "the value is not that of the fact that it is named after",
)
# sizes of joins on both times cannot be estimated: a nested loop or a merge over them takes minutes, a hash a second
_PLANNER: LiteralString = """
set local jit = off; set local enable_nestloop = off; set local enable_mergejoin = off; set local work_mem = '128MB'
"""
_HISTORY: LiteralString = """
left join gold.gold_mine_feature_history as history
    on history.mine_id = subjects.mine_id
    and history.event_timestamp = subjects.event_timestamp
    and history.created_timestamp = subjects.moment
"""
_MARKS: LiteralString = """
create temporary table audit_marks on commit drop as
with faulty_vintages as materialized (
    select distinct releases.as_of_year, releases.created_timestamp
    from gold.gold_vintage_releases as releases
    left join landing.files using (file_id)
    where (
        files.known_at <= releases.created_timestamp
        and releases.fact_year <= releases.as_of_year
        and files.period = releases.fact_year::text
    ) is not true
)
select subjects.*{marks}
from audit_subjects as subjects
inner join audit_facts as facts using (subject_id)
{history}
left join faulty_vintages
    on faulty_vintages.as_of_year = history.as_of_year
    and faulty_vintages.created_timestamp = history.created_timestamp
"""
_JUDGED: LiteralString = "from audit_marks as subjects inner join audit_facts as facts using (subject_id) "


@dataclass(frozen=True)
class FeatureAudit:
    """What the audit found about one feature, or about the outcome.

    Attributes:
        feature: its name.
        rows: rows that were checked.
        rows_with_value: rows in which it is not null.
        least_lead: the least time between a row's newest fact and its moment; of the outcome, between the moment and
            the time at which the outcome became known.
        violations: rows that fail.
        mine_id: the mine of the first of them, by year and mine.
        as_of_year: its year.
        reason: what is wrong with it.
    """

    feature: str
    rows: int
    rows_with_value: int
    least_lead: timedelta | None = None
    violations: int = 0
    mine_id: str | None = None
    as_of_year: int | None = None
    reason: str | None = None

    def __str__(self) -> str:
        return f"{self.feature} of {self.mine_id} in {self.as_of_year}: {self.reason} (rows: {self.violations})"


@dataclass(frozen=True)
class _Case:
    """A feature, the columns of `audit_marks` that judge a value of it, and that of the fact that it must equal."""

    feature: str
    fault: str
    lead: str
    fact: str | None

    def reason(self) -> sql.Composed:
        """The number of the reason why the row's value may not stand, 0 for none."""
        value, fault = sql.Identifier("history", self.feature), sql.Identifier("subjects", self.fault)
        found = sql.SQL("case when {} is null then 0 else {} end").format(value, fault)
        if self.fact is None:
            return found
        # a fault of the times says more than the other value that follows from it
        return sql.SQL("coalesce(nullif({}, 0), case when {} is distinct from {} then {} else 0 end)").format(
            found, value, sql.Identifier("facts", self.fact), len(_REASONS)
        )


def judge(connection: psycopg.Connection, features: Sequence[FeatureColumn]) -> tuple[FeatureAudit, ...]:
    """The features of the rows in the temporary table `audit_subjects`, in a transaction of the caller's.

    Its columns: subject_id, mine_id, as_of_year; asked_at, the moment at which the features are used; event_timestamp
    and moment, the key of gold's row (moment is its created_timestamp), null when gold has none; uses, for how many
    rows this one stands.

    Raises:
        AuditError: a feature's sources name facts that cannot be asked.
    """
    connection.execute(_PLANNER)
    connection.execute("analyze audit_subjects")
    cases = _write_marks(connection, features)
    measures = [
        sql.SQL(
            "coalesce(sum(subjects.uses) filter (where {0} is not null), 0), min({1}) filter (where {0} is not null), "
            "coalesce(sum(subjects.uses) filter (where {2} > 0), 0)"
        ).format(sql.Identifier("history", case.feature), sql.Identifier("subjects", case.lead), case.reason())
        for case in cases
    ]
    measured = connection.execute(
        sql.SQL("select coalesce(sum(subjects.uses), 0), {} {}{}").format(
            sql.SQL(", ").join(measures), sql.SQL(_JUDGED), sql.SQL(_HISTORY)
        )
    ).fetchone()
    rows, *values = measured or ()
    found = []
    for number, case in enumerate(cases):
        with_value, lead, violations = values[3 * number : 3 * number + 3]
        audit = FeatureAudit(case.feature, rows, with_value, lead, violations)
        found.append(_with_first_offender(connection, audit, case) if violations else audit)
    return tuple(found)


def _with_first_offender(connection: psycopg.Connection, audit: FeatureAudit, case: _Case) -> FeatureAudit:
    found = connection.execute(
        sql.SQL(
            "select subjects.mine_id, subjects.as_of_year, {0} {1}{2} where {0} > 0 "
            "order by subjects.as_of_year, subjects.mine_id, subjects.moment limit 1"
        ).format(case.reason(), sql.SQL(_JUDGED), sql.SQL(_HISTORY))
    ).fetchone()
    if found is None:
        return audit
    return replace(audit, mine_id=found[0], as_of_year=found[1], reason=_REASONS[found[2] - 1])


def _write_marks(connection: psycopg.Connection, features: Sequence[FeatureColumn]) -> list[_Case]:
    """Fill `audit_marks`: the rows of `audit_subjects`, with a fault and a lead for each set of facts that is used."""
    sources = {feature.name: [parse_source(text) for text in feature.sources] for feature in features}
    numbers = _numbers(connection)
    copies = {name: named[0] for name, named in sources.items() if _is_the_fact(name, named, numbers)}
    every = [source for named in sources.values() for source in named]
    times, facts = write_facts(connection, every, copies.values())
    cases: list[_Case] = []
    marks: dict[tuple[tuple[FactGroup, str], ...], int] = {}
    for feature in features:
        # each source's group, and the column of what silver says about it
        used = tuple(
            (group, times[parse_source(text)])
            for text in feature.sources
            for group in groups_of(replace(feature, sources=(text,)))
        )
        number = marks.setdefault(used, len(marks))
        fact = facts[copies[feature.name]] if feature.name in copies else None
        cases.append(_Case(feature.name, f"fault_{number}", f"lead_{number}", fact))
    connection.execute("drop table if exists pg_temp.audit_marks")
    connection.execute(
        sql.SQL(_MARKS).format(
            marks=sql.SQL("").join(_mark(used, number) for used, number in marks.items()), history=sql.SQL(_HISTORY)
        )
    )
    return cases


def _numbers(connection: psycopg.Connection) -> frozenset[str]:
    found = connection.execute(
        "select column_name from information_schema.columns where table_schema = 'silver' and table_name = %s "
        "and data_type in ('double precision', 'integer', 'bigint')",
        [YEARS],
    )
    return frozenset(str(row[0]) for row in found)


def _is_the_fact(name: str, sources: Sequence[Source], numbers: frozenset[str]) -> bool:
    """A feature that bears the name of its one source, a number of one year of the mine's own, is that number."""
    if len(sources) != 1:
        return False
    (source,) = sources
    of_the_mine = source.model == YEARS and source.peers is None
    one_year = source.period is not None and source.period.first == source.period.last
    return of_the_mine and one_year and source.column in numbers and name.startswith(source.column)


def _mark(used: Sequence[tuple[FactGroup, str]], number: int) -> sql.Composed:
    claims = {group: sql.Identifier("history", group.known_at_column) for group, _ in used}
    facts = [(claims[group], sql.Identifier("facts", column)) for group, column in used]
    conditions = [
        sql.SQL("history.as_of_year is distinct from subjects.as_of_year"),
        sql.SQL("faulty_vintages.as_of_year is not null") if claims.keys() & {OWN, PEERS} else sql.SQL("false"),
        _any(sql.SQL("{} > subjects.moment").format(claim) for claim in claims.values()),
        _any(sql.SQL("{} is null").format(claim) for claim in claims.values()),
        _any(sql.SQL("{} is null").format(fact) for _, fact in facts),
        _any(sql.SQL("{} > {}").format(fact, claim) for claim, fact in facts),
    ]
    cases = (
        sql.SQL("when {} then {}").format(condition, reason) for reason, condition in enumerate(conditions, start=1)
    )
    return sql.SQL(", case {} else 0 end as {}, subjects.asked_at - greatest({}) as {}").format(
        sql.SQL(" ").join(cases),
        sql.Identifier(f"fault_{number}"),
        sql.SQL(", ").join([*claims.values(), *(fact for _, fact in facts)]),
        sql.Identifier(f"lead_{number}"),
    )


def _any(conditions: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL("({})").format(sql.SQL(" or ").join(conditions))
