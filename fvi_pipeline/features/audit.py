"""The leakage audit: no feature of a row rests on a fact that became known after the row's moment.

Each feature with a value is held against two witnesses: the times that gold itself claims for the groups of facts that
it used, and silver's own times of the facts that the feature's sources name. The training set is also held against
gold, read by plain SQL as of each row's moment, and against the times of its outcomes. Checks belong to `defs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from typing import LiteralString

import numpy as np
import polars as pl
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from fvi_pipeline.features.audit_times import FeatureAudit, judge
from fvi_pipeline.features.catalogue import FeatureColumn
from fvi_pipeline.features.errors import AuditError

OUTCOME = "viable"
_MINE, _YEAR, _HORIZON, _MOMENT = "mine_id", "as_of_year", "horizon_years", "event_timestamp"
_KEYS = (_MINE, _YEAR, _HORIZON, "outcome_year", OUTCOME, _MOMENT)
_COLUMNS_AT_ONCE = 16
_MOMENT_TYPE = pl.Datetime("us", "UTC")
_EVERY_VINTAGE: LiteralString = """
create temporary table audit_subjects on commit drop as
select
    row_number() over () as subject_id, mine_id, as_of_year, event_timestamp,
    created_timestamp as moment, created_timestamp as asked_at, 1 as uses
from gold.gold_mine_feature_history
"""
# the newest row of gold at the moment
_AS_OF: LiteralString = """
create temporary table audit_subjects on commit drop as
select asked.*, history.event_timestamp, history.created_timestamp as moment
from audit_asked as asked
left join lateral (
    select known.event_timestamp, known.created_timestamp
    from gold.gold_mine_feature_history as known
    where known.mine_id = asked.mine_id
        and known.event_timestamp <= asked.asked_at
        and known.created_timestamp <= asked.asked_at
    order by known.event_timestamp desc, known.created_timestamp desc
    limit 1
) as history on true
"""
_VALUES: LiteralString = """
copy (
    select {}
    from audit_subjects as subjects
    left join gold.gold_mine_feature_history as history
        on history.mine_id = subjects.mine_id
        and history.event_timestamp = subjects.event_timestamp
        and history.created_timestamp = subjects.moment
    order by subjects.subject_id
) to stdout (format csv, header)
"""
# known when gold says so, or when the first file of the year came, whichever is earlier
_OUTCOMES: LiteralString = """
copy (
    select
        outcomes.mine_id, outcomes.as_of_year, outcomes.horizon_years, outcomes.outcome_year as gold_year,
        outcomes.viable::int as gold_viable,
        (1e6 * extract(epoch from least(outcomes.outcome_known_at, files.known_at)))::bigint as known_at
    from gold.gold_mine_outcomes as outcomes
    left join (
        select period, min(known_at) as known_at
        from landing.files
        where feed = 'eia_coal_mines' and status = 'loaded'
        group by period
    ) as files on files.period = outcomes.outcome_year::text
) to stdout (format csv, header)
"""


def audit_history(connection: psycopg.Connection, features: Sequence[FeatureColumn]) -> tuple[FeatureAudit, ...]:
    """Every row of gold, all vintages, at the moment from which on it says it was known (created_timestamp).

    Raises:
        AuditError: a feature's sources name facts that cannot be asked.
    """
    with connection.transaction():
        connection.execute("drop table if exists pg_temp.audit_subjects")
        connection.execute(_EVERY_VINTAGE)
        return judge(connection, features)


def audit_training_set(
    connection: psycopg.Connection, features: Sequence[FeatureColumn], rows: pl.LazyFrame
) -> tuple[FeatureAudit, ...]:
    """Every row of the training set at the moment that Feast was asked about, and its outcome.

    Args:
        connection: to the warehouse; nothing stays written.
        features: the model's inputs.
        rows: mine_id, as_of_year, horizon_years, outcome_year, viable, event_timestamp (the moment) and the inputs; few
            columns are read at once, they are large.

    Returns:
        The features, then the outcome.

    Raises:
        AuditError: the rows lack a column; a feature's sources name facts that cannot be asked.
    """
    present = rows.collect_schema().names()
    absent = [name for name in (*_KEYS, *(feature.name for feature in features)) if name not in present]
    if absent:
        raise AuditError(f"The training set lacks {', '.join(absent)}. Materialise model/training_set again.")
    keys = rows.select(_KEYS).with_columns(pl.col(_MOMENT).cast(_MOMENT_TYPE)).collect()
    subject = (_MINE, _YEAR, _MOMENT)
    subjects = keys.group_by(subject, maintain_order=True).len("uses").with_row_index("subject_id")
    at = keys.select(subject).join(subjects, on=subject, how="left", maintain_order="left")["subject_id"]
    found: list[FeatureAudit] = []
    with connection.transaction():
        _write_asked(connection, subjects)
        connection.execute("drop table if exists pg_temp.audit_subjects")
        connection.execute(_AS_OF)
        for audits in _batches(judge(connection, features)):
            names = [audit.feature for audit in audits]
            gold, given = _as_of_join(connection, names), rows.select(names).collect()
            found += [_with_differences(a, keys, given[a.feature], gold[a.feature].gather(at)) for a in audits]
    return (*found, _audit_outcomes(connection, keys))


def failures(audits: Sequence[FeatureAudit]) -> tuple[FeatureAudit, ...]:
    """Those with a violation."""
    return tuple(audit for audit in audits if audit.violations)


def as_markdown(audits: Sequence[FeatureAudit]) -> str:
    """A table of all of them, those that fail first."""
    lines = [
        "| feature | rows | with a value | least lead of a fact | violations | first mine | year | reason |",
        "|---|--:|--:|--:|--:|---|---|---|",
    ]
    for audit in sorted(audits, key=lambda audit: not audit.violations):
        lead = "" if audit.least_lead is None else f"{audit.least_lead / timedelta(days=1):g} days"
        where = f"{audit.mine_id or ''} | {audit.as_of_year or ''} | {audit.reason or ''}"
        lines.append(
            f"| {audit.feature} | {audit.rows} | {audit.rows_with_value} | {lead} | {audit.violations} | {where} |"
        )
    return "\n".join(lines)


def _batches(audits: Sequence[FeatureAudit]) -> Iterator[Sequence[FeatureAudit]]:
    for start in range(0, len(audits), _COLUMNS_AT_ONCE):
        yield audits[start : start + _COLUMNS_AT_ONCE]


def _copied(connection: psycopg.Connection, query: sql.Composed | LiteralString) -> BytesIO:
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        return BytesIO(b"".join(copy))


def _write_asked(connection: psycopg.Connection, subjects: pl.DataFrame) -> None:
    """What Feast was asked: the mines, their years, the moments."""
    connection.execute("drop table if exists pg_temp.audit_asked")
    connection.execute(
        "create temporary table audit_asked "
        "(subject_id integer, mine_id text, as_of_year integer, asked_at timestamptz, uses integer) on commit drop"
    )
    written = subjects.select("subject_id", _MINE, _YEAR, _MOMENT, "uses").write_csv(
        include_header=False, datetime_format="%Y-%m-%d %H:%M:%S%.6f+00"
    )
    with connection.cursor() as cursor, cursor.copy("copy audit_asked from stdin (format csv)") as copy:
        copy.write(written.encode())


def _as_of_join(connection: psycopg.Connection, features: Sequence[str]) -> pl.DataFrame:
    """Gold's values for the rows of `audit_subjects`, in the order of subject_id."""
    query = sql.SQL(_VALUES).format(sql.SQL(", ").join(sql.Identifier("history", name) for name in features))
    return pl.read_csv(_copied(connection, query), schema=dict.fromkeys(features, pl.Float64()))


