"""What serving need not compute: the scores and reasons of the current mines, and their forecasts, in Redis.

A record is bound to the model's bytes by its key and to the feature values by their digest, so that one that belongs to
other values is told from a fit one and is computed anew. The marts are read here; requests are answered in `serving`.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from fvi_pipeline.features.online_version import NEWEST_YEAR_KEY

if TYPE_CHECKING:
    import psycopg
    import redis

FORECASTS = ("production", "next_status", "closing_year")
RECORDS_PREFIX = "fvi:scored:"
_CLOSING_YEAR = [
    "closing_year",
    "closing_year_low",
    "closing_year_high",
    "quarter_closed_by",
    "three_quarters_closed_by",
    "last_year",
    "tested_until_year",
    "is_tested",
    "in_words",
]
# by kind: its table, and the values as they are answered
_FORECAST_PARTS = {
    "production": {
        "table": sql.Identifier("mart", "production_forecasts"),
        "version": sql.SQL("model_version"),
        "values": sql.SQL(
            "'forecast_year', forecast_year, 'production_short_tons', production_short_tons, 'median_short_tons', "
            "median_short_tons, 'interval_short_tons', jsonb_build_array(low_short_tons, high_short_tons), "
            "'confidence', confidence"
        ),
        "grouped": sql.SQL(""),
    },
    "next_status": {
        "table": sql.Identifier("mart", "status_forecasts"),
        "version": sql.SQL("max(model_version)"),
        "values": sql.SQL("'forecast_year', forecast_year, 'probabilities', jsonb_object_agg(status, probability)"),
        "grouped": sql.SQL(" group by mine_id, as_of_year, forecast_year"),
    },
    "closing_year": {
        "table": sql.Identifier("mart", "closing_years"),
        "version": sql.SQL("model_version"),
        "values": sql.SQL(", ").join(
            sql.SQL("{}, {}").format(sql.Literal(name), sql.Identifier(name)) for name in _CLOSING_YEAR
        ),
        "grouped": sql.SQL(""),
    },
}
_DIGEST_BYTES = 16
_HEAD = struct.Struct(f"<{_DIGEST_BYTES}sdddd")
SECONDS_KEPT = 60 * 24 * 3600
_FIELDS_AT_ONCE = 2_000


@dataclass(frozen=True)
class ScoredRow:
    """A mine's score at one horizon and what each feature adds to it; probability and interval in 0-1."""

    probability: float
    low: float
    high: float
    base: float
    contributions: NDArray[np.float64]

    def pack(self, digest: bytes) -> bytes:
        """The record, bound to the values with this digest."""
        head = _HEAD.pack(digest, self.probability, self.low, self.high, self.base)
        return head + self.contributions.astype("<f8").tobytes()


def row_digest(row: NDArray[np.float32]) -> bytes:
    """What tells the values of a mine [F] from others."""
    return hashlib.blake2b(row.tobytes(), digest_size=_DIGEST_BYTES).digest()


def unpack(record: bytes | None, digest: bytes, features: int) -> ScoredRow | None:
    """The record, if it is of the values with this digest."""
    if record is None or len(record) != _HEAD.size + 8 * features or not record.startswith(digest):
        return None
    _, probability, low, high, base = _HEAD.unpack_from(record)
    return ScoredRow(probability, low, high, base, np.frombuffer(record, dtype="<f8", offset=_HEAD.size))


def records_key(onnx_sha256: str) -> str:
    """The hash of a model's records."""
    return f"{RECORDS_PREFIX}{onnx_sha256[:24]}"


def record_field(mine_id: str, horizon_years: int) -> str:
    """The field of a mine's record in it."""
    return f"{mine_id}|{horizon_years}"


def publish_records(
    connection: psycopg.Connection, client: redis.Redis, onnx_sha256: str, version: str, features: Sequence[str]
) -> int:
    """Bring the newest scores of this version and their explanations into Redis; returns how many.

    Those of other models stay for their time: one of them may answer still, or again.
    """
    year = newest_year(connection)
    key, count = records_key(onnx_sha256), 0
    with client.pipeline(transaction=False) as pipeline:
        for mine_id, horizon, score, low, high, base, names, values, parts in connection.execute(
            "select mine_id, horizon_years, fvi_score, interval_low, interval_high, base, "
            "array_agg(feature), array_agg(value), array_agg(contribution) "
            "from mart.fvi_scores join mart.score_explanation_bases as bases "
            "using (mine_id, as_of_year, horizon_years, model_version) "
            "join mart.score_explanations using (mine_id, as_of_year, horizon_years, model_version) "
            "where as_of_year = %s and model_version = %s group by 1, 2, 3, 4, 5, 6",
            [year, version],
        ):
            place = {name: position for position, name in enumerate(names)}
            if place.keys() != set(features):
                continue  # of a model that was registered under the same version elsewhere
            order = [place[name] for name in features]
            row = np.array(values, dtype=np.float32)[order]
            scored = ScoredRow(score / 100, low / 100, high / 100, base, np.array(parts, dtype=np.float64)[order])
            pipeline.hset(key, mapping={record_field(mine_id, horizon): scored.pack(row_digest(row))})
            count += 1
            if count % _FIELDS_AT_ONCE == 0:
                pipeline.execute()
        pipeline.expire(key, SECONDS_KEPT)
        if year is not None:
            pipeline.set(NEWEST_YEAR_KEY, year)
        pipeline.execute()
    return count


def forecasts_key(kind: str) -> str:
    """The hash of the forecasts of a kind: a JSON object a mine."""
    return f"fvi:forecasts:{kind}"


def publish_forecasts(connection: psycopg.Connection, client: redis.Redis, kind: str) -> int:
    """Replace the forecasts of a kind in Redis by those of the current mines; returns how many."""
    forecasts = read_forecasts(connection, kind)
    with client.pipeline(transaction=True) as pipeline:
        pipeline.delete(forecasts_key(kind))
        for mine_id, forecast in forecasts.items():
            pipeline.hset(forecasts_key(kind), mine_id, json.dumps(forecast))
        pipeline.execute()
    return len(forecasts)


def newest_year(connection: psycopg.Connection) -> int | None:
    """The as-of year that mines are scored for."""
    row = connection.execute("select max(as_of_year) from mart.fvi_scores").fetchone()
    return row[0] if row else None


def read_forecasts(connection: psycopg.Connection, kind: str, mine_id: str | None = None) -> dict[str, dict[str, Any]]:
    """The forecast of a kind for each mine, or for one, as of the newest year."""
    query = sql.SQL(
        "select mine_id, jsonb_build_object('as_of_year', as_of_year, 'model_version', {version}, {values}) "
        "from {table} where as_of_year = (select max(as_of_year) from mart.fvi_scores) "
        "and (%(one)s::text is null or mine_id = %(one)s){grouped}"
    ).format(**_FORECAST_PARTS[kind])
    return dict(connection.execute(query, {"one": mine_id}).fetchall())
