"""`fvi weights` and `fvi index` as a user's shell calls them, on the finished run."""

from __future__ import annotations

import json

import pytest
import redis

from fvi_pipeline.platform.database import connect
from tests.commands import run_fvi
from tests.conftest import Demo

pytestmark = pytest.mark.xdist_group("demo-served")


@pytest.fixture
def warehouse(demo: Demo):
    with connect(demo.environment["FVI_DATABASE_URL"], autocommit=True) as connection:
        yield connection


def printed(demo: Demo, *arguments: str) -> dict:
    result = run_fvi(demo.environment, *arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_the_weights_in_force_are_printed_with_their_reasons(demo: Demo, warehouse) -> None:
    night = printed(demo, "weights")
    stored = dict(warehouse.execute("select metric, weight from mart.fvi_weights").fetchall())
    assert {each["metric"]: each["weight"] for each in night["weights"]} == pytest.approx(stored)
    shown = run_fvi(demo.environment, "weights").stdout
    assert f"Weights of {night['night']}" in shown
    assert "its first night: all of the target" in shown


def test_an_index_is_told_metric_by_metric_and_what_is_not_known(demo: Demo, warehouse) -> None:
    mine, score, coverage, economics = warehouse.execute(
        "select mine_id, index_score, coverage, economics_points from mart.fvi_index "
        "where economics_points is not null and ecology_points is null order by mine_id limit 1"
    ).fetchone()
    told = printed(demo, "index", mine)
    assert told["index_score"] == pytest.approx(score)
    points = {each["metric"]: each["points"] for each in told["metrics"] if each["points"] is not None}
    assert sum(points.values()) == pytest.approx(score)
    of_economics = [e["points"] for e in told["metrics"] if e["pillar"] == "economics" and e["points"] is not None]
    assert sum(of_economics) == pytest.approx(economics)
    assert sum(each["weight"] for each in told["metrics"] if each["metric"] in points) == pytest.approx(coverage)
    shown = run_fvi(demo.environment, "index", mine).stdout
    assert f"{coverage:.0%} of the weight" in shown
    assert "not known" in shown
    unknown = run_fvi(demo.environment, "index", "gem:M9999")
    assert unknown.returncode == 1
    assert "no mine gem:M9999" in unknown.stderr


def test_the_idea_is_tested_and_kept_year_by_year(demo: Demo, warehouse) -> None:
    result = run_fvi(demo.environment, "weights", "test")
    assert result.returncode == 0, result.stderr
    assert "less equal" in result.stdout
    assert "Year by year it is above base weights in" in " ".join(result.stdout.split())
    years = warehouse.execute(
        "select first_year, rows, auc, low, high from mart.index_separation "
        "where first_year = last_year and weighting = 'dynamic' and compared_with = '' order by 1"
    ).fetchall()
    cohorts = dict(
        warehouse.execute(
            "select as_of_year, count(*) from gold.gold_mine_outcomes where horizon_years = 3 group by 1"
        ).fetchall()
    )
    # the outcome of the first year is public when the figures of the third year after it are
    assert [year[0] for year in years] == [year for year in sorted(cohorts) if year >= min(cohorts) + 3]
    for year, rows, auc, low, high in years:
        assert rows == cohorts[year]
        assert 0 <= low <= auc <= high <= 1


def test_an_override_moves_the_index_at_once_and_its_release_moves_it_back(demo: Demo, warehouse) -> None:
    def served() -> dict[str, dict]:
        with redis.Redis.from_url(demo.environment["FVI_REDIS_URL"], decode_responses=True) as client:
            return {metric: json.loads(entry) for metric, entry in client.hgetall("fvi:weights").items()}

    def indexes() -> list[tuple]:
        return warehouse.execute("select mine_id, index_score from mart.fvi_index order by mine_id").fetchall()

    before, weights = indexes(), printed(demo, "weights")["weights"]
    refused = run_fvi(demo.environment, "weights", "set", "gold", "0.5", "--reason", "Why not.")
    assert refused.returncode == 1
    assert "no metric gold" in refused.stderr
    command = ("weights", "set", "average_employees", "0", "--author", "A. Miner", "--reason", "Robots came.")
    result = run_fvi(demo.environment, *command)
    assert result.returncode == 0, result.stderr
    assert served()["average_employees"]["override_reason"] == "Robots came."
    assert served()["average_employees"]["weight"] == 0
    assert indexes() != before
    shown = {each["metric"]: each for each in printed(demo, "weights")["weights"]}
    assert "set to 0 by A. Miner: Robots came." in shown["average_employees"]["reasons"][0]
    released = run_fvi(demo.environment, "weights", "release", "average_employees", "--author", "A. Miner")
    assert released.returncode == 0, released.stderr
    assert printed(demo, "weights")["weights"] == weights
    assert indexes() == before
    assert warehouse.execute("select ended_by from mart.fvi_weight_overrides").fetchall() == [("A. Miner",)]
