from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

from fvi_pipeline.model.candidate import Contest, Rival
from fvi_pipeline.model.challenger import Challenger
from fvi_pipeline.model.gate import judge
from fvi_pipeline.model.gate_criteria import Champion, GatePolicy
from fvi_pipeline.model.gate_measures import MineDraws, calibration_bins, chance_calibration_errors
from fvi_pipeline.model.leak_check import Leak, LeakReport
from fvi_pipeline.model.viability_candidate import ViabilityCandidate

from .contestants import GivenCandidate

NO_LEAKS = LeakReport([], {"AUC alone": ("size", 0.8)}, features=2, rows=5000)
BRIER = {"Brier score": lambda prediction, outcome: (prediction - outcome) ** 2}
Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def equal() -> GivenCandidate:
    """600 mines with five years at two horizons, and two versions that both predict the true probability."""
    generator = np.random.default_rng(3)
    mines = np.repeat(np.arange(600), 10)
    groups = np.tile([1, 3], 3000)
    log_odds = np.repeat(generator.normal(1.0, 1.3, 600), 10) + np.where(groups == 1, 1.5, 0.0)
    truth = expit(log_odds)
    outcome = (np.repeat(generator.random(600), 10) < truth).astype(np.float64)
    rivals = [Rival("Brier score", "the training rate", 0.1, 0.2)]
    contest = Contest(losses=BRIER, probabilities=True)
    return GivenCandidate(mines.astype(str).tolist(), groups, outcome, truth, truth + 0.0, contest, rivals)


def refusal(
    candidate: GivenCandidate,
    champion: Champion | None = None,
    leaks: LeakReport = NO_LEAKS,
    policy: GatePolicy | None = None,
) -> str:
    """The reason of a refusal for one criterion alone, which it starts with."""
    verdict = judge(candidate, champion or candidate.champion(), leaks=leaks, policy=policy)
    assert verdict.decision == "refused"
    assert len(verdict.refused_for) == 1
    return f"{verdict.refused_for[0]}: {verdict.reason}"


def test_an_equal_model_passes_and_every_criterion_is_measured(equal: GivenCandidate) -> None:
    verdict = judge(equal, equal.champion(), leaks=NO_LEAKS)
    assert verdict.decision == "promoted"
    assert "not worse than version 1 beyond the noise (Brier score +0.00000" in verdict.reason
    assert "AUC +0.00000" in verdict.reason
    assert set(verdict.metrics) >= {
        "parity_rows_over_tolerance",
        "leaks",
        "leak_nearest_AUC_alone",
        "gate_lost_features",
        "gate_brier_score_difference",
        "gate_brier_score_difference_h1",
        "gate_auc_difference_low",
        "gate_auc_difference_h3",
        "gate_calibration_error_h1",
        "gate_calibration_bound_h3",
        "gate_calibration_error_difference",
        "gate_one_row_p95_milliseconds",
        "gate_one_row_p95_ratio",
    }
    assert all(np.isfinite(list(verdict.metrics.values())))


def test_the_first_model_is_judged_alone(equal: GivenCandidate) -> None:
    verdict = judge(equal, None, leaks=NO_LEAKS)
    assert verdict.decision == "promoted"
    assert verdict.reason.startswith("First champion: at parity")
    assert "gate_auc_difference" not in verdict.metrics


def test_the_same_bytes_change_nothing(equal: GivenCandidate) -> None:
    same = replace(equal.champion(), onnx_sha256=equal.files.onnx_sha256)
    assert judge(equal, same, leaks=NO_LEAKS).decision == "kept"


def test_a_difference_within_the_noise_is_not_held_against_it(equal: GivenCandidate) -> None:
    jitter = np.random.default_rng(0).normal(0, 0.05, len(equal.own))
    jittered = equal.predicting(expit(logit(equal.own) + jitter))
    assert judge(jittered, jittered.champion(), leaks=NO_LEAKS).decision == "promoted"


def test_a_worse_model_is_refused(equal: GivenCandidate) -> None:
    # drawn to the middle of each horizon: ranked as before, and less said
    lenient = GatePolicy(calibration_limit=0.3, calibration_margin=0.3)
    said = refusal(equal.predicting(_drawn_to_the_mean(equal, 0.6)), policy=lenient)
    assert said.startswith("loss: Its Brier score is worse than that of version 1 by 0.0")


