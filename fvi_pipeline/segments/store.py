"""Cohorts out of gold, segments and profiles in and out of the marts. How segments are found belongs to `fit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import polars as pl
import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from fvi_pipeline.segments.errors import SegmentsError
from fvi_pipeline.segments.fit import KEY, SegmentFit, model_as_dict
from fvi_pipeline.segments.past import HORIZONS_YEARS, YEARS, PastViability
from fvi_pipeline.segments.profile import SegmentProfile

_KEYS: Mapping[str, pl.DataType] = {
    KEY: pl.String(),
    "as_of_year": pl.Int64(),
    "event_timestamp": pl.Datetime("us", "UTC"),
    "mine_state": pl.String(),
    "mine_type": pl.String(),
}
_PAST_KEYS: Mapping[str, pl.DataType] = {
    KEY: pl.String(),
    "as_of_year": pl.Int64(),
    "horizon_years": pl.Int64(),
    "viable": pl.Boolean(),
}
_MINE_COLUMNS = (
    KEY,
    "as_of_year",
    "event_timestamp",
    "created_timestamp",
    "fit_id",
    "segment",
    "segment_name",
    "distance",
    "silhouette",
    "next_segment",
    "next_segment_name",
    "next_distance",
    "known_share",
)


@dataclass(frozen=True)
class Written:
    """What a run added: rows of mines (none when the segments are those of before) and of profiles."""

    mines: int
    profiles: int


def newest_cohort(connection: psycopg.Connection, features: Sequence[str]) -> pl.DataFrame:
    """The mines that are scored now: keys, place and type, features; ordered by mine, empty when gold has no year."""
    query = sql.SQL(
        "select {columns} from gold.gold_mine_features "
        "where in_cohort and as_of_year = (select max(as_of_year) from gold.gold_mine_features) order by mine_id"
    ).format(columns=_listed((*_KEYS, *features)))
    return _frame(connection, query, [], _KEYS, features)


def past_rows(connection: psycopg.Connection, features: Sequence[str], known_by: datetime) -> pl.DataFrame:
    """Mines of earlier cohorts as first known, with what was known by then of their viability: the newest cohorts of
    which the longest horizon is known. One row per mine, as-of year and horizon.
    """
    query = sql.SQL(
        "with judged as (select mine_id, as_of_year, horizon_years, viable from gold.gold_mine_outcomes "
        "where horizon_years = any(%s) and outcome_known_at <= %s), "
        "last as (select max(as_of_year) as as_of_year from judged "
        "where horizon_years = (select max(horizon_years) from judged)), "
        "first_known as (select distinct on (history.mine_id, history.as_of_year) history.* "
        "from gold.gold_mine_feature_history as history inner join last on "
        "history.as_of_year between last.as_of_year - %s and last.as_of_year "
        "order by history.mine_id, history.as_of_year, history.created_timestamp) "
        "select judged.mine_id, judged.as_of_year, judged.horizon_years, judged.viable, {features} "
        "from first_known inner join judged using (mine_id, as_of_year) where first_known.in_cohort "
        "order by judged.mine_id, judged.as_of_year, judged.horizon_years"
    ).format(features=sql.SQL(", ").join(sql.Identifier("first_known", name) for name in features))
    return _frame(connection, query, [list(HORIZONS_YEARS), known_by, YEARS - 1], _PAST_KEYS, features)


def write_segments(
    connection: psycopg.Connection,
    fit: SegmentFit,
    cohort: pl.DataFrame,
    profiles: Sequence[SegmentProfile],
    past: Mapping[int, Sequence[PastViability]],
    left_out: Mapping[str, str],
    created_timestamp: datetime,
) -> Written:
    """Add the segments and their profiles, each only if the newest ones say something else; commits.

    A mine that has left the cohort since gets a row without a segment, so that nobody is served the old one.
    """
    year, moment = int(cohort["as_of_year"][0]), cohort["event_timestamp"][0]
    names = {profile.segment: profile.name for profile in profiles}
    with connection.transaction(), connection.cursor() as cursor:
        # two runs at once follow each other
        cursor.execute("lock table mart.segment_fits in share row exclusive mode")
        mines = 0
        # a name may change by its rule alone
        if _newest_key(connection) != (year, fit.fit_id, sorted(names.values())):
            _add_fit(cursor, fit, year, left_out, created_timestamp)
            mines = _add_mines(cursor, fit, (year, moment), names, created_timestamp)
        rows = [_profile_row(profile, year, fit.fit_id, past) for profile in profiles]
        is_new = rows != [_without_time(row) for row in newest_profiles(connection)]
        if is_new:
            _add_profiles(cursor, rows, created_timestamp)
    connection.commit()
    return Written(mines=mines, profiles=len(rows) if is_new else 0)


def newest_fit(connection: psycopg.Connection) -> dict[str, Any]:
    """The row of mart.segment_fits that is in force.

    Raises:
        SegmentsError: there are no segments yet.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute("select * from mart.segment_fits order by created_timestamp desc limit 1").fetchone()
    if found is None:
        raise SegmentsError("There are no segments yet. `fvi run` makes them, or materialise mart/mine_segments.")
    return found


