"""Mines from Feast's online store, for the predictor. Views and services are defined in feature_repo."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.predictor import StoredMine

if TYPE_CHECKING:
    import redis

FEATURE_SERVICE = "fvi_serving_v1"
_YEAR_SECONDS = 30.0
_REDIS_SECONDS = 2.0
# One call for so many mines: Feast's time grows faster than the number of mines.
_MINES_PER_CALL = 250


def fail_fast(client: "redis.Redis") -> None:
    """Bound what one call to Redis may take: one more attempt at once (a stale connection), then an error."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client.set_retry(Retry(NoBackoff(), 1))
    client.get_connection_kwargs().update(socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS)


class FeastFeatureReader:
    """Reads features, cohort and index of mines through the feature service fvi_serving_v1.

    Definitions are read from the registry once: a change of them comes with a new Bento. So PostgreSQL
    is not on the way of an online read.
    """

    def __init__(self, store_yaml: Path, database_url: str, model_features: Sequence[str]) -> None:
        """Open the store. Raises StoreUnavailableError when the registry cannot be read."""
        # Not at the head of the module: Feast imports prometheus_client, which has to find BentoML's folder.
        from feast import FeatureStore
        from feast.repo_config import load_repo_config
        from sqlalchemy.exc import SQLAlchemyError

        config = load_repo_config(store_yaml.parent, store_yaml)
        config.registry.cache_ttl_seconds = 0  # never expires
        try:
            self._store = FeatureStore(config=config)
            self._service = self._store.get_feature_service(FEATURE_SERVICE)
        except SQLAlchemyError as error:
            raise StoreUnavailableError("The feature registry does not answer: is PostgreSQL up?") from error
        self._fail_fast()
        self._features = list(model_features)
        self._database_url = database_url
        self._year: int | None = None
        self._year_until = 0.0
        self._year_lock = threading.Lock()

    def _fail_fast(self) -> None:
        """Let a read of a dead Redis fail soon: by default it waits for ever, or tries for seconds."""
        import redis

        provider = self._store._get_provider()
        client = provider.online_store._get_client(self._store.config.online_store)
        if isinstance(client, redis.Redis):
            fail_fast(client)

    def read(self, mine_ids: Sequence[str]) -> list[StoredMine | None]:
        """Return one entry a mine, in order; None for one that has neither features nor an index.

        Raises StoreUnavailableError when Redis does not answer.
        """
        mines: list[StoredMine | None] = []
        for start in range(0, len(mine_ids), _MINES_PER_CALL):
            mines.extend(self._read(mine_ids[start : start + _MINES_PER_CALL]))
        return mines

    def _read(self, mine_ids: Sequence[str]) -> list[StoredMine | None]:
        from redis.exceptions import RedisError

        try:
            response = self._store.get_online_features(
                features=self._service, entity_rows=[{"mine_id": mine_id} for mine_id in mine_ids]
            )
        except RedisError as error:
            raise StoreUnavailableError("The online store does not answer: ask again in a moment.") from error
        columns: dict[str, list[Any]] = response.to_dict()
        return [self._mine(columns, position) for position in range(len(mine_ids))]

    def _mine(self, columns: dict[str, list[Any]], position: int) -> StoredMine | None:
        year = columns["as_of_year"][position]
        index_score = columns["index_score"][position]
        # Coverage tells a mine whose index is null from one that is not there.
        if year is None and columns["coverage"][position] is None:
            return None
        features = {} if year is None else {name: columns[name][position] for name in self._features}
        return StoredMine(
            features=features,
            as_of_year=year,
            in_cohort=bool(columns["in_cohort"][position]),
            index_score=index_score,
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
