"""Feature views as the online store and gold hold them: the newest rows of gold in bulk, the fields of a mine's hash.

Comparing both belongs to `parity`, filling the online store to `online_store`, single mines to serving.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from fvi_pipeline.features import online_format
from fvi_pipeline.features.copy_columns import Column, copy_columns
from fvi_pipeline.features.errors import FeatureStoreError
from fvi_pipeline.features.online_version import writing

if TYPE_CHECKING:
    from feast import FeatureStore

MINES_AT_ONCE = 2_000


@dataclass(frozen=True)
class OnlineView:
    """A feature view that is served: what its features are called and typed, and where a mine's hash has them."""

    name: str
    project: str
    join_key: str
    types: dict[str, str]
    time_column: str
    newest_rows: str
    """A SELECT of the newest row of each mine: the join key, the time, the features."""
    mines: str
    """A SELECT of the join key of each mine."""

    @property
    def fields(self) -> list[bytes]:
        """The features' fields in a mine's hash, in order."""
        return online_format.feature_fields(self.name, list(self.types))

    @property
    def time_field(self) -> bytes:
        """The field of the event time, which every stored row has."""
        return online_format.time_field(self.name)

    def keys(self, mine_ids: Collection[bytes]) -> list[bytes]:
        """Redis keys of the mines."""
        return online_format.entity_keys(self.project, self.join_key, mine_ids)

    def mine_of(self, key: bytes) -> str:
        """The mine of a Redis key."""
        return online_format.entity_of(key, self.project, self.join_key)


def online_views(store: FeatureStore, names: Collection[str] | None = None) -> list[OnlineView]:
    """The registered views that are served online, or those of them that are named.

    Raises:
        FeatureStoreError: a view's rows do not come from PostgreSQL, or are not found by one text.
    """
    found = [view for view in store.list_feature_views() if view.online and (names is None or view.name in names)]
    return [_online_view(store, view) for view in found]


def online_client(store: FeatureStore) -> Any:
    """The client of the Redis that the store writes to."""
    provider = store._get_provider()
    return provider.online_store._get_client(store.config.online_store)


def newest_in_gold(store: FeatureStore, view: OnlineView) -> Iterator[tuple[list[bytes], dict[str, Column]]]:
    """The newest row of each mine, some thousand at once: the mines' IDs in UTF-8, and the columns."""
    return _rows(store, view, view.newest_rows)


def _rows(store: FeatureStore, view: OnlineView, query: str) -> Iterator[tuple[list[bytes], dict[str, Column]]]:
    from feast.infra.utils.postgres.connection_utils import _get_conn

    with _get_conn(store.config.offline_store) as connection:
        connection.read_only = True
        for _, columns in copy_columns(connection, query, MINES_AT_ONCE):
            yield columns[view.join_key].values.tolist(), columns


def fields_of(client: Any, keys: Sequence[bytes], fields: Sequence[bytes]) -> list[list[bytes | None]]:
    """The fields of each hash, None where it lacks one."""
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.execute_command("HMGET", key, *fields)
        found: list[list[bytes | None]] = pipe.execute()
    return found


def keys_online(client: Any, view: OnlineView) -> Iterator[list[bytes]]:
    """The keys under which the online store has a row of the view, some thousand at once."""
    scan = client.scan_iter(match=online_format.keys_pattern(view.project, view.join_key), count=MINES_AT_ONCE)
    while keys := list(islice(scan, MINES_AT_ONCE)):
        times = fields_of(client, keys, [view.time_field])
        # a scan may give a key twice
        yield list(dict.fromkeys(key for key, (time,) in zip(keys, times, strict=True) if time is not None))


def remove_departed(store: FeatureStore, views: Collection[str] | None = None) -> dict[str, int]:
    """Take rows out of the online store whose mine gold does not have any more; returns how many of each view.

    A mine leaves gold when the files that told of it are withdrawn; what was computed from them must not be served
    until it expires. A row is removed by one command, so no read sees half of it.
    """
    client = online_client(store)
    removed: dict[str, int] = {}
    for view in online_views(store, views):
        offline = {key for mine_ids, _ in _rows(store, view, view.mines) for key in view.keys(mine_ids)}
        departed = [key for keys in keys_online(client, view) for key in keys if key not in offline]
        if departed:
            with writing(client), client.pipeline(transaction=False) as pipe:
                for key in departed:
                    pipe.hdel(key, view.time_field, *view.fields)  # a hash without fields is gone
                pipe.execute()
        removed[view.name] = len(departed)
    return removed


def _online_view(store: FeatureStore, view: Any) -> OnlineView:
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource

    keys = [(entity.name, entity.dtype.to_value_type().name) for entity in view.entity_columns]
    source = view.source
    if not isinstance(source, PostgreSQLSource) or source.field_mapping or [kind for _, kind in keys] != ["STRING"]:
        raise FeatureStoreError(f"{view.name} is not read from PostgreSQL by one text: compare it in another way.")
    join_key, time = keys[0][0], source.timestamp_field
    types = {feature.name: feature.dtype.to_value_type().name for feature in view.features}
    order = ", ".join(f'"{name}" desc' for name in (join_key, time, source.created_timestamp_column) if name)
    columns = ", ".join(f'"{name}"' for name in (join_key, time, *types))
    rows = f'{source.get_table_query_string()} as gold_rows where "{time}" <= now()'
    return OnlineView(
        name=view.name,
        project=store.project,
        join_key=join_key,
        types=types,
        time_column=time,
        newest_rows=f'select distinct on ("{join_key}") {columns} from {rows} order by {order}',  # noqa: S608
        mines=f'select distinct "{join_key}" from {rows}',  # noqa: S608
    )