def test_a_model_that_is_worse_at_one_horizon_only_is_refused(equal: GivenCandidate) -> None:
    own = np.where(equal.groups == 1, _drawn_to_the_mean(equal, 0.9), 0.9 * equal.own + 0.1 * equal.outcome)
    verdict = judge(equal.predicting(own), equal.champion(), leaks=NO_LEAKS)
    assert verdict.decision == "refused"
    assert "Its Brier score at horizon 1 is worse than that of version 1" in verdict.reason


def test_a_model_that_ranks_worse_is_refused(equal: GivenCandidate) -> None:
    # of the likely survivors, of whom few close, it says one thing: the Brier score hardly notices
    likely = equal.own > 0.85
    flat = equal.own.copy()
    for group in (1, 3):
        rows = likely & (equal.groups == group)
        flat[rows] = equal.own[rows].mean()
    policy = GatePolicy(relative_loss_margin=0.05)
    verdict = judge(equal.predicting(flat), equal.champion(), leaks=NO_LEAKS, policy=policy)
    assert verdict.refused_for == ["ranking"]
    assert verdict.reason.startswith("Its AUC is worse than that of version 1 by 0.0")


@pytest.mark.parametrize("shift", [-0.8, 0.8])
def test_a_miscalibrated_model_is_refused_also_as_the_first(equal: GivenCandidate, shift: float) -> None:
    shifted = equal.predicting(expit(logit(equal.own) + shift))
    verdict = judge(shifted, None, leaks=NO_LEAKS)
    assert verdict.refused_for == ["calibration"]
    assert "It is miscalibrated at horizon 3: its calibration error 0.1" in verdict.reason


def test_a_worse_calibration_than_the_champions_is_refused_below_the_bound_too(equal: GivenCandidate) -> None:
    shifted = expit(logit(equal.own) - 0.6)
    policy = GatePolicy(relative_loss_margin=0.2, calibration_limit=0.2)
    verdict = judge(equal.predicting(shifted), equal.champion(), leaks=NO_LEAKS, policy=policy)
    assert verdict.refused_for == ["calibration"]
    assert verdict.reason.startswith("Its calibration error is worse than that of version 1")


