"""The cohort and its scores out of the warehouse, and measurements in and out of ops.monitoring. What is measured
belongs to `measurements`; scores with their outcomes are read in `outcomes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import polars as pl
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from fvi_pipeline.monitoring.measurements import Cohort, Measurement

_COLUMNS = ("subject", "name", "measure", "value", "reference", "details")


def newest_cohort(connection: psycopg.Connection, features: Sequence[str]) -> Cohort | None:
    """The features of the mines that are scored now, ordered by mine; None when gold has no year."""
    found = connection.execute("select max(as_of_year) from gold.gold_mine_features").fetchone()
    if found is None or found[0] is None:
        return None
    query = sql.SQL(
        "select {features} from gold.gold_mine_features where in_cohort and as_of_year = %s order by mine_id"
    ).format(features=sql.SQL(", ").join(map(sql.Identifier, features)))
    rows = connection.execute(query, [found[0]]).fetchall()
    return Cohort(pl.DataFrame(rows, schema=dict.fromkeys(features, pl.Float64), orient="row"), found[0])


def served_scores(connection: psycopg.Connection, version: str) -> tuple[int, list[tuple[str, int, float]]] | None:
    """The newest as-of year that a version has scored, with mine, horizon and score; None: it has scored nothing."""
    rows = connection.execute(
        "select as_of_year, mine_id, horizon_years, fvi_score from mart.fvi_scores where model_version = %s "
        "and as_of_year = (select max(as_of_year) from mart.fvi_scores)",
        [version],
    ).fetchall()
    return (int(rows[0][0]), [(row[1], row[2], row[3]) for row in rows]) if rows else None


def importance(connection: psycopg.Connection, version: str) -> dict[str, float] | None:
    """The part that each feature makes of the contributions (in absolute value, of all horizons) to the newest scores
    of a version; None: its scores are not explained.
    """
    rows = connection.execute(
        # exact sums: those of floating point follow the order of the rows, and every run would differ from the last
        "select feature, avg(abs(contribution)::numeric) from mart.score_explanations where model_version = %s "
        "and as_of_year = (select max(as_of_year) from mart.score_explanations) group by feature order by feature",
        [version],
    ).fetchall()
    total = sum(float(mean) for _, mean in rows)
    return {str(feature): float(mean) / total for feature, mean in rows} if total > 0 else None


def write_measurements(
    connection: psycopg.Connection, measurements: Sequence[Measurement], measured_at: datetime
) -> int:
    """Add the measurements of one subject as a run of this moment, in one transaction; commits.

    Returns the number of rows added: none when the newest run of the subject says the same.
    """
    if not measurements:
        return 0
    subjects = {measurement.subject for measurement in measurements}
    if len(subjects) > 1:
        raise ValueError(f"A run is of one subject, not of {', '.join(sorted(subjects))}. Write them one by one.")
    with connection.transaction():
        # two runs at once follow each other
        connection.execute("lock table ops.monitoring in share row exclusive mode")
        if _key(newest_measurements(connection, subjects.pop())) == _key(measurements):
            return 0
        with connection.cursor() as cursor:
            statement = sql.SQL("copy ops.monitoring (measured_at, {}) from stdin").format(
                sql.SQL(", ").join(map(sql.Identifier, _COLUMNS))
            )
            with cursor.copy(statement) as copy:
                for each in measurements:
                    row = each.subject, each.name, each.measure, each.value, each.reference, Jsonb(each.details)
                    copy.write_row((measured_at, *row))
    connection.commit()
    return len(measurements)


def newest_measurements(connection: psycopg.Connection, subject: str) -> list[Measurement]:
    """All measurements of the newest run of a subject, by name and measure."""
    query = sql.SQL(
        "select {columns} from ops.monitoring where subject = %s and measured_at = ("
        "select max(measured_at) from ops.monitoring where subject = %s) order by name, measure"
    ).format(columns=sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)))
    return [Measurement(*row) for row in connection.execute(query, [subject, subject]).fetchall()]


def newest_moment(connection: psycopg.Connection, subject: str) -> datetime | None:
    """When a subject came out differently last; None: it was never measured."""
    row = connection.execute("select max(measured_at) from ops.monitoring where subject = %s", [subject]).fetchone()
    return row[0] if row else None


def _key(measurements: Sequence[Measurement]) -> list[dict[str, Any]]:
    return sorted((asdict(each) for each in measurements), key=lambda row: (row["name"], row["measure"]))
