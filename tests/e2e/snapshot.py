"""What the warehouse holds, table by table, in a form that two runs can be compared by."""

from __future__ import annotations

import hashlib

import psycopg

# when a row was written, not what it says
_WALL_CLOCK = {
    "ingested_at",
    "computed_at",
    "scored_at",
    "promoted_at",
    "embedded_at",
    "refreshed_at",
    "loaded_at",
    "superseded_at",
    "created_at",
    "measured_at",
    "frozen_at",
    "retired_at",
    "built_at",
    "run_id",
    "mlflow_run_id",
    "passage_no",
}
# a document without a publisher's date is known from when it was received: that is the clock of the run
_RECEIVED_NOW = "case when known_at > now() - interval '1 day' then null else known_at end as known_at"
# what the system says of its own runs and promotions tells their times
_ABOUT_THE_SYSTEM = {
    "kind": "kind is distinct from 'system'",
    "document_id": "document_id not like 'system:%'",
    "chunk_id": "chunk_id not like 'system:%'",
}
_SCHEMAS = ("landing", "bronze", "silver", "gold", "mart", "evidence", "ops")
_NOT_COMPARED = {("ops", "stage_runs"), ("mart", "retrieval_quality")}  # timings, and texts that hold them


def warehouse_snapshot(connection: psycopg.Connection) -> dict[str, tuple[int, str]]:
    """Per table or view: number of rows and a digest of its rows, whatever their order, without wall-clock columns."""
    tables = connection.execute(
        "select table_schema, table_name from information_schema.tables where table_schema = any(%s) order by 1, 2",
        [list(_SCHEMAS)],
    ).fetchall()
    snapshot = {}
    for schema, table in tables:
        if (schema, table) in _NOT_COMPARED:
            continue
        columns = [
            name
            for (name,) in connection.execute(
                "select column_name from information_schema.columns "
                "where table_schema = %s and table_name = %s order by 1",
                [schema, table],
            ).fetchall()
            if name not in _WALL_CLOCK
        ]
        told = next((rows for name, rows in _ABOUT_THE_SYSTEM.items() if name in columns), None)
        if told is None and schema == "evidence":
            continue  # words and vectors, of texts about the system too
        row = ", ".join(_RECEIVED_NOW if name == "known_at" else f'"{name}"' for name in columns)
        hashes = connection.execute(
            f'select md5(t::text) from (select {row} from "{schema}"."{table}" where {told or "true"}) as t'.encode()
        ).fetchall()
        digest = hashlib.md5("".join(sorted(value for (value,) in hashes)).encode(), usedforsecurity=False)
        snapshot[f"{schema}.{table}"] = (len(hashes), digest.hexdigest())
    return snapshot
