from dataclasses import replace

import numpy as np
import pytest

from fvi_pipeline.model.challenger import Challenger
from fvi_pipeline.model.gate import Champion, GatePolicy, champion_on_test, judge, paired_brier_difference


@pytest.fixture
def champion(challenger: Challenger) -> Champion:
    reigning = champion_on_test("1", challenger.files.model(), challenger)
    return replace(reigning, onnx_sha256="another")


def test_first_model_that_beats_the_rivals_is_promoted(challenger: Challenger) -> None:
    assert judge(challenger, None).decision == "promoted"


def test_the_same_bytes_change_nothing(challenger: Challenger, champion: Champion) -> None:
    same = replace(champion, onnx_sha256=challenger.files.onnx_sha256)
    assert judge(challenger, same).decision == "kept"


def test_an_equal_or_better_model_is_promoted(challenger: Challenger, champion: Champion) -> None:
    assert judge(challenger, champion).decision == "promoted"
    assert champion.probability is not None
    worse_champion = replace(champion, probability=np.clip(champion.probability - 0.2, 0, 1))
    verdict = judge(challenger, worse_champion)
    assert verdict.decision == "promoted"
    assert verdict.brier_difference is not None
    assert verdict.brier_difference < 0


def test_a_worse_model_is_refused_with_the_difference(challenger: Challenger, champion: Champion) -> None:
    truth = challenger.split.test.viable
    assert champion.probability is not None
    better_champion = replace(champion, probability=0.8 * champion.probability + 0.2 * truth)
    verdict = judge(challenger, better_champion)
    assert verdict.decision == "refused"
    assert "worse than that of version 1" in verdict.reason


def test_a_difference_within_the_noise_is_not_held_against_it(challenger: Challenger, champion: Champion) -> None:
    assert champion.probability is not None
    jitter = np.random.default_rng(0).normal(0, 0.02, len(champion.probability))
    jittered = replace(champion, probability=np.clip(champion.probability + jitter, 0, 1))
    assert judge(challenger, jittered).decision == "promoted"


def test_a_lost_feature_is_refused(challenger: Challenger, champion: Champion) -> None:
    richer = replace(champion, features=[*champion.features, "union"], probability=None)
    verdict = judge(challenger, richer)
    assert verdict.decision == "refused"
    assert "lacks the champion's features union" in verdict.reason


def test_a_champion_of_other_definitions_is_not_compared_with(challenger: Challenger, champion: Champion) -> None:
    other = replace(champion, probability=None, incomparable="fvi_v1 is frozen.")
    verdict = judge(challenger, other)
    assert (verdict.decision, verdict.brier_difference) == ("promoted", None)
    assert "not compared with version 1: fvi_v1 is frozen." in verdict.reason
    richer = replace(other, features=[*champion.features, "union"])
    assert judge(challenger, richer).decision == "refused"


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("parity", {"rows_over_tolerance": 3}, "differ by more than 1e-06 in 3"),
        ("evaluation", {"brier": 0.9}, "not below that of the training rate"),
        ("evaluation", {"size_auc": 0.99}, "not above that of production alone"),
        ("evaluation", {"auc": None}, "one outcome only"),
    ],
)
def test_each_absolute_failing_is_named(
    challenger: Challenger, champion: Champion, part: str, change: dict[str, float], message: str
) -> None:
    failing = replace(challenger, **{part: replace(getattr(challenger, part), **change)})
    for reigning in (None, champion):
        verdict = judge(failing, reigning)
        assert verdict.decision == "refused"
        assert message in verdict.reason


def test_bootstrap_draws_whole_mines() -> None:
    generator = np.random.default_rng(1)
    mine_effect = np.repeat(generator.normal(0, 0.1, 50), 20)
    viable = np.zeros(1000, dtype=np.int8)
    challenger, champion = np.sqrt(0.25 + mine_effect * 0.5), np.full(1000, 0.5)
    policy = GatePolicy()
    by_mine = paired_brier_difference(
        challenger, champion, viable, np.repeat(np.arange(50), 20).astype(str).tolist(), policy
    )
    by_row = paired_brier_difference(challenger, champion, viable, np.arange(1000).astype(str).tolist(), policy)
    assert by_mine[0] == by_row[0]
    assert by_mine[2] - by_mine[1] > 3 * (by_row[2] - by_row[1])
