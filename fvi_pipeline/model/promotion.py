"""A candidate's way to the champion's place: registered, judged beside the reigning version, noted in the ledger.

One call for any model. The gate's criteria are in `gate_criteria`, fitting belongs to the models.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg

from fvi_pipeline.features.versions import version_of
from fvi_pipeline.features.views import frozen_text
from fvi_pipeline.model.candidate import Candidate
from fvi_pipeline.model.gate import Verdict, judge
from fvi_pipeline.model.gate_criteria import Champion, GatePolicy
from fvi_pipeline.model.leak_check import LeakReport
from fvi_pipeline.model.ledger import apply_verdict, rolled_back_from
from fvi_pipeline.model.registry import ModelRegistry, RegisteredVersion
from fvi_pipeline.model.scoring import ONNX_FILE


@dataclass(frozen=True)
class Promotion:
    """How a candidate fared: its registered version, the verdict, and the version that reigns now."""

    registered: RegisteredVersion
    verdict: Verdict
    champion_version: str | None

    def metadata(self) -> dict[str, str | float]:
        """What the Dagster UI shows beside the candidate."""
        return {
            "version": self.registered.version,
            "mlflow_run_id": self.registered.run_id,
            "gate_decision": self.verdict.decision,
            "gate_reason": self.verdict.reason,
            "gate_refused_for": ", ".join(self.verdict.refused_for),
            **self.verdict.metrics,
        }


def contend(
    connection: psycopg.Connection,
    registry: ModelRegistry,
    candidate: Candidate,
    *,
    leaks: LeakReport,
    actor: str = "pipeline",
    policy: GatePolicy | None = None,
) -> Promotion:
    """Register a candidate, let the gate judge it against the champion, and carry the verdict out. Commits.

    A version that people went back from is refused, whatever it measures, until they promote it again: the same data
    and code give the same bytes, and with other bytes it is another version.

    Args:
        connection: to the database with the ledger and the feature services.
        registry: of the candidate's model.
        candidate: as it came from its training.
        leaks: what `leak_check.find_leaks` says of its training rows.
        actor: who asked for it.
        policy: the gate's margins; the defaults when None.
    """
    registered = registry.register(candidate)
    verdict = judge(candidate, reigning(connection, registry, candidate), leaks=leaks, policy=policy)
    back = rolled_back_from(connection, registry.name, registered.version)
    if back is not None and verdict.decision != "kept":
        sentence = (
            f"Version {registered.version} was rolled back from on {back.promoted_at:%Y-%m-%d} by {back.actor} "
            f"({back.reason}) and has not been promoted since: `fvi promote` does that."
        )
        verdict = Verdict("refused", [sentence, *_objections(verdict)], verdict.metrics, ["rolled_back"])
    champion = apply_verdict(
        connection, registry, registered.version, verdict, metrics=candidate.metrics(), actor=actor
    )
    return Promotion(registered, verdict, champion)


def reigning(connection: psycopg.Connection, registry: ModelRegistry, candidate: Candidate) -> Champion | None:
    """The champion as the gate sees it beside a candidate, or None when there is none.

    One whose features are computed in another way by now cannot see the test rows as it learned to.
    """
    champion = registry.champion()
    if champion is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        onnx_model = (registry.files(champion.version, Path(folder)) / ONNX_FILE).read_bytes()
    predictor = candidate.predictor(onnx_model)
    learned = version_of(connection, champion.feature_service)
    incomparable = None if learned.is_live else frozen_text(learned)
    return Champion(champion.version, champion.onnx_sha256, predictor.features, predictor, incomparable)


def _objections(verdict: Verdict) -> list[str]:
    return verdict.reasons if verdict.decision == "refused" else []