def newest_profiles(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """The rows of mart.segment_profiles that are in force, by segment; empty when there are none."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "select * from mart.segment_profiles where created_timestamp = "
            "(select max(created_timestamp) from mart.segment_profiles) order by segment"
        ).fetchall()


def mean_scores(connection: psycopg.Connection) -> dict[int, dict[int, float]]:
    """The mean score of the mines of each segment, by horizon, as the scores are now."""
    rows = connection.execute(
        "select segments.segment, scores.horizon_years, avg(scores.fvi_score) "
        "from mart.current_mine_segments as segments inner join mart.fvi_scores as scores using (mine_id, as_of_year) "
        "group by 1, 2 order by 1, 2"
    ).fetchall()
    found: dict[int, dict[int, float]] = {}
    for segment, horizon, score in rows:
        found.setdefault(segment, {})[horizon] = score
    return found


def mine_names(connection: psycopg.Connection, mine_ids: Sequence[str]) -> dict[str, str]:
    """The names of mines, as far as they are known."""
    rows = connection.execute(
        "select mine_id, mine_name from silver.silver_mine_profiles where mine_id = any(%s) and mine_name is not null",
        [list(mine_ids)],
    ).fetchall()
    return dict(rows)


def row_of_mine(connection: psycopg.Connection, mine_id: str) -> dict[str, Any] | None:
    """The newest row of mart.mine_segments of a mine."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "select * from mart.mine_segments where mine_id = %s "
            "order by event_timestamp desc, created_timestamp desc limit 1",
            [mine_id],
        ).fetchone()


def features_of_mine(
    connection: psycopg.Connection, mine_id: str, as_of_year: int, features: Sequence[str]
) -> pl.DataFrame:
    """The features of a mine as of a year, one row; empty when gold has none."""
    query = sql.SQL("select {} from gold.gold_mine_features where mine_id = %s and as_of_year = %s").format(
        _listed((KEY, *features))
    )
    return _frame(connection, query, [mine_id, as_of_year], {KEY: pl.String()}, features)


def _newest_key(connection: psycopg.Connection) -> tuple[int, str, list[str]] | None:
    return connection.execute(
        "select fits.as_of_year, fits.fit_id, "
        "array(select distinct mines.segment_name from mart.mine_segments as mines "
        "where mines.created_timestamp = fits.created_timestamp and mines.segment is not null order by 1) "
        "from mart.segment_fits as fits order by fits.created_timestamp desc limit 1"
    ).fetchone()


def _add_fit(
    cursor: psycopg.Cursor, fit: SegmentFit, year: int, left_out: Mapping[str, str], created_timestamp: datetime
) -> None:
    cursor.execute(
        "insert into mart.segment_fits (as_of_year, created_timestamp, fit_id, mines, segments, silhouette, stability, "
        "features, tried, left_out, model) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            year,
            created_timestamp,
            fit.fit_id,
            fit.mines.height,
            len(fit.centres),
            fit.silhouette,
            fit.stability,
            list(fit.features),
            Jsonb([asdict(each) for each in fit.tried]),
            Jsonb(dict(left_out)),
            Jsonb(model_as_dict(fit.scaling, fit.centres)),
        ],
    )


def _add_mines(
    cursor: psycopg.Cursor,
    fit: SegmentFit,
    year_and_moment: tuple[int, datetime],
    names: Mapping[int, str],
    created_timestamp: datetime,
) -> int:
    year, moment = year_and_moment
    with cursor.copy(sql.SQL("copy mart.mine_segments ({}) from stdin").format(_listed(_MINE_COLUMNS))) as copy:
        for row in fit.mines.iter_rows(named=True):
            known = {
                **row,
                "as_of_year": year,
                "event_timestamp": moment,
                "created_timestamp": created_timestamp,
                "fit_id": fit.fit_id,
                "segment_name": names[row["segment"]],
                "next_segment_name": names[row["next_segment"]],
            }
            copy.write_row([known[name] for name in _MINE_COLUMNS])
    cursor.execute(
        "insert into mart.mine_segments (mine_id, as_of_year, event_timestamp, created_timestamp, fit_id) "
        "select mine_id, as_of_year, event_timestamp, %(now)s, %(fit)s from ("
        "select distinct on (mine_id, as_of_year) * from mart.mine_segments where as_of_year >= %(year)s "
        "order by mine_id, as_of_year, created_timestamp desc) as newest "
        "where segment is not null and created_timestamp <> %(now)s",
        {"now": created_timestamp, "fit": fit.fit_id, "year": year},
    )
    return fit.mines.height + cursor.rowcount


def _profile_row(
    profile: SegmentProfile, year: int, fit_id: str, past: Mapping[int, Sequence[PastViability]]
) -> dict[str, Any]:
    return {
        "as_of_year": year,
        "segment": profile.segment,
        "fit_id": fit_id,
        "segment_name": profile.name,
        "mines": profile.mines,
        "share": profile.share,
        "silhouette": round(profile.silhouette, 6),
        "in_words": profile.in_words,
        "traits": [asdict(trait) for trait in profile.traits],
        # in JSON an object has no order
        "states": [list(item) for item in profile.states.items()],
        "mine_types": [list(item) for item in profile.mine_types.items()],
        "example_mines": list(profile.examples),
        "past": [each.as_dict() for each in past.get(profile.segment, ())],
    }


def _add_profiles(cursor: psycopg.Cursor, rows: Sequence[Mapping[str, Any]], created_timestamp: datetime) -> None:
    columns = [*rows[0], "created_timestamp"]
    statement = sql.SQL("insert into mart.segment_profiles ({}) values ({})").format(
        _listed(columns), sql.SQL(", ").join(sql.Placeholder() * len(columns))
    )
    in_json = ("traits", "states", "mine_types", "past")
    cursor.executemany(
        statement,
        [
            [*(Jsonb(value) if name in in_json else value for name, value in row.items()), created_timestamp]
            for row in rows
        ],
    )


def _without_time(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "created_timestamp"}


def _listed(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _frame(
    connection: psycopg.Connection,
    query: sql.Composed,
    parameters: Sequence[object],
    keys: Mapping[str, pl.DataType],
    features: Sequence[str],
) -> pl.DataFrame:
    rows = connection.execute(query, parameters).fetchall()
    return pl.DataFrame(rows, schema={**keys, **dict.fromkeys(features, pl.Float64())}, orient="row")
