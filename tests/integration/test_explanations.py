"""Scores and their explanations in a real PostgreSQL: written by difference, and checked to add up."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import polars as pl
import psycopg
import pytest

from fvi_pipeline.defs.explanations import scores_are_explained
from fvi_pipeline.defs.resources import Warehouse
from fvi_pipeline.features.catalogue import load_catalogue
from fvi_pipeline.features.versions import columns_in_words, described_version, note_versions
from fvi_pipeline.model.batch import ScoredCohort, score_current, write_scores
from fvi_pipeline.model.challenger import train_challenger
from fvi_pipeline.model.dataset import SplitPolicy
from fvi_pipeline.model.explanations.store import read_contributions
from fvi_pipeline.model.scoring import ViabilityModel
from fvi_pipeline.model.training import TrainingSettings
from fvi_pipeline.platform.database import connect
from fvi_pipeline.run.scores import NotExplainedError, stored_explanation
from tests.unit.features.small_manifest import FEATURE, column, write_manifest
from tests.unit.model.panel import FEATURES, HORIZONS, survival_panel

NOON = datetime(2024, 4, 1, 12, tzinfo=UTC)
YEAR = 2018


@pytest.fixture(scope="module")
def panel() -> pl.DataFrame:
    return survival_panel()


@pytest.fixture(scope="module")
def model(panel: pl.DataFrame) -> ViabilityModel:
    return train_challenger(
        panel,
        FEATURES,
        size_feature="log_size",
        feature_service="fvi_v1",
        settings=TrainingSettings(seed=3, trials=1, maximum_rounds=30, stopping_rounds=10),
        policy=SplitPolicy(minimum_comparable_rows=200),
        horizons=HORIZONS,
    ).files.model()


@pytest.fixture(scope="module")
def current(panel: pl.DataFrame) -> pl.DataFrame:
    return panel.filter((pl.col("as_of_year") == YEAR) & (pl.col("horizon_years") == 1))


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with connect(database_url) as opened:
        yield opened


def scored(
    model: ViabilityModel, current: pl.DataFrame, version: str = "1", scored_at: datetime = NOON
) -> ScoredCohort:
    return score_current(current, model, model_version=version, scored_at=scored_at)


def in_year(cohort: ScoredCohort, year: int) -> ScoredCohort:
    frames = {name: frame.with_columns(as_of_year=pl.lit(year, pl.Int64)) for name, frame in vars(cohort).items()}
    return replace(cohort, **frames)


def rows_of(connection: psycopg.Connection, table: str) -> dict[tuple[int, str], int]:
    found = connection.execute(f"select as_of_year, model_version, count(*) from mart.{table} group by 1, 2").fetchall()
    return {(year, version): count for year, version, count in found}


def places(connection: psycopg.Connection, mine: str = "") -> set[tuple[str, str]]:
    """Where PostgreSQL keeps the rows: a row that is written anew moves."""
    return set(
        connection.execute(
            "select ctid::text, feature from mart.score_explanations where mine_id <> %s", [mine]
        ).fetchall()
    )


def checked(database_url: str) -> dg.AssetCheckResult:
    result = scores_are_explained(Warehouse(database_url=database_url))
    assert isinstance(result, dg.AssetCheckResult)
    return result


def test_what_is_stored_is_left_alone_and_the_rest_is_replaced(connection, model, current):
    first = scored(model, current)
    assert write_scores(connection, first)
    before = places(connection)
    assert len(before) == first.explanations.height == current.height * len(HORIZONS) * len(FEATURES)

    assert not write_scores(connection, scored(model, current, scored_at=NOON.replace(year=2025)))
    assert places(connection) == before
    stored = connection.execute(
        "select mine_id, horizon_years, fvi_score, scored_at from mart.fvi_scores order by 1, 2"
    ).fetchall()
    keys = ["mine_id", "horizon_years"]
    assert stored == first.scores.sort(keys).select(*keys, "fvi_score", "scored_at").rows()
    found = connection.execute(
        "select mine_id, horizon_years, feature, value, contribution from mart.score_explanations order by 1, 2, 3"
    ).fetchall()
    keys = [*keys, "feature"]
    assert found == first.explanations.sort(keys).select(*keys, "value", "contribution").rows()  # to the last bit

    # a mine is restated: its rows are written, the others stay where they are
    changed = current.with_columns(
        trend=pl.when(pl.col("mine_id") == current["mine_id"][0]).then(9.0).otherwise(pl.col("trend"))
    )
    assert write_scores(connection, scored(model, changed))
    assert places(connection, current["mine_id"][0]) <= before
    assert write_scores(connection, first)

    # one mine fewer and a new version: nothing of the old is left, other years are untouched
    assert write_scores(connection, in_year(first, YEAR - 1))
    fewer = scored(model, current.tail(-1), version="2")
    assert write_scores(connection, fewer)
    for table, name in (
        ("fvi_scores", "scores"),
        ("score_explanations", "explanations"),
        ("score_explanation_bases", "bases"),
    ):
        expected = {(YEAR - 1, "1"): getattr(first, name).height, (YEAR, "2"): getattr(fewer, name).height}
        assert rows_of(connection, table) == expected
    reasons = connection.execute("select count(*) from mart.score_reasons where as_of_year = %s", [YEAR]).fetchone()
    assert reasons == (fewer.reasons.height,)


def test_words_that_are_made_better_leave_the_scores_as_they_were(connection, model, current, tmp_path):
    assert write_scores(connection, scored(model, current))
    assert stored_words(connection) == {"Trend is"}
    version = described_version(
        load_catalogue(write_manifest(tmp_path, [column(name, FEATURE) for name in FEATURES])), 1
    )
    note_versions(connection, [version])
    columns = columns_in_words(connection, "fvi_v1")
    later = score_current(current, model, model_version="1", scored_at=NOON.replace(year=2025), columns=columns)
    assert write_scores(connection, later)
    assert stored_words(connection) <= {"It is", "Trend is"}  # a trend below zero is no number of tons
    assert connection.execute("select distinct scored_at from mart.fvi_scores").fetchall() == [(NOON,)]


def stored_words(connection: psycopg.Connection) -> set[str]:
    found = connection.execute("select reason_in_words from mart.score_reasons where feature = 'trend'").fetchall()
    return {" ".join(words.split()[:2]) for (words,) in found}


def test_the_check_holds_what_is_stored_to_the_scores(database_url, connection, model, current):
    cohort = scored(model, current)
    write_scores(connection, in_year(cohort, YEAR - 1))
    connection.execute("delete from mart.score_explanation_bases")  # scores from before there were explanations
    connection.execute("delete from mart.score_explanations")
    write_scores(connection, cohort)
    good = checked(database_url)
    assert good.passed
    assert good.metadata["scores"].value == cohort.scores.height
    assert good.metadata["largest_difference_log_odds"].value <= 1e-5

    mine = current["mine_id"][0]
    for damage, words in (
        ("update mart.score_explanations set contribution = contribution + 2e-5", "1 that do not add up"),
        ("update mart.fvi_scores set fvi_score = fvi_score - 0.01, interval_low = 0", "1 that do not add up"),
        ("delete from mart.score_explanations", "1 without some feature"),
        ("delete from mart.score_explanation_bases", "1 without an explanation"),
        ("update mart.score_explanation_bases set model_version = '0'", "1 without an explanation"),
    ):
        one = " where mine_id = %s and as_of_year = %s and horizon_years = 5"
        if "score_explanations" in damage:
            one += " and feature = 'trend'"
        connection.execute((damage + one).encode(), [mine, YEAR])
        connection.commit()
        bad = checked(database_url)
        assert not bad.passed, damage
        assert words in str(bad.description), damage
        write_scores(connection, cohort)
        assert checked(database_url).passed, damage


def test_a_mines_explanation_is_read_as_it_was_stored(connection, model, current, tmp_path):
    described = load_catalogue(write_manifest(tmp_path, [column(name, FEATURE) for name in FEATURES]))
    note_versions(connection, [described_version(described, 1)])
    # an earlier year is there too, with a mine that has closed since
    earlier = current.with_columns(
        pl.col("trend") - 1, mine_id=pl.col("mine_id").replace(current["mine_id"][1], "msha:closed")
    )
    write_scores(connection, in_year(scored(model, earlier), YEAR - 1))
    write_scores(connection, scored(model, current))
    mine = current["mine_id"][0]
    connection.execute("create schema if not exists silver")
    connection.execute("create table silver.silver_mine_profiles (mine_id text, mine_name text, country text)")
    connection.execute("insert into silver.silver_mine_profiles values (%s, 'Deep', 'United States')", [mine])
    connection.execute("insert into silver.silver_mine_profiles values ('msha:closed', 'Old', 'United States')")
    explained = stored_explanation(connection, mine, 5)
    assert sorted(reason.feature for reason in explained.reasons) == sorted(FEATURES)
    odds = explained.score["fvi_score"] / (100 - explained.score["fvi_score"])
    assert explained.log_odds == pytest.approx(float(pl.Series([odds]).log()[0]), abs=1e-5)
    assert explained.narrative.startswith(("For the mine:", "Against the mine:"))
    top = [reason["feature"] for reason in explained.score["top_features"]]
    assert [reason.feature for reason in explained.reasons][: len(top)] == top
    assert (explained.score["as_of_year"], len(top)) == (YEAR, min(5, len(FEATURES)))

    for mine_id, message in (("msha:none", "no mine msha:none"), ("msha:closed", "no score at 5 years")):
        with pytest.raises(NotExplainedError, match=message):
            stored_explanation(connection, mine_id, 5)
    with pytest.raises(NotExplainedError, match=r"there are scores at 1, .* years only"):
        stored_explanation(connection, mine, 4)

    of_cohort = read_contributions(connection, YEAR, 5)
    assert of_cohort is not None
    assert of_cohort.contributions.shape == (current.height, len(FEATURES))
    assert read_contributions(connection, YEAR, 4) is None
