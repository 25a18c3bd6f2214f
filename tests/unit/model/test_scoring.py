import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fvi_pipeline.model.batch import score_current
from fvi_pipeline.model.challenger import Challenger
from fvi_pipeline.model.errors import DatasetError, ScoringError
from fvi_pipeline.model.scoring import ViabilityModel

from .panel import FEATURES

NOON = datetime(2024, 4, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def current(panel: pl.DataFrame) -> pl.DataFrame:
    rows = panel.filter((pl.col("as_of_year") == 2018) & (pl.col("horizon_years") == 1))
    return rows.select("mine_id", "as_of_year", *FEATURES)


def test_folder_holds_all_that_scoring_needs(challenger: Challenger, tmp_path: Path) -> None:
    challenger.files.write(tmp_path)
    loaded = ViabilityModel.load(tmp_path)
    rows = challenger.split.test.features[:50, :-1]
    assert loaded.onnx_sha256 == challenger.files.onnx_sha256
    assert loaded.score(rows) == challenger.files.model().score(rows)
    assert loaded.top_contributions(rows[0], 3, 2) == challenger.files.model().top_contributions(rows[0], 3, 2)


def test_one_row_scores_as_it_does_in_a_batch(challenger: Challenger) -> None:
    model = challenger.files.model()
    rows = challenger.split.test.features[:200, :-1]
    batch = model.score(rows)
    assert [model.score(rows[i : i + 1])[0] for i in range(200)] == batch


def test_scores_fall_with_the_horizon_inside_their_intervals(challenger: Challenger) -> None:
    for of_mine in challenger.files.model().score(challenger.split.test.features[:300, :-1]):
        assert [score.horizon_years for score in of_mine] == [1, 2, 3, 5, 10, 20]
        probabilities = [score.viability_probability for score in of_mine]
        assert all(shorter >= longer - 1e-7 for shorter, longer in pairwise(probabilities))
        for score in of_mine:
            assert 0 <= score.interval_low <= score.viability_probability <= score.interval_high <= 1
            assert score.fvi_score == 100 * score.viability_probability
        # nothing was measured for 20 years: no lower limit, and the upper one of a shorter horizon
        assert of_mine[-1].interval_low == 0
        assert of_mine[-1].interval_high <= min(score.interval_high for score in of_mine[:-1]) + 1e-12


def test_contributions_explain_the_log_odds(challenger: Challenger) -> None:
    model = challenger.files.model()
    row = challenger.split.test.features[3, :-1].copy()
    row[FEATURES.index("noise")] = np.nan
    found = model.top_contributions(row, 3, k=4)
    assert sorted(c.feature for c in found) == sorted(FEATURES)
    assert [abs(c.contribution) for c in found] == sorted((abs(c.contribution) for c in found), reverse=True)
    assert {c.feature: c.value for c in found}["noise"] is None
    bigger = row.copy()
    bigger[FEATURES.index("log_size")] += 3
    change = {c.feature: c.contribution for c in model.top_contributions(bigger, 3, k=4)}["log_size"]
    assert change > {c.feature: c.contribution for c in found}["log_size"]


def test_wrong_questions_get_a_sentence(challenger: Challenger) -> None:
    model = challenger.files.model()
    with pytest.raises(ScoringError, match="no horizon of 4 years"):
        model.probabilities(np.zeros((1, 4), dtype=np.float32), 4)
    with pytest.raises(ScoringError, match=r"\[n, 4\]"):
        model.probabilities(np.zeros((1, 3), dtype=np.float32), 3)
    with pytest.raises(ScoringError, match="infinite"):
        model.probabilities(np.full((1, 4), np.inf, dtype=np.float32), 3)
    with pytest.raises(ScoringError, match=r"model\.txt"):
        ViabilityModel(challenger.files.onnx_model).top_contributions(np.zeros(4, dtype=np.float32), 3)


def test_batch_frames_equal_single_scores(challenger: Challenger, current: pl.DataFrame) -> None:
    model = challenger.files.model()
    scored = score_current(current.to_pandas(), model, model_version="7", scored_at=NOON)
    scores, reasons = scored.scores, scored.reasons

    assert scores.height == current.height * 6
    assert set(scores["model_version"]) == {"7"}
    mine = current.row(0, named=True)
    row = np.array([[mine[name] for name in FEATURES]], dtype=np.float32)
    stored = scores.filter(pl.col("mine_id") == mine["mine_id"]).sort("horizon_years")
    for score, kept in zip(model.score(row)[0], stored.iter_rows(named=True), strict=True):
        assert kept["fvi_score"] == score.fvi_score
        assert (kept["interval_low"], kept["interval_high"]) == (
            100 * score.interval_low,
            100 * score.interval_high,
        )
    assert (
        reasons.group_by("mine_id", "horizon_years")
        .agg(pl.col("rank").sort())
        .select((pl.col("rank").list.len() == 4).all())
        .item()
    )


def test_batch_refuses_an_unfit_frame(challenger: Challenger, current: pl.DataFrame) -> None:
    model = challenger.files.model()
    for frame, error, message in (
        (current.drop("trend"), ScoringError, "lacks"),
        (pl.concat([current, current]), ScoringError, "each mine once"),
        (current.with_columns(trend=pl.lit("x")), DatasetError, "not numbers"),
    ):
        with pytest.raises(error, match=message):
            score_current(frame, model, model_version="1", scored_at=NOON)


def test_scoring_imports_stay_light() -> None:
    code = (
        "import sys, fvi_pipeline.model.scoring\n"
        "heavy = {'lightgbm', 'mlflow', 'onnxmltools', 'sklearn', 'scipy', 'optuna', 'polars'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