def _with_differences(found: FeatureAudit, keys: pl.DataFrame, given: pl.Series, gold: pl.Series) -> FeatureAudit:
    """The finding with the rows of the training set whose value is not gold's to the bit."""
    given = given.cast(pl.Float64)
    different = (_bits(given) != _bits(gold)) | (given.is_null() != gold.is_null()).to_numpy()
    if not different.any():
        return found
    wrong = keys.with_columns(given=given, gold=gold).filter(different)
    found = replace(found, violations=found.violations + wrong.height)
    if found.reason is not None:
        return found
    first = wrong.sort(_YEAR, _MINE, _HORIZON).row(0, named=True)
    reason = f"the training set has {first['given']} where gold, as of the row's moment, has {first['gold']}"
    return replace(found, mine_id=first[_MINE], as_of_year=first[_YEAR], reason=reason)


def _bits(values: pl.Series) -> NDArray[np.int64]:
    return np.ascontiguousarray(values.fill_null(0.0).to_numpy()).view(np.int64)


def _audit_outcomes(connection: psycopg.Connection, keys: pl.DataFrame) -> FeatureAudit:
    """The outcomes are gold's, all of them, of a later year, and were not known at the moment."""
    gold = pl.read_csv(_copied(connection, _OUTCOMES), schema_overrides={_MINE: pl.String, "known_at": pl.Int64})
    row = [_MINE, _YEAR, _HORIZON]
    asked = keys.select(_MINE, pl.col(_YEAR, _HORIZON).cast(pl.Int64), "outcome_year", OUTCOME, _MOMENT)
    known_at = pl.from_epoch("known_at", "us").dt.replace_time_zone("UTC")
    faults = {
        "gold has this outcome, the training set does not": pl.col(_MOMENT).is_null(),
        "gold has no such outcome": pl.col("gold_year").is_null(),
        "the outcome is not gold's": (pl.col("gold_year") != pl.col("outcome_year"))
        | (pl.col("gold_viable") != pl.col(OUTCOME)),
        "the outcome is not of a later year": pl.col("outcome_year") <= pl.col(_YEAR),
        "the outcome was known at the moment": known_at <= pl.col(_MOMENT),
    }
    judged = (
        asked.join(gold, on=row, how="full", coalesce=True)
        .sort(_YEAR, _MINE, _HORIZON)
        .with_columns(
            lead=known_at - pl.col(_MOMENT),
            reason=pl.coalesce(pl.when(fault).then(pl.lit(reason)) for reason, fault in faults.items()),
        )
    )
    wrong = judged.filter(pl.col("reason").is_not_null())
    lead = judged["lead"].min()
    found = FeatureAudit(
        OUTCOME,
        judged.height,
        judged.height - judged[OUTCOME].null_count(),
        lead if isinstance(lead, timedelta) else None,
        wrong.height,
    )
    if wrong.is_empty():
        return found
    first = wrong.row(0, named=True)
    return replace(found, mine_id=first[_MINE], as_of_year=first[_YEAR], reason=first["reason"])
