"""The rows of mart.feature_catalogue, for the command line and the document. What they say is the dbt project's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from fvi_pipeline.platform.errors import PlatformError


@dataclass(frozen=True)
class CatalogueRow:
    """One feature: what it is, and how its values are."""

    position: int
    feature: str
    description: str
    category: str
    unit: str
    null_means: str
    sources: list[str]
    fact_groups: list[str]
    model_role: str
    rows: int
    null_rate: float | None
    minimum: float | None
    maximum: float | None
    mean: float | None
    standard_deviation: float | None
    information_gain: float | None
    drift_psi: float | None
    drift_ks: float | None
    drift_level: str | None
    measured_at: datetime | None

    def as_json(self) -> Mapping[str, Any]:
        """The same as JSON can hold it."""
        measured_at = self.measured_at.isoformat() if self.measured_at else None
        return {**asdict(self), "measured_at": measured_at}


class CatalogueUnavailable(PlatformError):
    """The warehouse has no catalogue yet, or none that has what was asked for."""


def catalogue_rows(
    connection: psycopg.Connection, category: str | None = None, feature: str | None = None
) -> list[CatalogueRow]:
    """The features in order, all of them or those of a category or a name.

    Raises:
        CatalogueUnavailable: there is no catalogue yet, or nothing of that name in it.
    """
    query = sql.SQL(
        "select {columns} from mart.feature_catalogue where (%(category)s::text is null or category = %(category)s) "
        "and (%(feature)s::text is null or feature = %(feature)s) order by position"
    ).format(columns=sql.SQL(", ").join(sql.Identifier(each.name) for each in fields(CatalogueRow)))
    try:
        with connection.cursor(row_factory=class_row(CatalogueRow)) as cursor:
            rows = cursor.execute(query, {"category": category, "feature": feature}).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise CatalogueUnavailable("There is no catalogue of the features yet. Run `fvi run` first.") from error
    if not rows:
        raise CatalogueUnavailable(_nothing_found(connection, category, feature))
    return rows


def measured_on(connection: psycopg.Connection) -> str:
    """Of which mines and years the figures are, and with what the newest cohort was compared, in a sentence each."""
    years = connection.execute(
        "select min(as_of_year), max(as_of_year), count(*), count(distinct mine_id) from gold.gold_mine_features"
    ).fetchone()
    simulated = connection.execute("select bool_or(simulated) from landing.files where status = 'loaded'").fetchone()
    compared = connection.execute(
        "select distinct on (measure) measure, reference, value from ops.monitoring "
        "where subject = 'feature' and measure in ('psi', 'rows') order by measure desc, measured_at desc"
    ).fetchall()
    if years is None or years[0] is None:
        return "No mine yet."
    kind = "simulated mines" if simulated and simulated[0] else "mines of the publishers' files"
    text = f"{years[2]:,} rows: {years[3]:,} {kind}, as-of years {years[0]} to {years[1]}."
    empty = connection.execute("select feature from mart.feature_catalogue where null_rate = 1 order by position")
    if without_value := [name for (name,) in empty]:
        text += f" No row has a value of: {', '.join(without_value)}."
    found = {measure: (reference, value) for measure, reference, value in compared}
    if "rows" in found and "psi" in found and found["psi"][0]:
        text += f" Drift: {found['rows'][0]} ({found['rows'][1]:,.0f} mines) against the {found['psi'][0]}."
    return text


def _nothing_found(connection: psycopg.Connection, category: str | None, feature: str | None) -> str:
    known = connection.execute(
        "select category, array_agg(feature order by position) from mart.feature_catalogue group by category "
        "order by min(position)"
    ).fetchall()
    if category is not None and category not in {row[0] for row in known}:
        return f"There is no category {category!r}. Choose one of: {', '.join(row[0] for row in known)}."
    if feature is not None:
        import difflib

        close = difflib.get_close_matches(feature, [name for row in known for name in row[1]], n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(close)}?" if close else "`fvi catalogue` lists them all."
        return f"There is no feature {feature!r}. {hint}"
    return "The catalogue is empty. Run `fvi run` first."
