"""Contributions add up to the served score, whatever is asked; reasons and pictures say what they are."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from fvi_pipeline.features.catalogue import FeatureColumn
from fvi_pipeline.model.batch import ScoredCohort, score_current
from fvi_pipeline.model.challenger import Challenger
from fvi_pipeline.model.explanations.plots import Contributions, write_explanation_plots
from fvi_pipeline.model.explanations.reasons import Phrasebook, Reason, narrative
from fvi_pipeline.model.scoring import ViabilityModel

from .panel import FEATURES

NOON = datetime(2024, 4, 1, 12, tzinfo=UTC)
HOURS = FeatureColumn(
    name="hours",
    role="feature",
    kind="number",
    description="Hours.",
    unit="hours",
    category="operations",
    null_means="not published",
    in_words=(("[0, inf)", "People worked {number} {hour|hours}."), ("missing", "The hours were not published.")),
)
WHAT_IFS = arrays.arrays(
    np.float32,
    (8, len(FEATURES)),
    elements=st.one_of(
        st.just(float("nan")), st.sampled_from([0.0, -1.0, 1.0, 1e6]), st.floats(-(2.0**100), 2.0**100, width=32)
    ),
)


@pytest.fixture(scope="module")
def model(challenger: Challenger) -> ViabilityModel:
    return challenger.files.model()


@pytest.fixture(scope="module")
def scored(model: ViabilityModel, panel: pl.DataFrame) -> ScoredCohort:
    current = panel.filter((pl.col("as_of_year") == 2018) & (pl.col("horizon_years") == 1))
    return score_current(current, model, model_version="7", scored_at=NOON, columns={"hours": HOURS})


def assert_additive_and_falling(model: ViabilityModel, rows: NDArray[np.float32]) -> None:
    shorter = np.full(len(rows), np.inf)
    for horizon in model.horizons:
        explained = model.explain(rows, horizon)
        assert explained.contributions.shape == (len(rows), len(FEATURES))
        total = explained.base + explained.contributions.sum(axis=1)
        probability = model.probabilities(rows, horizon)
        assert np.abs(np.log(probability / (1 - probability)) - total).max() <= 1e-5
        assert (total <= shorter + 1e-9).all()
        shorter = total


def test_contributions_add_up_to_every_score(model: ViabilityModel, challenger: Challenger) -> None:
    rows = challenger.split.test.features[:, :-1]
    chosen = np.random.default_rng(5).choice(len(rows), 500, replace=False)
    assert_additive_and_falling(model, rows[chosen])


@settings(max_examples=60, deadline=None)
@given(rows=WHAT_IFS)
def test_contributions_add_up_whatever_is_asked(model: ViabilityModel, rows: NDArray[np.float32]) -> None:
    assert_additive_and_falling(model, rows)


def test_every_score_has_a_contribution_of_every_feature(model: ViabilityModel, scored: ScoredCohort) -> None:
    key = ["mine_id", "as_of_year", "horizon_years"]
    assert not scored.explanations.select(*key, "feature").is_duplicated().any()
    per_score = scored.explanations.group_by(key).agg(pl.col("feature"), pl.col("contribution").sum())
    assert per_score.height == scored.scores.height == scored.bases.height
    assert all(sorted(features) == sorted(FEATURES) for features in per_score["feature"])
    total = per_score.join(scored.bases, on=key).join(scored.scores, on=key)
    log_odds = (total["fvi_score"] / (100 - total["fvi_score"])).log()
    assert (log_odds - total["base"] - total["contribution"]).abs().max() <= 1e-5
    assert set(scored.bases["feature_service"]) == {"fvi_v1"}
    assert set(scored.explanations["model_version"]) == {"7"}


def test_reasons_are_those_that_are_served(model: ViabilityModel, panel: pl.DataFrame, scored: ScoredCohort) -> None:
    current = panel.filter((pl.col("as_of_year") == 2018) & (pl.col("horizon_years") == 1)).sort("mine_id")
    rows = current.select(FEATURES).to_numpy().astype(np.float32)
    for horizon in model.horizons:
        served = [
            (mine, rank, reason.feature, reason.value, reason.contribution)
            for mine, of_mine in zip(current["mine_id"], model.contributions(rows, horizon), strict=True)
            for rank, reason in enumerate(of_mine, start=1)
        ]
        stored = scored.reasons.filter(pl.col("horizon_years") == horizon)
        assert stored.select("mine_id", "rank", "feature", "value", "contribution").rows() == served
    alone = model.contributions(rows[3:4], 5)[0]
    assert alone == model.contributions(rows, 5)[3]


def test_a_reason_says_its_number_and_which_way_it_moves_the_score(scored: ScoredCohort) -> None:
    for row in scored.reasons.head(300).iter_rows(named=True):
        direction = "for" if row["contribution"] > 0 else "against"
        words = row["reason_in_words"]
        if row["contribution"]:
            assert words.endswith(f". This speaks {direction} the mine.")
        assert words.startswith("People worked " if row["feature"] == "hours" else row["feature"].capitalize()[:3])


def test_the_paragraph_has_the_strongest_of_both_sides_once() -> None:
    phrases = Phrasebook({"hours": HOURS})
    reasons = [
        phrases.reason("hours", 40.0, 0.5),
        phrases.reason("hours", 40.0, 0.4),
        *(phrases.reason(f"weak_{n}", float(n), -0.1 * n) for n in range(1, 6)),
        phrases.reason("unmoved", None, 0.0),
    ]
    assert narrative(reasons) == (
        "For the mine: People worked 40 hours. Against the mine: Weak 5 is 5. Weak 4 is 4. Weak 3 is 3."
    )
    assert narrative(reasons[2:]).startswith("Against the mine: Weak 5 is 5.")
    # two features that say the same: what they add together decides the side
    assert narrative([phrases.reason("hours", 40.0, 0.5), phrases.reason("hours", 40.0, -0.9)]) == (
        "Against the mine: People worked 40 hours."
    )
    assert narrative([phrases.reason("unmoved", None, 0.0)]) == ""
    assert Reason("unmoved", None, 0.0, "It is.").in_words == "It is. This does not move the score."


def test_pictures_are_drawn_of_what_is_stored(scored: ScoredCohort, tmp_path: Path) -> None:
    of_horizon = scored.explanations.filter(pl.col("horizon_years") == 5)
    wide = [of_horizon.pivot(on="feature", index="mine_id", values=name) for name in ("value", "contribution")]
    of_cohort = Contributions(
        5, tuple(FEATURES), *(frame.select(FEATURES).to_numpy().astype(np.float64) for frame in wide)
    )
    importance = of_cohort.importance()
    assert list(importance.values()) == sorted(importance.values(), reverse=True)
    before = np.random.get_state()[1]
    paths = write_explanation_plots(of_cohort, "A title", tmp_path)
    assert np.array_equal(before, np.random.get_state()[1])
    assert sorted(path.name for path in paths) == ["dependence_h5.png", "importance_h5.png", "spread_h5.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    again = write_explanation_plots(of_cohort, "A title", tmp_path / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]
