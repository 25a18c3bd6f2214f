"""`fvi features` after a run: what it prints is what gold has, now and as of a date."""

from __future__ import annotations

import json

import pytest

from fvi_pipeline.platform.database import connect
from tests.commands import run_fvi

pytestmark = pytest.mark.xdist_group("demo-served")


def test_a_mine_is_shown_as_served_and_as_known_then(demo):
    with connect(demo.environment["FVI_DATABASE_URL"]) as connection:
        cursor = connection.execute(
            "select * from gold.gold_mine_features where as_of_year = 2012 and in_cohort order by mine_id limit 1"
        )
        gold = dict(zip([column.name for column in cursor.description], cursor.fetchone(), strict=True))
        newest = connection.execute(
            "select max(as_of_year) from gold.gold_mine_features where mine_id = %s", [gold["mine_id"]]
        ).fetchone()[0]
    served = run_fvi(demo.environment, "features", gold["mine_id"], "--category", "time")
    assert served.returncode == 0, served.stderr
    assert f"as served now: as-of year {newest}," in served.stdout
    assert "fvi_v1" in served.stdout
    assert "years_producing" in served.stdout
    assert "production_short_tons" not in served.stdout

    moment = gold["created_timestamp"].isoformat()
    asked = run_fvi(demo.environment, "features", gold["mine_id"], "--as-of", moment, "--json")
    assert asked.returncode == 0, asked.stderr
    then = json.loads(asked.stdout)
    assert (then["as_of_year"], then["read_from"], then["feature_service"]) == (2012, "history", "fvi_v1")
    assert then["segment"] is None  # nobody knew it then
    assert len(then["features"]) >= 60
    for feature in then["features"]:
        assert feature["value"] == gold[feature["feature"]], feature
        assert feature["known_at"] is None or feature["age_days"] >= 0
    assert then["features"][0]["known_at"] is not None

    unknown = run_fvi(demo.environment, "features", "msha:9999999")
    assert (unknown.returncode, "Traceback" in unknown.stderr) == (1, False)
    assert "msha:9999999 has no features online" in unknown.stderr