@pytest.mark.parametrize("mines", [40, 400])
def test_a_perfect_model_is_never_miscalibrated_however_few_its_mines(mines: int) -> None:
    policy = GatePolicy()
    refused = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        numbers = np.repeat(np.arange(mines), 1200 // mines)
        truth = np.repeat(generator.beta(3, 1, mines), 1200 // mines)
        happened = generator.random(mines)[numbers] < truth
        chance = chance_calibration_errors(truth, numbers, mines, draws=policy.chance_draws, seed=policy.seed)
        bound = max(chance.mean() + policy.calibration_limit, np.quantile(chance, 0.99))
        refused += calibration_bins(truth, happened, numbers, mines).error > bound
    assert refused == 0


def test_a_model_without_parity_is_refused(equal: GivenCandidate) -> None:
    said = refusal(replace(equal, parity=replace(equal.parity, rows_over_tolerance=3)))
    assert said == "parity: ONNX and LightGBM differ by more than 1e-06 in 3 of 1000 rows."


def test_a_lost_feature_is_refused(equal: GivenCandidate) -> None:
    said = refusal(equal, replace(equal.champion(), features=["size", "trend", "union"], predictor=None))
    assert said == "features: It lacks the champion's features union."


def test_a_feature_that_is_the_future_is_refused(equal: GivenCandidate) -> None:
    leak = Leak("luck", "next year's production_short_tons", "share of equal values", 0.99, 0.2)
    said = refusal(equal, leaks=LeakReport([leak], {}, 3, 5000))
    assert said.startswith("leak: luck looks like next year's production_short_tons: share of equal values is 0.990")


def test_what_a_simple_rival_does_better_is_refused(equal: GivenCandidate) -> None:
    rivals = [
        Rival("Brier score", "the training rate", 0.2, 0.1),
        Rival("AUC", "production alone", 0.7, 0.8, higher_is_better=True),
        Rival("AUC", "a coin", float("nan"), 0.5, higher_is_better=True),
    ]
    said = refusal(replace(equal, given_rivals=rivals))
    assert "Its Brier score 0.2 is not below that of the training rate, 0.1." in said
    assert "Its AUC 0.7 is not above that of production alone, 0.8." in said
    assert "Its AUC beside a coin cannot be judged: the test rows have one outcome only." in said


@pytest.mark.parametrize(("knowledge", "decision"), [(0.001, "promoted"), (0.3, "refused")])
def test_a_simple_rival_is_better_only_beyond_the_noise(equal: GivenCandidate, knowledge: float, decision: str) -> None:
    knowing = ((1 - knowledge) * equal.own + knowledge * equal.outcome).clip(1e-6, 1 - 1e-6)
    simple = expit(logit(knowing) + np.random.default_rng(1).normal(0, 0.2, len(knowing)))
    auc = [roc_auc_score(equal.outcome, prediction) for prediction in (equal.own, knowing)]
    brier = [float(np.mean((prediction - equal.outcome) ** 2)) for prediction in (equal.own, knowing)]
    rivals = [
        Rival("AUC", "size", *auc, higher_is_better=True, prediction=simple),
        Rival("Brier score", "a guess", *brier, prediction=simple),
    ]
    verdict = judge(replace(equal, given_rivals=rivals), None, leaks=NO_LEAKS)
    assert verdict.decision == decision
    if decision == "promoted":
        assert "not worse than a guess and than size beyond the noise" in verdict.reason
    else:
        assert verdict.refused_for == ["rivals"]
        assert "that of size" in verdict.reason
        assert "that of a guess" in verdict.reason


def test_a_slower_model_is_refused_and_a_fast_enough_one_is_not(equal: GivenCandidate) -> None:
    brief = GatePolicy(timed_rounds=3, timed_calls=20)
    slow = replace(equal, milliseconds=2.0)
    said = refusal(slow, slow.champion(milliseconds=0.1), policy=brief)
    assert said.startswith("latency: It is slower than version 1: one row takes 2.")
    assert judge(slow, slow.champion(milliseconds=1.6), leaks=NO_LEAKS, policy=brief).decision == "promoted"
    # many times the champion's, and nobody would notice
    quick = replace(equal, milliseconds=0.2)
    assert judge(quick, quick.champion(), leaks=NO_LEAKS, policy=brief).decision == "promoted"
    assert judge(replace(equal, milliseconds=6.0), None, leaks=NO_LEAKS, policy=brief).refused_for == ["latency"]


def test_each_failing_is_named_beside_the_others(equal: GivenCandidate) -> None:
    bad = replace(
        equal,
        own=_drawn_to_the_mean(equal, 0.6),
        parity=replace(equal.parity, rows_over_tolerance=1),
        features=["size"],
    )
    verdict = judge(bad, bad.champion(), leaks=NO_LEAKS)
    assert {"parity", "features", "loss"} <= set(verdict.refused_for)


def test_a_champion_of_other_definitions_is_not_compared_with(equal: GivenCandidate) -> None:
    frozen = replace(equal.champion(), incomparable="fvi_v1 is frozen.")
    verdict = judge(equal.predicting(_drawn_to_the_mean(equal, 0.1)), frozen, leaks=NO_LEAKS)
    assert verdict.decision == "promoted"
    assert "not compared with version 1: fvi_v1 is frozen." in verdict.reason
    assert judge(equal, replace(frozen, features=["union"]), leaks=NO_LEAKS).decision == "refused"


def test_a_regression_is_judged_by_its_losses_and_its_coverage(equal: GivenCandidate) -> None:
    generator = np.random.default_rng(8)
    outcome = np.repeat(generator.normal(10, 2, 600), 10) + generator.normal(0, 1, 6000)
    middle = np.repeat(outcome.reshape(600, 10).mean(axis=1), 10)
    good = np.column_stack([middle, middle - 1.3, middle + 1.3])
    contest = Contest(
        losses={"absolute error": lambda prediction, outcome: np.abs(prediction[:, 0] - outcome)},
        covered=lambda prediction, outcome: 1.0 * ((prediction[:, 1] <= outcome) & (outcome <= prediction[:, 2])),
        nominal_coverage=0.8,
    )
    candidate = replace(equal, outcome=outcome, own=good, champions=good + 0.0, given_contest=contest)
    verdict = judge(candidate, candidate.champion(), leaks=NO_LEAKS)
    assert verdict.decision == "promoted"
    assert 0.75 < verdict.metrics["gate_coverage_h1"] < 0.9
    assert refusal(candidate.predicting(good + 0.4)).startswith("loss: Its absolute error is worse")
    narrow = np.column_stack([middle, middle - 0.6, middle + 0.6])
    assert "coverage: Its intervals hold 4" in refusal(candidate.predicting(narrow))


def test_several_classes_are_calibrated_each(equal: GivenCandidate) -> None:
    generator = np.random.default_rng(9)
    truth = np.repeat(generator.dirichlet([4, 2, 1], 600), 10, axis=0)
    luck = np.repeat(generator.random(600), 10)
    outcome = (luck[:, None] > truth.cumsum(axis=1)).sum(axis=1).astype(np.float64)

    def log_loss(prediction: Floats, outcome: Floats) -> Floats:
        return np.asarray(-np.log(prediction[np.arange(len(outcome)), outcome.astype(int)]))

    contest = Contest(losses={"log loss": log_loss}, probabilities=True)
    candidate = replace(equal, outcome=outcome, own=truth, champions=truth + 0.0, given_contest=contest)
    verdict = judge(candidate, candidate.champion(), leaks=NO_LEAKS)
    assert verdict.decision == "promoted"
    assert "gate_calibration_error_of_2_h3" in verdict.metrics
    swapped = judge(candidate.predicting(truth[:, [0, 2, 1]]), candidate.champion(), leaks=NO_LEAKS)
    assert swapped.refused_for == ["loss", "calibration"]
    assert "miscalibrated at horizon 1 of outcome 2" in swapped.reason


def test_the_viability_model_is_a_candidate(challenger: Challenger) -> None:
    candidate = ViabilityCandidate(challenger)
    rows = candidate.test_rows()
    predictor = candidate.predictor(challenger.files.onnx_model)
    assert np.array_equal(predictor.predict(rows.inputs), challenger.test_probability)
    verdict = judge(candidate, None, leaks=NO_LEAKS)
    assert verdict.decision == "promoted"
    reigning = Champion("1", "another", predictor.features, predictor)
    compared = judge(candidate, reigning, leaks=NO_LEAKS)
    assert compared.decision == "promoted"
    assert compared.metrics["gate_brier_score_difference"] == 0
    worse = replace(challenger, evaluation=replace(challenger.evaluation, brier=0.9, auc=None))
    assert judge(ViabilityCandidate(worse), None, leaks=NO_LEAKS).refused_for == ["rivals"]


def test_the_bootstrap_draws_whole_mines() -> None:
    effect = np.repeat(np.random.default_rng(1).normal(0, 0.1, 50), 20)
    by_mine = MineDraws(np.repeat(np.arange(50), 20).astype(str).tolist(), 1000, 0.95, 7).mean(effect)
    by_row = MineDraws(np.arange(1000).astype(str).tolist(), 1000, 0.95, 7).mean(effect)
    assert by_mine.value == by_row.value
    assert by_mine.high - by_mine.low > 3 * (by_row.high - by_row.low)


def test_drawn_aucs_are_those_of_the_drawn_rows() -> None:
    generator = np.random.default_rng(2)
    mines = generator.integers(0, 30, 300)
    score = np.round(generator.normal(size=300), 1)  # with ties
    positive = generator.random(300) < expit(score)
    draws = MineDraws(mines.astype(str).tolist(), 100, 0.95, 7)
    rows = generator.random(300) < 0.8
    own, drawn = draws.aucs(score, positive, rows)
    assert own == pytest.approx(roc_auc_score(positive[rows], score[rows]))
    for number in (0, 57):
        weights = draws.counts[number][draws.numbers][rows]
        expected = roc_auc_score(positive[rows], score[rows], sample_weight=weights)
        assert drawn[number] == pytest.approx(expected)


def _drawn_to_the_mean(candidate: GivenCandidate, share: float) -> Floats:
    mean = np.where(candidate.groups == 1, candidate.own[candidate.groups == 1].mean(), 0)
    mean = np.where(candidate.groups == 3, candidate.own[candidate.groups == 3].mean(), mean)
    return np.asarray((1 - share) * candidate.own + share * mean)
