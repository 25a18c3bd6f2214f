"""Facts of the future, planted in silver, move nothing: not gold, not what Feast says of the past, not the training
set. The same facts, known in time, move all three, so the test could fail. What gets past gold's queries all the same
is found by the audit, which names feature and mine and lets nothing after it run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import psycopg
import pytest

from fvi_pipeline.defs.audit import CHECKS, training_set_is_the_as_of_join
from fvi_pipeline.defs.features import catalogue, feature_registry
from fvi_pipeline.defs.model import TRAINING_SET, training_set
from fvi_pipeline.features.audit import OUTCOME, audit_training_set, failures
from fvi_pipeline.features.errors import AuditError
from fvi_pipeline.platform.servers import Servers
from tests.integration.planted_facts import (
    FUTURE,
    HISTORY,
    LATER_YEAR,
    MOMENT,
    WITHOUT_A_PAST,
    YEAR,
    Story,
    Works,
    told_story,
    value_of,
)


@pytest.fixture(scope="module")
def story(servers: Servers, manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder, home = tmp_path_factory.mktemp("leak-landing"), tmp_path_factory.mktemp("leak-home")
    with told_story(servers, manifest, folder, home) as told:
        yield told


# --- planted in silver ----------------------------------------------------------------------------


def test_a_fact_of_the_future_moves_no_value_of_gold(story: Story) -> None:
    assert story.late.gold.equals(story.before.gold)
    assert story.late.outcomes.equals(story.before.outcomes)


def test_feast_does_not_give_it_for_the_past(story: Story) -> None:
    assert story.before.feast.height > 300
    assert story.late.feast.equals(story.before.feast)
    planted = story.late.feast.filter(pl.col("mine_id").is_in([WITHOUT_A_PAST, LATER_YEAR]))
    assert planted["production_short_tons"].to_list() == [None, None]


def test_the_training_set_does_not_have_it(story: Story) -> None:
    assert story.before.training.height > 300
    assert story.late.training.equals(story.before.training)


def test_each_of_them_known_in_time_is_used_everywhere(story: Story) -> None:
    before, early, mine, new = story.before, story.early, story.works.mine, story.works.new_mine
    assert (before.value("production_short_tons_1y_ago", new), early.value("production_short_tons_1y_ago", new)) == (
        None,
        77777.0,
    )
    for planted in (WITHOUT_A_PAST, LATER_YEAR):
        assert before.value("production_short_tons", planted) is None
        assert early.value("production_short_tons", planted) == 5e9
    moved = {
        "share_of_state_production": YEAR,
        "us_production_change_1y": YEAR,
        "coal_price_usd_per_tonne": YEAR,
        "gas_price_change_1y": YEAR,
        "us_coal_share_of_electricity_percent": YEAR,
        "us_coal_share_of_energy_percent": YEAR,
        "mine_depth_m": 2008,
        "mine_age_years": 2008,
    }
    for feature, year in moved.items():
        assert before.value(feature, mine, year) != early.value(feature, mine, year), feature
        assert value_of(before.training, feature, mine, year) != value_of(early.training, feature, mine, year), feature
    assert early.value("us_coal_share_of_electricity_percent", mine) == 99.0
    assert early.value("mine_depth_m", mine, 2008) == 4321.0
    gone, year = story.works.gone
    outcome = (pl.col("mine_id") == gone) & (pl.col("as_of_year") == year) & (pl.col("horizon_years") == 1)
    assert [state.outcomes.filter(outcome)["viable"].to_list() for state in (before, early)] == [[False], [True]]
    planted = early.feast.filter(pl.col("mine_id").is_in([WITHOUT_A_PAST, LATER_YEAR]))
    assert planted["production_short_tons"].to_list() == [5e9, 5e9]


def test_facts_of_the_tracker_of_2024_are_null_in_rows_of_2013_and_before(story: Story) -> None:
    ((released, rows),) = story.works.warehouse.rows(
        "select min(known_at), count(*) from silver.silver_mine_tracker_history where release_year > 2012"
    )
    assert (released, rows > 10) == (datetime(2024, 4, 30, tzinfo=UTC), True)
    assert story.before.gold["tracker_known_at"].null_count() == story.before.gold.height
    assert story.before.gold["mine_depth_m"].null_count() == story.before.gold.height


# --- past gold's queries --------------------------------------------------------------------------


@contextmanager
def _changed(works: Works, table: str, column: str, value: Any, where: str) -> Iterator[None]:
    ((before,),) = works.warehouse.rows(f"select {column} from {table} where {where}")
    works.execute(f"update {table} set {column} = %s where {where}", value)
    try:
        yield
    finally:
        works.execute(f"update {table} set {column} = %s where {where}", before)


def _first(works: Works, year: int) -> str:
    return f"mine_id = '{works.mine}' and as_of_year = {year}"


# gold's column, the value that gets into it, the year of the row, a feature that fails then, and why
_LEAKS = (
    ("mine_size_km2", 12.5, 2007, "mine_size_km2", "gold names no time at which its facts became known"),
    ("tracker_known_at", FUTURE, 2008, "mine_depth_m", "gold used a fact that became known later"),
    ("prices_known_at", FUTURE, 2009, "coal_price_usd_per_tonne", "gold used a fact that became known later"),
    ("energy_known_at", FUTURE, YEAR, "us_coal_share_of_energy_percent", "gold used a fact that became known later"),
    ("own_facts_known_at", FUTURE, 2011, "production_to_peak", "gold used a fact that became known later"),
    ("peer_facts_known_at", MOMENT.replace(year=2008), 2008, "state_production_change_1y", "names a newer fact than"),
    ("production_short_tons", 17.0, 2009, "production_short_tons", "the value is not that of the fact"),
)


def test_the_audit_names_the_feature_and_the_mine(story: Story) -> None:
    works = story.works
    with ExitStack() as changes:
        for column, value, year, _, _ in _LEAKS:
            changes.enter_context(_changed(works, HISTORY, column, value, _first(works, year)))
        failed = {audit.feature: audit for audit in failures(works.audit())}
    for _, _, year, feature, reason in _LEAKS:
        found = failed[feature]
        assert (found.mine_id, found.as_of_year) == (works.mine, year), feature
        assert reason in str(found)
    assert failures(works.audit()) == ()


def test_a_value_from_facts_that_silver_did_not_have_then_fails_though_gold_gives_a_time(story: Story) -> None:
    works, row = story.works, _first(story.works, 2007)
    with (
        _changed(works, HISTORY, "mine_depth_m", 4.0, row),
        _changed(works, HISTORY, "tracker_known_at", MOMENT.replace(year=2008), row),
    ):
        (found,) = failures(works.audit())
    assert (found.feature, found.mine_id, found.as_of_year) == ("mine_depth_m", works.mine, 2007)
    assert found.reason == "none of the facts that one of its sources names was known then"


def test_a_vintage_that_reads_a_file_of_the_future_fails(story: Story) -> None:
    works = story.works
    files = dict(works.warehouse.rows("select as_of_year, file_id from silver.silver_mine_releases"))
    where = f"as_of_year = {YEAR} and fact_year = {YEAR}"
    with _changed(works, "gold.gold_vintage_releases", "file_id", files[YEAR + 1], where):
        failed = {audit.feature: audit for audit in failures(works.audit())}
    found = failed["production_change_1y"]
    assert found.reason == "its vintage reads a file that became known later, or one of a later year"
    assert found.as_of_year == YEAR
    assert "coal_price_usd_per_tonne" not in failed


def _learner(ran: list[str]) -> dg.AssetsDefinition:
    @dg.asset(deps=[TRAINING_SET])
    def learner() -> None:
        ran.append("learner")

    return learner


def test_nothing_runs_after_a_leak_in_gold(story: Story) -> None:
    works, ran = story.works, list[str]()
    written = works.training_file.stat().st_mtime_ns
    with _changed(works, HISTORY, "mine_size_km2", 12.5, _first(works, 2007)):
        run = works.run([feature_registry, training_set, _learner(ran)], CHECKS)
    assert not run.success
    (check,) = run.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("no_feature_knows_the_future", False)
    assert f"mine_size_km2 of {works.mine} in 2007: gold names no time" in str(check.description)
    assert f"| 1 | {works.mine} | 2007 | gold names no time" in str(check.metadata["audit"].value)
    assert run.get_asset_materialization_events() == []
    assert (ran, works.training_file.stat().st_mtime_ns) == ([], written)


_NEXT_BIT = pl.col("employees_change_1y") * (1 + 2**-52)


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        (
            {
                "production_to_peak": pl.lit(1.25),
                "employees_change_1y": _NEXT_BIT,
                "years_producing": pl.lit(None),
                OUTCOME: 1 - pl.col(OUTCOME),
            },
            {
                "production_to_peak": "the training set has 1.25 where gold, as of the row's moment, has",
                "employees_change_1y": "where gold, as of the row's moment, has",
                "years_producing": "the training set has None where gold",
                OUTCOME: "the outcome is not gold's",
            },
        ),
        (
            {"event_timestamp": pl.lit(MOMENT.replace(year=2012))},
            {OUTCOME: "the outcome was known at the moment", "production_to_peak": "the row is of another as-of year"},
        ),
        ({"mine_id": pl.lit("msha:9999997")}, {OUTCOME: "gold has this outcome, the training set does not"}),
    ],
    ids=["values", "moment", "mine"],
)
def test_nothing_learns_from_a_training_set_that_is_not_the_as_of_join(
    story: Story, changes: dict[str, pl.Expr], reasons: dict[str, str]
) -> None:
    works, ran = story.works, list[str]()
    good = pl.read_parquet(works.training_file)
    row = (pl.col("mine_id") == works.mine) & (pl.col("as_of_year") == YEAR) & (pl.col("horizon_years") == 1)
    bad = good.with_columns(
        pl.when(row).then(value.cast(good.schema[column])).otherwise(pl.col(column)).alias(column)
        for column, value in changes.items()
    )
    bad.write_parquet(works.training_file)
    try:
        run = works.run([_learner(ran)], [training_set_is_the_as_of_join])
    finally:
        good.write_parquet(works.training_file)
    assert (run.success, ran) == (False, [])
    (check,) = run.get_asset_check_evaluations()
    table = {line.split(" | ")[0].strip("| "): line for line in str(check.metadata["audit"].value).splitlines()}
    for feature, reason in reasons.items():
        assert f"| {works.mine} | {YEAR} | " in table[feature]
        assert reason in table[feature]
    if len(changes) > 1:
        failed = {feature for feature, line in table.items() if works.mine in line}
        assert failed == reasons.keys()
        assert f"production_to_peak of {works.mine} in {YEAR}: " in str(check.description)


def test_a_training_set_without_its_moments_is_refused(story: Story) -> None:
    rows = pl.read_parquet(story.works.training_file).drop("event_timestamp")
    with (
        psycopg.connect(story.works.warehouse.url) as connection,
        pytest.raises(AuditError, match="lacks event_timestamp"),
    ):
        audit_training_set(connection, catalogue().features, rows.lazy())
