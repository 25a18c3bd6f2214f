"""One fact sheet for each mine, made from silver and the marts: what it is, its scores, why, its index and its history.

Figures are rounded as people say them, so that a sheet changes when something has happened and not every night. How
sheets are kept belongs in `versions`, how a sheet reads in `sheet_text`.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.rows import dict_row

from fvi_pipeline.evidence.sheet_text import sheet_text, sheet_title
from fvi_pipeline.evidence.versions import DocumentVersion, VersionChanges, put_versions

_LICENCE = "made from data of EIA (public domain) and Global Energy Monitor (CC BY 4.0)"
_REASONS_HORIZON = 5
_REASONS = 5
_YEARS = 5

_MINES = """
SELECT p.*, i.as_of_year AS index_year, i.index_score, i.coverage, i.necessity_points, i.resource_points,
       i.economics_points, i.emissions_points, i.workforce_points, i.ecology_points, i.support_points,
       i.ownership_points
FROM silver.silver_mine_profiles AS p
LEFT JOIN mart.fvi_index AS i ON i.mine_id = p.mine_id
ORDER BY p.mine_id
"""
_PARTS = {
    "scores": """
        SELECT mine_id, json_agg(json_build_object('year', as_of_year, 'horizon', horizon_years, 'score', fvi_score,
            'low', interval_low, 'high', interval_high) ORDER BY horizon_years)
        FROM mart.fvi_scores WHERE as_of_year = (SELECT max(as_of_year) FROM mart.fvi_scores) GROUP BY mine_id
    """,
    "reasons": """
        SELECT mine_id, json_agg(reason_in_words ORDER BY rank)
        FROM mart.score_reasons
        WHERE horizon_years = %(horizon)s AND rank <= %(reasons)s AND reason_in_words IS NOT NULL
          AND as_of_year = (SELECT max(as_of_year) FROM mart.score_reasons)
        GROUP BY mine_id
    """,
    "closing": """
        SELECT mine_id, json_build_object('words', in_words) FROM mart.closing_years
        WHERE as_of_year = (SELECT max(as_of_year) FROM mart.closing_years)
    """,
    "production_forecast": """
        SELECT mine_id, json_build_object('year', forecast_year, 'median', median_short_tons, 'low', low_short_tons,
            'high', high_short_tons, 'confidence', confidence)
        FROM mart.production_forecasts WHERE as_of_year = (SELECT max(as_of_year) FROM mart.production_forecasts)
    """,
    "status_forecast": """
        SELECT DISTINCT ON (mine_id) mine_id, json_build_object('year', forecast_year, 'status', status,
            'probability', probability)
        FROM mart.status_forecasts WHERE as_of_year = (SELECT max(as_of_year) FROM mart.status_forecasts)
        ORDER BY mine_id, probability DESC, status
    """,
    "years": """
        SELECT mine_id, json_agg(json_build_object('year', as_of_year, 'tons', production_short_tons,
            'employees', average_employees) ORDER BY as_of_year DESC) FILTER (WHERE place <= %(years)s)
        FROM (
            SELECT mine_id, as_of_year, production_short_tons, average_employees,
                   row_number() OVER (PARTITION BY mine_id ORDER BY as_of_year DESC) AS place
            FROM silver.silver_mine_years WHERE known_until IS NULL
        ) AS placed
        GROUP BY mine_id
    """,
    "best_year": """
        SELECT DISTINCT ON (mine_id) mine_id, json_build_object('year', as_of_year, 'tons', production_short_tons)
        FROM silver.silver_mine_years WHERE known_until IS NULL AND production_short_tons > 0
        ORDER BY mine_id, production_short_tons DESC, as_of_year
    """,
}


def refresh_fact_sheets(connection: psycopg.Connection) -> VersionChanges:
    """Make the sheets of all mines anew and keep those that read otherwise than before; known from now.

    A former sheet is superseded, as is the sheet of a mine that is gone. One transaction; nothing is written when
    nothing has changed.
    """
    connection.commit()
    with connection.transaction():
        return put_versions(connection, "fact_sheet", _sheets(connection), complete=True)


def _sheets(connection: psycopg.Connection) -> Iterator[DocumentVersion]:
    parts = _parts(connection)
    with connection.cursor(row_factory=dict_row) as cursor:
        mines = cursor.execute(_MINES).fetchall()
    for mine in mines:
        mine_id = mine["mine_id"]
        facts: dict[str, Any] = {name: of_mines.get(mine_id) for name, of_mines in parts.items()}
        yield DocumentVersion(
            series=f"fact-sheet:{mine_id}",
            source=f"FVI fact sheet of {mine_id}",
            title=sheet_title(mine),
            text=sheet_text(mine, facts),
            licence=_LICENCE,
            mine_links=(mine_id,),
            language="en",
        )


def _parts(connection: psycopg.Connection) -> dict[str, dict[str, Any]]:
    values = {"horizon": _REASONS_HORIZON, "reasons": _REASONS, "years": _YEARS}
    return {name: dict(connection.execute(query.encode(), values).fetchall()) for name, query in _PARTS.items()}
