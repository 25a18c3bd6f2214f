"""Mines from Feast's online store, for the predictor. Views and services are defined in feature_repo.

Feast's own reader makes some objects for each value. This one asks Redis for the same fields of the same keys, all of
a mine at once, and decodes their bytes; tests hold what it answers to Feast's answer.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.features import online_format
from fvi_pipeline.features.names import serving_service_of
from fvi_pipeline.model.scoring import ViabilityModel
from fvi_pipeline.serving.arms import MineFields, ServedModel
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.mines import StoredMine
from fvi_pipeline.serving.packed_rows import keep_commands, rows_key, unpack
from fvi_pipeline.serving.redis_link import RedisLink

if TYPE_CHECKING:
    import redis

_REDIS_SECONDS = 2.0
_MINES_PER_CALL = 250
VINTAGE = "vintage_known_at"
CONTEXT = ("as_of_year", "in_cohort", VINTAGE, "index_score", "coverage")
_CONTEXT_FIELDS = len(CONTEXT)


def fail_fast(client: redis.Redis) -> None:
    """Bound what one call to Redis may take: one more attempt at once (a stale connection), then an error."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client.set_retry(Retry(NoBackoff(), 1))
    client.get_connection_kwargs().update(socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS)


class FeatureLayouts:
    """Knows where the online store has the features of a model: as its feature service says.

    Definitions are read from the registry once a service: a change of them comes with a new service. So PostgreSQL is
    not on the way of an online read.
    """

    def __init__(self, store_yaml: Path) -> None:
        """Nothing is read before the first model."""
        self._store_yaml = store_yaml
        self._lock = threading.Lock()
        self._known: dict[tuple[str, tuple[str, ...]], MineFields] = {}

    def served(
        self, model: ViabilityModel, version: str, arm: Literal["champion", "challenger"], since: datetime
    ) -> ServedModel:
        """The model, ready to answer.

        Raises StoreUnavailableError when the registry cannot be read or lacks the service.
        """
        key = (model.metadata.feature_service, tuple(model.features))
        with self._lock:
            if key not in self._known:
                self._known[key] = mine_fields(self._store_yaml, *key)
            return ServedModel(model, version, arm, self._known[key], since)


