"""Mines from Feast's online store, for the predictor. Views and services are defined in feature_repo.

Feast's own reader makes some objects for each value. This one asks Redis for the same fields of the same keys, all of
a mine at once, and decodes their bytes; tests hold what it answers to Feast's answer.
"""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fvi_pipeline.features import online_format
from fvi_pipeline.features.names import serving_service_of
from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.predictor import StoredMine

if TYPE_CHECKING:
    import redis

_YEAR_SECONDS = 30.0
_REDIS_SECONDS = 2.0
_MINES_PER_CALL = 1_000
_CONTEXT = ("as_of_year", "in_cohort", "index_score", "coverage")


def fail_fast(client: "redis.Redis") -> None:
    """Bound what one call to Redis may take: one more attempt at once (a stale connection), then an error."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client.set_retry(Retry(NoBackoff(), 1))
    client.get_connection_kwargs().update(socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS)


class FeastFeatureReader:
    """Reads features, cohort and index of mines, as the feature service that belongs to the model's has them.

    Definitions are read from the registry once: a change of them comes with a new Bento. So PostgreSQL
    is not on the way of an online read.
    """

    def __init__(
        self, store_yaml: Path, database_url: str, model_features: Sequence[str], feature_service: str
    ) -> None:
        """Open the store. Raises StoreUnavailableError when the registry cannot be read or lacks the service."""
        # Not at the head of the module: Feast imports prometheus_client, which has to find BentoML's folder.
        from feast import FeatureStore
        from feast.errors import FeatureServiceNotFoundException
        from feast.repo_config import load_repo_config
        from sqlalchemy.exc import SQLAlchemyError

        config = load_repo_config(store_yaml.parent, store_yaml)
        config.registry.cache_ttl_seconds = 0  # never expires
        name = serving_service_of(feature_service)
        try:
            store = FeatureStore(config=config)
            service = store.get_feature_service(name)
            (self._join_key,) = {key for p in service.feature_view_projections for key in _join_keys(store, p.name)}
        except SQLAlchemyError as error:
            raise StoreUnavailableError("The feature registry does not answer: is PostgreSQL up?") from error
        except FeatureServiceNotFoundException as error:
            raise StoreUnavailableError(f"The feature store has no service {name}: run the pipeline.") from error
        self._project = store.project
        self._names = [*model_features, *_CONTEXT]
        self._fields = _fields(service, self._names)
        self._client = store._get_provider().online_store._get_client(config.online_store)
        self._fail_fast()
        self._features = list(model_features)
        self._database_url = database_url
        self._year: int | None = None
        self._year_until = 0.0
        self._year_lock = threading.Lock()

    def _fail_fast(self) -> None:
        """Let a read of a dead Redis fail soon: by default it waits for ever, or tries for seconds."""
        import redis

        if isinstance(self._client, redis.Redis):
            fail_fast(self._client)

    def read(self, mine_ids: Sequence[str]) -> list[StoredMine | None]:
        """Return one entry a mine, in order; None for one that has neither features nor an index.

        Raises StoreUnavailableError when Redis does not answer.
        """
        mines: list[StoredMine | None] = []
        for start in range(0, len(mine_ids), _MINES_PER_CALL):
            mines.extend(map(self._mine, self._read(mine_ids[start : start + _MINES_PER_CALL])))
        return mines

    def _read(self, mine_ids: Sequence[str]) -> list[list[bytes | None]]:
        from redis.exceptions import RedisError

        keys = online_format.entity_keys(self._project, self._join_key, [mine_id.encode() for mine_id in mine_ids])
        try:
            if len(keys) == 1:
                return [self._client.execute_command("HMGET", keys[0], *self._fields)]
            with self._client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.execute_command("HMGET", key, *self._fields)
                found: list[list[bytes | None]] = pipe.execute()
        except RedisError as error:
            raise StoreUnavailableError("The online store does not answer: ask again in a moment.") from error
        return found

    def _mine(self, stored: Sequence[bytes | None]) -> StoredMine | None:
        values = dict(zip(self._names, map(online_format.decode, stored), strict=True))
        year = values["as_of_year"]
        # Coverage tells a mine whose index is null from one that is not there.
        if year is None and values["coverage"] is None:
            return None
        return StoredMine(
            features={} if year is None else {name: values[name] for name in self._features},
            as_of_year=year,
            in_cohort=bool(values["in_cohort"]),
            index_score=values["index_score"],
        )

    def newest_year(self) -> int | None:
        """Return the newest as-of year in mart.fvi_scores, read again every 30 s.

        A mine whose newest row is older has left the panel. While PostgreSQL is down, what was read
        last holds.
        """
        if time.monotonic() >= self._year_until and self._year_lock.acquire(blocking=False):
            try:
                self._year = self._query_newest_year()
            except StoreUnavailableError:
                if self._year is None:
                    raise
            finally:
                self._year_until = time.monotonic() + _YEAR_SECONDS
                self._year_lock.release()
        return self._year

    def _query_newest_year(self) -> int | None:
        import psycopg

        try:
            with connect(self._database_url, autocommit=True) as connection:
                row = connection.execute("SELECT max(as_of_year) FROM mart.fvi_scores").fetchone()
        except (PlatformError, psycopg.Error) as error:
            raise StoreUnavailableError("PostgreSQL does not answer: ask again in a moment.") from error
        return None if row is None else row[0]


def _join_keys(store: Any, view: str) -> list[str]:
    """The join keys of a registered feature view, all of them texts."""
    return [entity.name for entity in store.get_feature_view(view).entity_columns]


def _fields(service: Any, names: Sequence[str]) -> list[bytes]:
    """The fields of a mine's hash that hold the named features of a service."""
    fields = {
        feature.name: field
        for projection in service.feature_view_projections
        for feature, field in zip(
            projection.features,
            online_format.feature_fields(projection.name, [feature.name for feature in projection.features]),
            strict=True,
        )
    }
    return [fields[name] for name in names]
