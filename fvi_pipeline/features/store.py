"""The feature store: open it, register the views, read history as it was known, materialise, read online.

The objects that it holds are made in `views`; SQL that computes a feature belongs to the dbt models.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import polars as pl
import yaml

from fvi_pipeline.features.catalogue import Catalogue
from fvi_pipeline.features.errors import FeatureStoreError
from fvi_pipeline.features.names import view_of
from fvi_pipeline.features.online_views import remove_departed
from fvi_pipeline.features.versions import (
    FeatureVersion,
    note_retired,
    note_versions,
    planned_versions,
    retirable,
)
from fvi_pipeline.features.views import (
    CREATED_TIMESTAMP,
    EVENT_TIMESTAMP,
    FROZEN_TAG,
    HISTORY_TABLE,
    JOIN_KEY,
    build_objects,
)
from fvi_pipeline.platform.database import advisory_lock, connect

if TYPE_CHECKING:
    from feast import FeatureStore

BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)
# Feast's time for one call grows faster than the number of mines
_MINES_PER_CALL = 250
_POLARS_TYPES: dict[str, pl.DataType] = {
    "Float64": pl.Float64(),
    "Int64": pl.Int64(),
    "Bool": pl.Boolean(),
    "String": pl.String(),
    "UnixTimestamp": pl.Datetime("us", "UTC"),
}
_TRAINING_ROWS = f"""
    select {JOIN_KEY}, as_of_year as row_as_of_year, min({CREATED_TIMESTAMP}) as {EVENT_TIMESTAMP}
    from {HISTORY_TABLE}
    group by {JOIN_KEY}, as_of_year
