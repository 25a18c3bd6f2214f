"""Filling Feast's Redis store in bulk: the engine that `feature_store.yaml` names.

Feast asks the engine for each `materialize`; the offline query, the keys and every byte stay Feast's. Only the way
between them is by column instead of by value. A view that this way does not know goes Feast's own way. What gold has
no more is removed in `online_views`; reading the online store belongs to Feast, `parity` and serving.

This module subclasses Feast's engine, so it imports Feast at its head: import it inside functions.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Literal

from feast import FeatureView
from feast.infra.common.materialization_job import MaterializationJobStatus
from feast.infra.compute_engines.local.compute import LocalComputeEngine, LocalComputeEngineConfig
from feast.infra.compute_engines.local.feature_builder import LocalFeatureBuilder
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.compute_engines.utils import create_offline_store_retrieval_job
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.infra.online_stores.helpers import compute_versioned_name
from feast.infra.online_stores.redis import RedisOnlineStore, RedisType
from feast.infra.utils.postgres.connection_utils import _get_conn

from fvi_pipeline.features import copy_columns as pg
from fvi_pipeline.features import online_format
from fvi_pipeline.features.online_version import writing

_log = logging.getLogger(__name__)
# Feast's types and PostgreSQL's types that hold the same values; another pair goes Feast's own way
_SAME = {
    "BYTES": (pg.BYTES,),
    "STRING": (pg.TEXT, pg.VARCHAR),
    "INT32": (pg.SMALLINT, pg.INTEGER),
    "INT64": (pg.SMALLINT, pg.INTEGER, pg.BIGINT),
    "DOUBLE": (pg.DOUBLE,),
    "FLOAT": (pg.REAL,),
    "BOOL": (pg.BOOLEAN,),
    "UNIX_TIMESTAMP": pg.TIMESTAMPS,
}
_KEYS_AT_ONCE = 2_000


class ColumnarComputeEngineConfig(LocalComputeEngineConfig):
    """What `batch_engine` of feature_store.yaml may say."""

    type: Literal["fvi_pipeline.features.online_store.ColumnarComputeEngine"]


@dataclass(frozen=True)
class _Plan:
    """How to write one view: the query of its newest rows, and each column's part in a row's hash."""

    query: str
    join_key: str
    event_time: str
    time_field: bytes
    types: dict[str, str]
    fields: list[bytes]


@dataclass(frozen=True)
class _Batch:
    """Commands for Redis, packed, and how many replies they bring."""

    commands: bytes
    replies: int


class ColumnarComputeEngine(LocalComputeEngine):
    """Feast's local engine, which brings plain views from PostgreSQL into Redis a column at a time.

    A mine's row is one HSET, which Redis carries out whole or not at all: whenever a materialisation ends, a mine has
    its old row of a view or its new one. Rows go in batches of `online_write_batch_size`; a batch is on its way while
    the next one is made, so memory holds two of them, whatever the panel's size.
    """

    def _materialize_one(self, registry: Any, task: Any, **options: Any) -> Any:
        if type(self.online_store) is not RedisOnlineStore:
            return self._brought_online(registry, task, **options)
        with writing(self.online_store._get_client(self.repo_config.online_store)):
            return self._brought_online(registry, task, **options)

    def _brought_online(self, registry: Any, task: Any, **options: Any) -> Any:
        with _get_conn(self.repo_config.offline_store) as connection:
            connection.read_only = True
            plan = self._plan(registry, task, connection)
            if plan is not None:
                self._write(plan, connection)
                return LocalMaterializationJob(
                    job_id=f"{task.feature_view.name}-{task.start_time}-{task.end_time}",
                    status=MaterializationJobStatus.SUCCEEDED,
                )
        return super()._materialize_one(registry, task, **options)

    def _plan(self, registry: Any, task: Any, connection: Any) -> _Plan | None:
        view = task.feature_view
        columns = LocalFeatureBuilder(registry, task, backend=None).get_column_info(view)
        types = {feature.name: feature.dtype.to_value_type().name for feature in view.features}
        if not self._is_plain(view, columns):
            return self._own_way(view, "it or the store is more than a plain view from PostgreSQL to Redis")
        job = create_offline_store_retrieval_job(
            data_source=view.source,
            column_info=columns,
            context=self.get_execution_context(registry, task),
            start_time=task.start_time,
            end_time=task.end_time,
        )
        query = job.to_sql()
        found = pg.column_types(connection, query)
        expected = {**types, columns.join_keys[0]: "STRING", columns.ts_col: "UNIX_TIMESTAMP"}
        other = [name for name, kind in expected.items() if found.get(name) not in _SAME.get(kind, ())]
        other += [name for name, kind in found.items() if kind not in pg.READABLE]
        if other:
            return self._own_way(view, f"its columns {', '.join(other)} are of types that are not written in bulk")
        name = compute_versioned_name(view, self.repo_config.registry.enable_online_feature_view_versioning)
        return _Plan(
            query=query,
            join_key=columns.join_keys[0],
            event_time=columns.ts_col,
            time_field=online_format.time_field(name),
            types=types,
            fields=online_format.feature_fields(name, list(types)),
        )

    def _is_plain(self, view: Any, columns: Any) -> bool:
        config = self.repo_config
        store = config.online_store
        return (
            type(view) is FeatureView
            and view.online
            and not view.offline
            and type(view.source) is PostgreSQLSource
            and not columns.field_mapping
            and [entity.dtype.to_value_type().name for entity in view.entity_columns] == ["STRING"]
            and config.materialization_config.pull_latest_features
            and config.entity_key_serialization_version == 3
            and type(self.online_store) is RedisOnlineStore
            and store.redis_type != RedisType.redis_cluster
            and store.skip_dedup
        )

    @staticmethod
    def _own_way(view: Any, reason: str) -> None:
        _log.warning("%s is materialised by Feast row by row: %s.", view.name, reason)

    def _write(self, plan: _Plan, connection: Any) -> None:
        store = self.repo_config.online_store
        client = self.online_store._get_client(store)
        size = self.repo_config.materialization_config.online_write_batch_size or _KEYS_AT_ONCE
        with ThreadPoolExecutor(1) as pool:
            sent: Future[None] | None = None
            for _, columns in pg.copy_columns(connection, plan.query, size):
                batch = _commands(plan, columns, self.repo_config.project, store.key_ttl_seconds)
                if sent is not None:
                    sent.result()
                sent = pool.submit(_send, client, batch)
            if sent is not None:
                sent.result()


def _commands(plan: _Plan, columns: dict[str, pg.Column], project: str, ttl_seconds: int | None) -> _Batch:
    """An HSET for each row, and an EXPIRE after it if keys expire, in the form in which Redis reads them."""
    keys = columns[plan.join_key]
    if not keys.present.all():
        raise ValueError(f"A row has no {plan.join_key}, so it cannot be stored. Correct it in gold.")
    names = [_text(key) for key in online_format.entity_keys(project, plan.join_key, keys.values.tolist())]
    parts = [
        _pairs(plan.time_field, online_format.encode_times(columns[plan.event_time])),
        *(
            _pairs(field, online_format.encode(kind, columns[name]))
            for field, (name, kind) in zip(plan.fields, plan.types.items(), strict=True)
        ),
    ]
    store = b"*%d\r\n$4\r\nHSET\r\n" % (2 + 2 * len(parts))
    if not ttl_seconds:
        return _Batch(b"".join(map(b"".join, zip(repeat(store), names, *parts))), len(names))
    expire, ttl = b"*3\r\n$6\r\nEXPIRE\r\n", _text(b"%d" % ttl_seconds)
    rows = zip(repeat(store), names, *parts, repeat(expire), names, repeat(ttl))
    return _Batch(b"".join(map(b"".join, rows)), 2 * len(names))


def _pairs(field: bytes, values: list[bytes]) -> list[bytes]:
    """The field and its value of every row."""
    name = _text(field)
    before = {length: name + b"$%d\r\n" % length for length in set(map(len, values))}
    return [before[len(value)] + value + b"\r\n" for value in values]


def _text(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def _send(client: Any, batch: _Batch) -> None:
    """Send the commands and read every reply: the first error is raised."""
    connection = client.connection_pool.get_connection()
    try:
        connection.send_packed_command([batch.commands])
        for _ in range(batch.replies):
            connection.read_response()
    except BaseException:
        connection.disconnect()  # replies that nobody read would answer the next one's commands
        raise
    finally:
        client.connection_pool.release(connection)
