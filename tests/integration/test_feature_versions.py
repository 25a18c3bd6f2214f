"""Versions of the feature services on real servers: a new or changed feature makes a new one, the old ones go on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import redis

from fvi_pipeline.features.catalogue import Catalogue
from fvi_pipeline.features.errors import FeatureStoreError
from fvi_pipeline.features.store import apply, historical_features, materialize, online_features, training_features
from fvi_pipeline.features.versions import changes, live_versions, newest_version, noted_versions, version_of
from fvi_pipeline.platform.database import connect
from tests.integration.small_gold import A, B, Gold, at, catalogue_of, feature, small_gold

OUTPUT, ASH = feature("output"), feature("ash")
FIRST = catalogue_of(OUTPUT)
WITH_ASH = catalogue_of(OUTPUT, ASH)
OTHER_OUTPUT = catalogue_of(feature("output", definition="history.output * 2"), ASH)


@pytest.fixture
def gold(database_url: str, redis_url: str, tmp_path: Path) -> Gold:
    gold = small_gold(database_url, redis_url, tmp_path)
    gold.add(A, 2014, at(2015), 1.0, 10.0)
    gold.add(B, 2014, at(2015), 2.0, None)
    return gold


def applied(gold: Gold, catalogue: Catalogue, in_use: set[str] | None = None) -> Any:
    store = gold.open()
    apply(store, catalogue, gold.database_url, lambda: in_use or set())
    return store


def refresh(gold: Gold, store: Any) -> None:
    """What the asset does: every version that gold can compute, at once."""
    with connect(gold.database_url) as connection:
        materialize(store, views=[version.view for version in live_versions(connection)])


def state(gold: Gold) -> dict[str, str | None]:
    with connect(gold.database_url) as connection:
        return {version.service: version.frozen_because for version in noted_versions(connection)}


def online(store: Any, service: str, *names: str) -> list[tuple[Any, ...]]:
    return online_features(store, [A, B], service).select(names).rows()


def as_of(store: Any, service: str) -> list[tuple[Any, ...]]:
    rows = pl.DataFrame({"mine_id": [A, B], "event_timestamp": [at(2016), at(2016)]})
    found = historical_features(store, rows, service).sort("mine_id")
    return found.drop("mine_id", "event_timestamp").rows()


def test_a_new_feature_makes_a_version_beside_which_the_old_one_goes_on(gold):
    refresh(gold, applied(gold, FIRST))
    store = applied(gold, WITH_ASH)
    assert state(gold) == {"fvi_v1": None, "fvi_v2": None}
    gold.add(B, 2015, at(2016), 3.0, 30.0)
    refresh(gold, store)
    assert online(store, "fvi_serving_v1", "output", "as_of_year") == [(1.0, 2014), (3.0, 2015)]
    assert online(store, "fvi_serving_v2", "output", "ash") == [(1.0, 10.0), (3.0, 30.0)]
    assert "ash" not in online_features(store, [A], "fvi_serving_v1").columns
    assert as_of(store, "fvi_v1") == [(1.0,), (3.0,)]
    assert as_of(store, "fvi_v2") == [(1.0, 10.0), (3.0, 30.0)]
    assert training_features(store, "fvi_v1").columns[-1] == "output"
    with connect(gold.database_url) as connection:
        first, second = noted_versions(connection)
        assert newest_version(connection) == second
    assert (changes(first, second).added, first.features, second.features) == (("ash",), ("output",), ("output", "ash"))


def test_a_changed_definition_freezes_the_version_that_had_the_other(gold):
    refresh(gold, applied(gold, WITH_ASH))
    store = applied(gold, OTHER_OUTPUT)
    assert state(gold) == {"fvi_v1": "computed in another way: output", "fvi_v2": None}
    # gold is rebuilt with the new definition
    gold.execute("update gold.gold_mine_feature_history set output = output * 2")
    refresh(gold, store)
    assert online(store, "fvi_serving_v2", "output") == [(2.0,), (4.0,)]
    assert online(store, "fvi_serving_v1", "output", "ash") == [(1.0, 10.0), (2.0, None)]
    for attempt in (lambda: as_of(store, "fvi_v1"), lambda: training_features(store, "fvi_v1")):
        with pytest.raises(FeatureStoreError, match=r"fvi_v1 is frozen .* another way: output.* Use the newest"):
            attempt()
    assert as_of(store, "fvi_v2") == [(2.0, 10.0), (4.0, None)]

    # who goes past this package to Feast itself is told the same, and can write as little
    rows = pl.DataFrame({"mine_id": [A], "event_timestamp": [at(2016)]}).to_pandas()
    with pytest.raises(Exception, match="fvi_v1 is frozen"):
        store.get_historical_features(rows, features=store.get_feature_service("fvi_v1")).to_df()
    with pytest.raises(ValueError, match="not configured to be served online"):
        materialize(store, views=["mine_features_v1"])
    materialize(store)
    assert online(store, "fvi_serving_v1", "output") == [(1.0,), (2.0,)]

    # a feature that is gone freezes too, and so does a second look; taken back, it is computed as before again
    gone = catalogue_of(ASH)
    assert apply(store, gone, gold.database_url) == apply(store, gone, gold.database_url)
    assert state(gold)["fvi_v2"] == "no longer computed: output"
    applied(gold, OTHER_OUTPUT)
    assert state(gold)["fvi_v2"] is None


def test_words_make_no_version_and_order_none_either(gold):
    store = applied(gold, WITH_ASH)
    told = catalogue_of(ASH, feature("output", description="Tons of coal.", category="market"))
    apply(store, told, gold.database_url)
    assert state(gold) == {"fvi_v1": None}
    described = {field.name: field.description for field in store.get_feature_view("mine_features_v1").features}
    assert described["output"] == "Tons of coal."
    for other in ({"unit": "kg"}, {"null_means": "none left"}, {"sources": ("silver_mine_years.labor_hours[t]",)}):
        apply(store, catalogue_of(ASH, feature("output", **other)), gold.database_url)
    assert list(state(gold)) == ["fvi_v2", "fvi_v3", "fvi_v4"]


def test_three_are_kept_and_those_that_something_serves(gold, redis_url):
    catalogues = [catalogue_of(feature("output", definition=f"history.output + {number}")) for number in range(6)]
    for catalogue in catalogues[:5]:
        refresh(gold, applied(gold, catalogue, in_use={"fvi_v1"}))
    assert list(state(gold)) == ["fvi_v1", "fvi_v3", "fvi_v4", "fvi_v5"]
    store = gold.open()
    assert online(store, "fvi_serving_v1", "output") == [(1.0,), (2.0,)]
    names = {view.name for view in store.list_feature_views()}
    assert names == {"mine_index", "mine_segment", *(f"mine_features_v{number}" for number in (1, 3, 4, 5))}

    # a version leaves nothing behind in Redis, where all of a mine's views share one hash
    applied(gold, catalogues[5])
    assert list(state(gold)) == ["fvi_v4", "fvi_v5", "fvi_v6"]
    with redis.Redis.from_url(redis_url) as client:
        keys = client.keys("*mine_id*")
        assert len(keys) == 2
        for key in keys:
            times = {field for field in client.hkeys(key) if field.startswith(b"_ts:")}
            assert times == {b"_ts:mine_features_v4", b"_ts:mine_features_v5"}
            assert client.hlen(key) == 2 * (len(catalogues[0].store_columns()) + 2)
    with connect(gold.database_url) as connection, pytest.raises(FeatureStoreError, match="does not have fvi_v1"):
        version_of(connection, "fvi_v1")
    # a number is never used again
    applied(gold, catalogues[0])
    assert list(state(gold)) == ["fvi_v5", "fvi_v6", "fvi_v7"]


def test_versions_are_noted_once_however_many_ask_and_whoever_is_killed(gold, monkeypatch):
    applied(gold, FIRST)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(applied, gold, WITH_ASH) for _ in range(2)]
        assert [run.exception() for run in runs] == [None, None]
    assert list(state(gold)) == ["fvi_v1", "fvi_v2"]

    class Killed(BaseException):
        """As the end of a process."""

    def killed(*arguments: object, **options: object) -> None:
        raise Killed

    store = gold.open()
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "apply", killed)
        with pytest.raises(Killed):
            apply(store, OTHER_OUTPUT, gold.database_url)
    store = applied(gold, OTHER_OUTPUT)
    assert list(state(gold)) == ["fvi_v1", "fvi_v2", "fvi_v3"]
    assert store.get_feature_service("fvi_serving_v3").name == "fvi_serving_v3"


def test_a_champion_of_a_frozen_version_scores_with_what_is_served(gold, redis_url, monkeypatch):
    from fvi_pipeline.defs.model import rows_to_score

    for name, value in gold.environment.items():
        monkeypatch.setenv(name, value)
    gold.execute("create view gold.gold_mine_features as select * from gold.gold_mine_feature_history")
    refresh(gold, applied(gold, WITH_ASH))

    def to_score(*names: str) -> list[tuple[Any, ...]]:
        with connect(gold.database_url) as connection:
            return rows_to_score(connection, version_of(connection, "fvi_v1"), names).sort("mine_id").rows()

    assert to_score("output", "ash") == [(A, 2014, 1.0, 10.0), (B, 2014, 2.0, None)]
    with pytest.raises(dg.Failure, match="does not have the champion's sulphur"):
        to_score("output", "sulphur")
    # an added feature changes nothing for it
    gold.execute("alter table gold.gold_mine_feature_history add column size double precision")
    refresh(gold, applied(gold, catalogue_of(OUTPUT, ASH, feature("size", definition="history.output"))))
    gold.add(A, 2015, at(2016), 3.0, 30.0)
    assert to_score("ash", "output") == [(A, 2015, 30.0, 3.0)]
    # computed in another way: gold's values are not those that it learned from
    refresh(gold, applied(gold, OTHER_OUTPUT))
    gold.execute("update gold.gold_mine_feature_history set output = -1")
    assert to_score("output", "ash") == [(A, 2014, 1.0, 10.0), (B, 2014, 2.0, None)]
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    with pytest.raises(dg.Failure, match=r"nothing to score: fvi_v1 is frozen"):
        to_score("output", "ash")
