"""Whether a candidate may become the champion: the verdict over all criteria, with its reasons. Of any model that
fulfils `candidate.Candidate`.

The criteria are in `gate_criteria`; registering, moving the alias and the ledger belong in `promotion` and `ledger`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from fvi_pipeline.model.candidate import Candidate
from fvi_pipeline.model.gate_criteria import CRITERIA, Bout, Champion, GatePolicy
from fvi_pipeline.model.leak_check import LeakReport

Decision = Literal["promoted", "refused", "kept"]


@dataclass(frozen=True)
class Verdict:
    """The decision, why, the criteria that were failed, and every figure that was measured."""

    decision: Decision
    reasons: list[str]
    metrics: dict[str, float] = field(default_factory=dict)
    refused_for: list[str] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """All reasons as one text."""
        return " ".join(self.reasons)


def judge(
    candidate: Candidate, champion: Champion | None, *, leaks: LeakReport, policy: GatePolicy | None = None
) -> Verdict:
    """Decide on a candidate.

    Args:
        candidate: as it came from its training.
        champion: the reigning version, or None when there is none.
        leaks: what the search of the candidate's training rows for the future has found.
        policy: margins; the defaults when None.
    """
    if champion is not None and champion.onnx_sha256 == candidate.files.onnx_sha256:
        return Verdict("kept", [f"The model is version {champion.version}, which is the champion already."])
    bout = Bout(candidate, champion, leaks, policy or GatePolicy())
    reasons: list[str] = []
    refused_for: list[str] = []
    metrics: dict[str, float] = {}
    for name, criterion in CRITERIA.items():
        finding = criterion(bout)
        reasons += finding.refusals
        refused_for += [name] if finding.refusals else []
        metrics |= finding.metrics
    metrics = {name: float(value) for name, value in metrics.items() if np.isfinite(value)}
    if refused_for:
        return Verdict("refused", reasons, metrics, refused_for)
    return Verdict("promoted", [_praise(bout, metrics)], metrics)


def _praise(bout: Bout, metrics: dict[str, float]) -> str:
    rivals = bout.candidate.rivals()
    beaten = sorted({rival.rival for rival in rivals if rival.beaten})
    equal = sorted({rival.rival for rival in rivals if not rival.beaten})
    merits = ["at parity", "nothing of the future among its features"]
    merits += ["calibrated"] if bout.contest.probabilities else []
    merits += [f"better than {' and than '.join(beaten)}"] if beaten else []
    merits += [f"not worse than {' and than '.join(equal)} beyond the noise"] if equal else []
    text = ", ".join(merits)
    if bout.champion is None:
        return f"First champion: {text}."
    text = text[0].upper() + text[1:]
    if bout.champions is None:
        return f"{text}; not compared with version {bout.champion.version}: {bout.incomparable}"
    compared = [*bout.contest.losses, *(["AUC"] if bout.key("AUC difference") in metrics else [])]
    differences = []
    for name in compared:
        key = bout.key(f"{name} difference")
        low, high = metrics[f"{key}_low"], metrics[f"{key}_high"]
        differences.append(f"{name} {metrics[key]:+.5f}, {bout.policy.noise_confidence:.0%} {low:+.5f} to {high:+.5f}")
    return f"{text}, and not worse than version {bout.champion.version} beyond the noise ({'; '.join(differences)})."
