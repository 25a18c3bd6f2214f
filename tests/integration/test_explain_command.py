"""`fvi explain`, `fvi card` and the pictures after a run: they say what the marts and the scores say."""

from __future__ import annotations

import json
import math

import pytest

from fvi_pipeline.platform.database import connect
from tests.commands import run_fvi

pytestmark = pytest.mark.xdist_group("demo-served")


def test_a_stored_score_is_explained_in_words(demo):
    with connect(demo.environment["FVI_DATABASE_URL"]) as connection:
        mine, year, score, version = connection.execute(
            "select mine_id, as_of_year, fvi_score, model_version from mart.fvi_scores where horizon_years = 3 "
            "order by fvi_score limit 1"
        ).fetchone()
        reasons = connection.execute(
            "select feature, reason_in_words from mart.score_reasons "
            "where mine_id = %s and as_of_year = %s and horizon_years = 3 order by rank",
            [mine, year],
        ).fetchall()
        features = connection.execute(
            "select count(distinct feature), count(*) filter (where mine_id = %s and horizon_years = 3) "
            "from mart.score_explanations where as_of_year = %s",
            [mine, year],
        ).fetchone()
        unspoken = connection.execute(
            "select count(*) from mart.score_reasons where reason_in_words is null or reason_in_words like '%%{%%'"
        ).fetchone()
    assert unspoken == (0,)
    assert features[0] == features[1] >= 60

    asked = run_fvi(demo.environment, "explain", mine, "--horizon", "3", "--json")
    assert asked.returncode == 0, asked.stderr
    told = json.loads(asked.stdout)
    assert (told["fvi_score"], told["model_version"]) == (score, version)
    contributions = told["contributions"]
    assert len(contributions) == features[0]
    total = told["base"] + sum(each["contribution"] for each in contributions)
    assert math.isclose(total, math.log(score / (100 - score)), abs_tol=1e-5)
    assert [(each["feature"], each["in_words"]) for each in contributions[: len(reasons)]] == reasons
    # the words are the features' own, not the names of columns
    assert not any(each["in_words"].lower().startswith(each["feature"].replace("_", " ")) for each in contributions)

    printed = run_fvi(demo.environment, "explain", mine, "--horizon", "3")
    assert printed.returncode == 0, printed.stderr
    assert told["narrative"].split(":")[0] in printed.stdout
    assert f"{len(contributions) - 12} others" in printed.stdout
    unknown = run_fvi(demo.environment, "explain", "msha:9999999")
    assert (unknown.returncode, "Traceback" in unknown.stderr) == (1, False)
    assert "There is no mine msha:9999999" in unknown.stderr


def test_the_pictures_lie_beside_the_champion(demo):
    found = {path.name for path in (demo.settings.home / "mlflow").rglob("explanations/*.png")}
    kinds = ("importance", "spread", "dependence")
    assert found == {f"{kind}_h{horizon}.png" for kind in kinds for horizon in (1, 5)}


def test_the_champions_card_is_printed_and_written(demo, tmp_path):
    printed = run_fvi(demo.environment, "card")
    assert printed.returncode == 0, printed.stderr
    with connect(demo.environment["FVI_DATABASE_URL"]) as connection:
        stored = connection.execute(
            "select version from ops.model_cards where model_name = 'fvi_viability' and markdown = %s", [printed.stdout]
        ).fetchall()
        ((version,),) = connection.execute("select distinct model_version from mart.fvi_scores").fetchall()
    assert stored == [(version,)]
    assert f"# Model card: fvi_viability, version {version}" in printed.stdout
    assert "**SIMULATED DATA.**" in printed.stdout
    # of every kind of number that it is to have
    for part in ("### By state", "### By mine type", "### By size class", "## Fairness across regions", "## Limits"):
        assert part in printed.stdout, part
    assert "- The cohort: " in printed.stdout
    assert "- Staleness: " in printed.stdout

    page = tmp_path / "card.html"
    written = run_fvi(demo.environment, "card", version, "--output", str(page))
    assert written.returncode == 0, written.stderr
    assert "<h1>Model card: fvi_viability, version" in page.read_text()
    for wrong, message in (
        (["99"], "The registry has no version 99 of fvi_viability"),
        (["--model", "fvi_price"], "There is no model fvi_price. There are fvi_viability,"),
        (["--output", str(tmp_path / "nowhere" / "card.md")], "cannot be written"),
    ):
        refused = run_fvi(demo.environment, "card", *wrong)
        assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
        assert message in refused.stderr