"""  # noqa: S608 - constants of this package


def open_store(feature_repo_dir: Path, environment: Mapping[str, str]) -> FeatureStore:
    """The store that `feature_store.yaml` describes, its `${NAME}` taken from `environment`. No connection is
    opened yet.

    Raises:
        FeatureStoreError: the file is missing or names a variable that `environment` lacks.
    """
    from feast import FeatureStore
    from feast.repo_config import RepoConfig

    path = feature_repo_dir / "feature_store.yaml"
    try:
        # values are put in after the YAML is read: a password may hold any character
        raw = _substitute(yaml.safe_load(path.read_text(encoding="utf-8")), environment)
    except FileNotFoundError as error:
        raise FeatureStoreError(f"{path} is missing. Run from a checkout of the project.") from error
    except KeyError as error:
        raise FeatureStoreError(f'{path} needs the variable {error}. Run eval "$(fvi env)" first.') from error
    config = RepoConfig(**raw)
    config.repo_path = feature_repo_dir
    return FeatureStore(config=config)


def apply(
    store: FeatureStore,
    catalogue: Catalogue,
    database_url: str,
    services_in_use: Callable[[], Collection[str]] = frozenset,
) -> list[str]:
    """Note the versions of the features for the catalogue, register their objects and remove others; returns the names
    of the registered objects.

    Safe to repeat, to run twice at once (the second waits) and to run after a process that was killed.

    Args:
        store: the open store.
        catalogue: what the dbt project describes now.
        database_url: of the warehouse.
        services_in_use: names the feature services (`fvi_vN`) of the models that are or may be served; asked only when
            there are versions that could go.
    """
    # Feast itself takes no lock, neither for creating the registry's tables nor for the objects in them
    with connect(database_url, autocommit=True) as connection, advisory_lock(connection, "fvi.feast.apply"):
        versions = planned_versions(connection, catalogue)
        note_versions(connection, versions)
        retired = retirable(versions, services_in_use()) if retirable(versions, ()) else ()
        kept = [version for version in versions if version not in retired]
        names = _register(store, kept)
        note_retired(connection, retired)
    return names


def _register(store: FeatureStore, versions: Sequence[FeatureVersion]) -> list[str]:
    objects = build_objects(versions)
    names = {obj.name for obj in objects}
    sources = {view.batch_source.name for view in objects if hasattr(view, "batch_source")}
    stale: list[Any] = [service for service in store.list_feature_services() if service.name not in names]
    for view in store.list_feature_views():
        if view.name not in names:
            # before the registry forgets it: all views of a mine share one hash in Redis, and a process that is killed
            # in between would leave the view's fields in it for ever
            store._get_provider().online_store.delete_table(store.config, view)
            stale.append(view)
    stale.extend(source for source in store.list_data_sources() if source.name not in sources)
    store.apply(objects, objects_to_delete=stale, partial=False)
    store.refresh_registry()
    return sorted(names)


def historical_features(
    store: FeatureStore, entity_rows: pl.DataFrame | str, features: Sequence[str] | str
) -> pl.DataFrame:
    """Features as they were known at each entity row's time: neither a later fact nor a later restatement is
    seen.

    Args:
        store: the open store, its views applied.
        entity_rows: a frame with mine_id and event_timestamp (timestamp with a zone), or one SELECT of them
            for the offline store, which spares the way of the rows through this process. Further columns are
            carried along.
        features: a feature service's name, or references such as `mine_features_v1:as_of_year`.

    Returns:
        One row per entity row, unordered: its columns, then the features; numbers as Float64. A mine that was
        unknown has nulls.

    Raises:
        FeatureStoreError: the entity rows have no mine_id, or no event_timestamp with a zone; or the features are of
            a frozen version, whose history nobody can tell any more.
    """
    if isinstance(entity_rows, pl.DataFrame):
        _check_entity_rows(entity_rows)
        if entity_rows.is_empty():
            raise FeatureStoreError("There is no entity row to read features for. Give at least one mine and time.")
    service = store.get_feature_service(features) if isinstance(features, str) else None
    views = {p.name for p in service.feature_view_projections} if service else {f.partition(":")[0] for f in features}
    for view in views:
        _refuse_frozen(store.get_feature_view(view))
    with warnings.catch_warnings():
        # Feast reads the columns of a SELECT through pandas and psycopg, which works
        warnings.filterwarnings("ignore", message="pandas only supports SQLAlchemy", category=UserWarning)
        job = store.get_historical_features(
            entity_df=entity_rows if isinstance(entity_rows, str) else entity_rows.to_pandas(),
            features=service if service is not None else list(features),
            filter_by_created_timestamp=True,
        )
    frame = pl.from_arrow(job.to_arrow())
    if not isinstance(frame, pl.DataFrame):
        raise FeatureStoreError("The offline store did not answer with a table.")
    types = _types(service) if service is not None else {}
    # Feast answers in UTC and leaves the zone out
    types[EVENT_TIMESTAMP] = _POLARS_TYPES["UnixTimestamp"]
    return frame.with_columns(pl.col(name).cast(types[name]) for name in frame.columns if name in types)


def training_features(store: FeatureStore, service: str, *, cohort_only: bool = True) -> pl.DataFrame:
    """The inputs of the feature service (`fvi_vN`) of every mine and as-of year, each as first known.

    Returns:
        mine_id, as_of_year (Int64), event_timestamp (UTC: when the year of the mine was first known), the
        model's inputs in order (Float64). With `cohort_only`, only rows in the cohort as first known.

    Raises:
        FeatureStoreError: the store answers with another as-of year than asked for; gold's times contradict
            each other; or the service is frozen.
    """
    projections = store.get_feature_service(service).feature_view_projections
    names = [feature.name for projection in projections for feature in projection.features]
    references = [f"{view_of(service)}:{name}" for name in (*names, "as_of_year", "in_cohort")]
    rows = historical_features(store, _TRAINING_ROWS, references)
    wrong = rows.filter(pl.col("as_of_year").ne_missing(pl.col("row_as_of_year")))
    if not wrong.is_empty():
        first = wrong.row(0, named=True)
        raise FeatureStoreError(
            f"When the year of {wrong.height} rows became known, their newest facts were of another year "
            f"(first: {first[JOIN_KEY]}, {first['row_as_of_year']}, got {first['as_of_year']}). A later year "
            "must not be known before an earlier one: correct known_at of the files."
        )
    rows = rows.filter(pl.col("in_cohort")) if cohort_only else rows
    return rows.select(
        JOIN_KEY,
        pl.col("as_of_year").cast(pl.Int64),
        EVENT_TIMESTAMP,
        *(pl.col(name).cast(pl.Float64) for name in names),
    ).sort(JOIN_KEY, "as_of_year")


def materialize(store: FeatureStore, until: datetime | None = None, views: Sequence[str] | None = None) -> None:
    """Bring the newest vintage of each mine into the online store; a restated row overwrites the earlier one.

    The window is always the whole history up to `until` (default: now): an incremental one would miss late
    rows. A mine that gold does not have any more is removed.

    Raises:
        FeatureStoreError: `until` has no time zone.
    """
    end = until or datetime.now(UTC)
    if end.tzinfo is None:
        raise FeatureStoreError("`until` needs a time zone; use UTC.")
    store.materialize(start_date=BEGINNING, end_date=end, feature_views=list(views) if views is not None else None)
    remove_departed(store, views)


def online_features(store: FeatureStore, mine_ids: Sequence[str], service: str) -> pl.DataFrame:
    """What the online store holds of the mines, a row each in the given order; nulls for an unknown mine.

    Times are to the second, which is what Feast keeps of them.
    """
    feature_service = store.get_feature_service(service)
    types = {JOIN_KEY: pl.String(), **_types(feature_service)}
    frames = []
    for start in range(0, len(mine_ids), _MINES_PER_CALL):
        rows = [{JOIN_KEY: mine_id} for mine_id in mine_ids[start : start + _MINES_PER_CALL]]
        values = store.get_online_features(features=feature_service, entity_rows=rows).to_dict()
        frames.append(pl.DataFrame({name: values[name] for name in types}, schema=types))
    return pl.concat(frames) if frames else pl.DataFrame(schema=types)


def _refuse_frozen(view: Any) -> None:
    because = view.tags.get(FROZEN_TAG)
    if because:
        raise FeatureStoreError(because)


def _types(service: Any) -> dict[str, pl.DataType]:
    projections: Iterable[Any] = service.feature_view_projections
    return {f.name: _POLARS_TYPES[str(f.dtype)] for projection in projections for f in projection.features}


def _check_entity_rows(rows: pl.DataFrame) -> None:
    zone = getattr(rows.schema.get(EVENT_TIMESTAMP), "time_zone", None)
    if rows.schema.get(JOIN_KEY) != pl.String or zone is None:
        raise FeatureStoreError(
            f"Entity rows need {JOIN_KEY} (text) and {EVENT_TIMESTAMP} (a timestamp with a time zone), "
            f"not {rows.schema}."
        )


def _substitute(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _substitute(item, environment) for name, item in value.items()}
    if isinstance(value, list):
        return [_substitute(item, environment) for item in value]
    return Template(value).substitute(environment) if isinstance(value, str) else value