class OnlineReader:
    """Reads features, cohort and index of mines over the link of the requests."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def read(
        self, served: ServedModel, mine_ids: Sequence[str], *also: tuple[Any, ...], version: bytes | None = None
    ) -> tuple[list[StoredMine | None], list[Any]]:
        """Return one entry a mine, in order, None for one that has neither features nor an index; and the replies to
        further commands, which go in the same round trip.

        `version` is the one that the online store has now: rows that were packed under it are taken, and others packed
        for the next reader. Raises StoreUnavailableError when Redis does not answer.
        """
        fields = served.fields
        if version is None or not mine_ids:
            return await self.read_fields(fields, mine_ids, *also)
        key = rows_key(version, fields)
        *replies, packed = await self._link.call([*also, ("HMGET", key, *mine_ids)])
        mines = unpack(packed, len(fields.names) - _CONTEXT_FIELDS)
        places = [place for place, mine in enumerate(mines) if mine is None]
        if places:
            found, _ = await self.read_fields(fields, [mine_ids[place] for place in places])
            for place, mine in zip(places, found, strict=True):
                mines[place] = mine
            fresh = {mine_ids[place]: mine for place in places if (mine := mines[place]) is not None}
            self._link.tell(keep_commands(key, fresh))
        return mines, replies

    async def read_fields(
        self, fields: MineFields, mine_ids: Sequence[str], *also: tuple[Any, ...]
    ) -> tuple[list[StoredMine | None], list[Any]]:
        """The same for features that need no model."""
        if not mine_ids:
            return [], []
        commands = [fields.read_command(key) for key in _keys(fields, mine_ids)]
        parts = [commands[start : start + _MINES_PER_CALL] for start in range(0, len(commands), _MINES_PER_CALL)]
        # in parts, so that a large batch holds up no other request for long; Redis reads one while another is decoded
        first, *rest = [self._link.call([*also, *part] if not number else part) for number, part in enumerate(parts)]
        found = await first
        replies, mines = found[: len(also)], stored_mines(fields, found[len(also) :])
        for later in rest:
            mines.extend(stored_mines(fields, await later))
        return mines, replies


def blocking_read(client: redis.Redis, served: ServedModel, mine_ids: Sequence[str]) -> list[StoredMine | None]:
    """The same for a thread of its own, with a client of its own. Raises StoreUnavailableError."""
    from redis.exceptions import RedisError

    try:
        with client.pipeline(transaction=False) as pipe:
            for key in _keys(served.fields, mine_ids):
                pipe.hmget(key, served.fields.fields)  # type: ignore[arg-type]
            return stored_mines(served.fields, pipe.execute())
    except RedisError as error:
        raise StoreUnavailableError("The online store does not answer: ask again in a moment.") from error


def stored_mines(fields: MineFields, stored: Sequence[Sequence[bytes | None]]) -> list[StoredMine | None]:
    """Mines of the values of their fields."""
    if not stored:
        return []
    rows = _rows(fields, stored)
    return [_mine(values[-_CONTEXT_FIELDS:], row) for values, row in zip(stored, rows, strict=True)]


def _mine(context: Sequence[bytes | None], row: NDArray[np.float32]) -> StoredMine | None:
    year, in_cohort, known_at, index_score, coverage = map(_decode, context)
    # Coverage tells a mine whose index is null from one that is not there.
    if year is None and coverage is None:
        return None
    return StoredMine(
        row=None if year is None else row,
        as_of_year=year,
        in_cohort=bool(in_cohort),
        index_score=index_score,
        known_at=known_at if known_at is None or known_at.tzinfo else known_at.replace(tzinfo=UTC),
    )


def _rows(fields: MineFields, stored: Sequence[Sequence[bytes | None]]) -> NDArray[np.float32]:
    """The features of all mines [n, F] in single precision, which the model was fitted on."""
    count = len(fields.names) - _CONTEXT_FIELDS
    reals = online_format.decode_reals([value for values in stored for value in values[:count]])
    if reals is None:
        plain = [[np.nan if (v := _decode(value)) is None else float(v) for value in row[:count]] for row in stored]
        return np.array(plain, dtype=np.float32)
    found, present = reals
    return np.where(present, found, np.nan).astype(np.float32).reshape(len(stored), count)


@lru_cache(maxsize=65_536)
def _decode(value: bytes | None) -> Any:
    return online_format.decode(value)


def _keys(fields: MineFields, mine_ids: Sequence[str]) -> list[bytes]:
    return online_format.entity_keys(fields.project, fields.join_key, [mine_id.encode() for mine_id in mine_ids])


def mine_fields(store_yaml: Path, feature_service: str, features: Sequence[str]) -> MineFields:
    """Where the online store has these features, and the context of an answer.

    Raises StoreUnavailableError when the registry cannot be read or lacks the service.
    """
    # Not at the head of the module: Feast imports prometheus_client, which has to find BentoML's folder.
    from feast import FeatureStore
    from feast.errors import FeatureServiceNotFoundException
    from feast.repo_config import load_repo_config
    from sqlalchemy.exc import SQLAlchemyError

    config = load_repo_config(store_yaml.parent, store_yaml)
    name = serving_service_of(feature_service)
    try:
        store = FeatureStore(config=config)
        service = store.get_feature_service(name)
        (join_key,) = {key for p in service.feature_view_projections for key in _join_keys(store, p.name)}
    except SQLAlchemyError as error:
        raise StoreUnavailableError("The feature registry does not answer: is PostgreSQL up?") from error
    except FeatureServiceNotFoundException as error:
        raise StoreUnavailableError(f"The feature store has no service {name}: run the pipeline.") from error
    names = (*features, *CONTEXT)
    return MineFields(
        project=store.project,
        join_key=join_key,
        names=names,
        fields=tuple(_fields(service, names)),
        types={
            feature.name: feature.dtype.to_value_type().name
            for projection in service.feature_view_projections
            for feature in projection.features
            if feature.name in set(features)
        },
    )


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
    # a service from before the time of knowing was kept has none: no field has an empty name
    return [fields.get(name, b"") if name == VINTAGE else fields[name] for name in names]
