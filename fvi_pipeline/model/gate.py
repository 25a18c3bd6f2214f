"""Whether a challenger may become the champion: a pure decision over measurements, each refusal with its
reason.

Moving the alias and keeping the ledger belong in `registry`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from fvi_pipeline.model.challenger import Challenger
from fvi_pipeline.model.evaluation import Evaluation
from fvi_pipeline.model.intervals import FloatVector
from fvi_pipeline.model.onnx_export import ParityReport
from fvi_pipeline.model.scoring import ViabilityModel

Decision = Literal["promoted", "refused", "kept"]


class GatePolicy(BaseModel):
    """What the gate lets pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    noise_confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """A challenger is worse than the champion if the paired bootstrap of the Brier difference says so with
    this confidence.
    """
    brier_margin: float = Field(default=0.0005, ge=0)
    """A difference in Brier score this small is never held against a challenger."""
    bootstrap_draws: int = Field(default=1000, ge=100)
    seed: int = 7


@dataclass(frozen=True)
class Champion:
    """The reigning model as the gate sees it: its bytes' hash, its features, its probabilities on the same
    test rows [n].

    They are None if the champion uses a feature that the rows no longer have, or, as `incomparable` says, has learned
    from others under the same names.
    """

    version: str
    onnx_sha256: str
    features: Sequence[str]
    probability: FloatVector | None
    incomparable: str | None = None


@dataclass(frozen=True)
class Verdict:
    """The decision, why, and the figures that it rests on."""

    decision: Decision
    reasons: list[str]
    brier_difference: float | None = None
    brier_difference_low: float | None = None
    brier_difference_high: float | None = None

    @property
    def reason(self) -> str:
        """All reasons as one text."""
        return " ".join(self.reasons)


def judge(challenger: Challenger, champion: Champion | None, policy: GatePolicy | None = None) -> Verdict:
    """Decide on a challenger as it came from its training."""
    return decide(
        onnx_sha256=challenger.files.onnx_sha256,
        features=challenger.files.metadata.features,
        parity=challenger.parity,
        evaluation=challenger.evaluation,
        probability=challenger.test_probability,
        viable=challenger.split.test.viable,
        mine_ids=challenger.split.test.keys["mine_id"].to_list(),
        champion=champion,
        policy=policy,
    )


def champion_on_test(version: str, model: ViabilityModel, challenger: Challenger) -> Champion:
    """The reigning model, predicting the challenger's test rows."""
    names = challenger.files.metadata.features
    probability = None
    if set(model.features) <= set(names) and set(challenger.split.test.horizons) <= set(model.horizons):
        test = challenger.split.test
        columns = [names.index(name) for name in model.features]
        probability = model.probabilities_by_row(test.features[:, columns], test.horizon_years)
    return Champion(version, model.onnx_sha256, model.features, probability)


def decide(
    *,
    onnx_sha256: str,
    features: Sequence[str],
    parity: ParityReport,
    evaluation: Evaluation,
    probability: FloatVector,
    viable: NDArray[np.int8],
    mine_ids: Sequence[str],
    champion: Champion | None,
    policy: GatePolicy | None = None,
) -> Verdict:
    """Decide on a challenger.

    Args:
        onnx_sha256: hash of the challenger's bytes; that of the champion means 'kept'.
        features: the challenger's features; it may not lack one of the champion's.
        parity: ONNX against LightGBM.
        evaluation: the challenger on the test rows, beside the rivals.
        probability: the challenger's P(viable) on the test rows [n]; `viable` their outcomes, `mine_ids`
            their mines.
        champion: the reigning model on the same rows, or None when there is none.
        policy: margins; the defaults when None.
    """
    policy = policy or GatePolicy()
    if champion is not None and champion.onnx_sha256 == onnx_sha256:
        return Verdict("kept", [f"The model is version {champion.version}, which is the champion already."])
    refusals = _absolute_refusals(parity, evaluation)
    if champion is None:
        if refusals:
            return Verdict("refused", refusals)
        return Verdict("promoted", ["First champion: at parity, and better than the base rate and than size alone."])
    lost = sorted(set(champion.features) - set(features))
    if lost:
        refusals.append(f"It lacks the champion's features {', '.join(lost)}.")
    if champion.incomparable and not refusals:
        reason = "At parity, and better than the base rate and than size alone; not compared with version "
        return Verdict("promoted", [f"{reason}{champion.version}: {champion.incomparable}"])
    if champion.probability is None:
        return Verdict("refused", refusals)
    difference, low, high = paired_brier_difference(probability, champion.probability, viable, mine_ids, policy)
    if difference > policy.brier_margin and low > 0:
        refusals.append(
            f"Its Brier score is worse than that of version {champion.version} by {difference:.5f} "
            f"({policy.noise_confidence:.0%} interval {low:.5f} to {high:.5f})."
        )
    if refusals:
        return Verdict("refused", refusals, difference, low, high)
    reason = (
        f"At parity, better than both rivals, and not worse than version {champion.version} beyond the noise "
        f"(Brier difference {difference:+.5f}, {policy.noise_confidence:.0%} interval {low:+.5f} "
        f"to {high:+.5f})."
    )
    return Verdict("promoted", [reason], difference, low, high)


def paired_brier_difference(
    challenger: FloatVector,
    champion: FloatVector,
    viable: NDArray[np.int8],
    mine_ids: Sequence[str],
    policy: GatePolicy,
) -> tuple[float, float, float]:
    """Brier of the challenger less that of the champion, with its bootstrap interval; whole mines are
    drawn.
    """
    difference = (challenger - viable) ** 2 - (champion - viable) ** 2
    _, mine_numbers = np.unique(np.asarray(mine_ids), return_inverse=True)
    sums = np.bincount(mine_numbers, weights=difference)
    counts = np.bincount(mine_numbers).astype(float)
    generator = np.random.default_rng(policy.seed)
    drawn = generator.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=policy.bootstrap_draws)
    means = (drawn @ sums) / (drawn @ counts)
    tail = (1 - policy.noise_confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(difference.mean()), float(low), float(high)


def _absolute_refusals(parity: ParityReport, evaluation: Evaluation) -> list[str]:
    refusals = []
    if not parity.passed:
        refusals.append(
            f"ONNX and LightGBM differ by more than {parity.tolerance:g} in "
            f"{parity.rows_over_tolerance} of {parity.rows} rows."
        )
    if not evaluation.brier < evaluation.base_rate_brier:
        refusals.append(
            f"Its Brier score {evaluation.brier:.4f} is not below that of the training rate, "
            f"{evaluation.base_rate_brier:.4f}."
        )
    if evaluation.auc is None or evaluation.size_auc is None:
        refusals.append("The test rows have one outcome only, so that its ranking cannot be judged.")
    elif not evaluation.auc > evaluation.size_auc:
        refusals.append(
            f"Its AUC {evaluation.auc:.3f} is not above that of production alone, {evaluation.size_auc:.3f}."
        )
    return refusals
