"""What the gate asks of a candidate, one criterion after the other over the same test rows: each objection is a
sentence, each measurement is kept.

The arithmetic is in `gate_measures`, the search for leaks in `leak_check`, the verdict in `gate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from fvi_pipeline.model.candidate import Candidate, Contest, Prediction, Predictor, Rival, TestRows
from fvi_pipeline.model.errors import DatasetError, ScoringError
from fvi_pipeline.model.gate_measures import (
    CalibrationBins,
    Floats,
    Interval,
    MineDraws,
    calibration_bins,
    chance_calibration_errors,
    one_row_milliseconds,
)
from fvi_pipeline.model.leak_check import LeakReport

Rows = NDArray[np.bool_]


class GatePolicy(BaseModel):
    """What the gate lets pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    noise_confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """A challenger is worse than the champion if the paired bootstrap over mines says so with this confidence: over all
    rows, and in each group with a confidence that all groups share.
    """
    relative_loss_margin: float = Field(default=0.003, ge=0)
    """A difference below this share of the champion's loss is never held against a challenger."""
    auc_margin: float = Field(default=0.002, ge=0)
    calibration_limit: float = Field(default=0.03, gt=0)
    """Calibration error that a model may add to what chance gives a perfect one on the same rows."""
    calibration_margin: float = Field(default=0.005, ge=0)
    coverage_limit: float = Field(default=0.05, gt=0)
    """By so much intervals may hold fewer outcomes than they say, beyond the noise."""
    latency_ratio: float = Field(default=2.0, gt=1)
    latency_floor_milliseconds: float = Field(default=0.5, ge=0)
    """A model that answers for one row within this time at the 95th percentile is fast, whatever the champion needs."""
    latency_limit_milliseconds: float = Field(default=5.0, gt=0)
    bootstrap_draws: int = Field(default=1000, ge=100)
    chance_draws: int = Field(default=200, ge=50)
    timed_rounds: int = Field(default=5, ge=1)
    timed_calls: int = Field(default=100, ge=10)
    seed: int = 7


@dataclass(frozen=True)
class Champion:
    """The reigning version as the gate sees it; `incomparable` says why its predictions cannot stand beside others."""

    version: str
    onnx_sha256: str
    features: Sequence[str]
    predictor: Predictor | None = None
    incomparable: str | None = None


@dataclass
class Bout:
    """A candidate, the champion and the rows that both are measured on."""

    candidate: Candidate
    champion: Champion | None
    leaks: LeakReport
    policy: GatePolicy

    @cached_property
    def rows(self) -> TestRows:
        """The candidate's test rows."""
        return self.candidate.test_rows()

    @cached_property
    def contest(self) -> Contest:
        """What is compared."""
        return self.candidate.contest()

    @cached_property
    def predictor(self) -> Predictor:
        """The candidate from its very bytes."""
        return self.candidate.predictor(self.candidate.files.onnx_model)

    @cached_property
    def own_inputs(self) -> NDArray[np.float32]:
        """The candidate's input of the test rows."""
        inputs = self.rows.columns_of(self.predictor.input_columns)
        if inputs is None:
            raise DatasetError("The test rows lack a column of the candidate's own input. Give them all.")
        return inputs

    @cached_property
    def own(self) -> Floats:
        """What the candidate's bytes predict."""
        return np.asarray(self.predictor.predict(self.own_inputs), dtype=np.float64)

    @cached_property
    def champions_inputs(self) -> NDArray[np.float32] | None:
        """The champion's input of the test rows; None without one to compare with, or where a column is gone."""
        if self.champion is None or self.champion.predictor is None or self.champion.incomparable:
            return None
        return self.rows.columns_of(self.champion.predictor.input_columns)

    @cached_property
    def champions(self) -> Floats | None:
        """What the champion's bytes predict for the same rows; None where they cannot, as `incomparable` says."""
        if self.champions_inputs is None or self.champion is None or self.champion.predictor is None:
            return None
        try:
            prediction = np.asarray(self.champion.predictor.predict(self.champions_inputs), dtype=np.float64)
        except ScoringError:  # a horizon that it was not made for
            return None
        return prediction if prediction.shape == self.own.shape else None

    @property
    def incomparable(self) -> str:
        """Why the champion's predictions do not stand beside the candidate's."""
        stated = self.champion.incomparable if self.champion else None
        return stated or "it does not answer the same question of the same rows."

    @cached_property
    def draws(self) -> MineDraws:
        """The bootstrap's samples, the same for every criterion."""
        policy = self.policy
        return MineDraws(self.rows.mine_ids, policy.bootstrap_draws, policy.noise_confidence, policy.seed)

    @cached_property
    def groups(self) -> list[tuple[int, Rows]]:
        """Each group and its rows."""
        return [(int(group), self.rows.groups == group) for group in np.unique(self.rows.groups)]

    @cached_property
    def large_groups(self) -> list[tuple[int, Rows]]:
        """The groups with enough rows to be judged alone."""
        return [(group, rows) for group, rows in self.groups if rows.sum() >= self.contest.minimum_rows]

    def place(self, group: int) -> str:
        """Where something was measured, in a sentence."""
        return f" at {self.rows.group_name} {group}" if len(self.groups) > 1 else ""

    def key(self, name: str, group: int | None = None) -> str:
        """The name of a measurement."""
        suffix = f"_{self.rows.group_name[0]}{group}" if group is not None and len(self.groups) > 1 else ""
        return f"gate_{name.lower().replace(' ', '_')}{suffix}"


@dataclass
class Finding:
    """What one criterion measured and objects to."""

    refusals: list[str] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)


def _parity(bout: Bout) -> Finding:
    parity = bout.candidate.parity
    finding = Finding(metrics={f"parity_{name}": float(value) for name, value in parity.as_dict().items()})
    if not parity.passed:
        finding.refusals.append(
            f"ONNX and LightGBM differ by more than {parity.tolerance:g} in "
            f"{parity.rows_over_tolerance} of {parity.rows} rows."
        )
    return finding


def _rivals(bout: Bout) -> Finding:
    finding = Finding()
    for rival in bout.candidate.rivals():
        if not np.isfinite([rival.own, rival.rivals]).all():
            finding.refusals.append(
                f"Its {rival.measure} beside {rival.rival} cannot be judged: the test rows have one outcome only."
            )
        elif not rival.beaten and not _within_the_noise(bout, rival):
            side = "above" if rival.higher_is_better else "below"
            finding.refusals.append(
                f"Its {rival.measure} {rival.own:.4g} is not {side} that of {rival.rival}, {rival.rivals:.4g}."
            )
    return finding


def _leaks(bout: Bout) -> Finding:
    return Finding(bout.leaks.sentences(), bout.leaks.metrics())


def _lost_features(bout: Bout) -> Finding:
    if bout.champion is None:
        return Finding()
    lost = sorted(set(bout.champion.features) - set(bout.candidate.features))
    refusals = [f"It lacks the champion's features {', '.join(lost)}."] if lost else []
    return Finding(refusals, {"gate_lost_features": float(len(lost))})


def _losses(bout: Bout) -> Finding:
    finding = Finding()
    own, champions = bout.own, bout.champions
    if champions is None:
        return finding
    for name, loss in bout.contest.losses.items():
        before = np.asarray(loss(champions, bout.rows.outcome), dtype=np.float64)
        difference = np.asarray(loss(own, bout.rows.outcome), dtype=np.float64) - before
        whole = bout.draws.mean(difference)
        finding.metrics |= _as_metrics(bout.key(f"{name} difference"), whole)
        worse = whole.low > 0 and whole.value > bout.policy.relative_loss_margin * before.mean()
        if worse:
            finding.refusals.append(_worse(bout, name, whole))
        for group, rows in bout.large_groups if len(bout.groups) > 1 else []:
            part = bout.draws.mean(difference, rows, tests=len(bout.large_groups))
            finding.metrics |= _as_metrics(bout.key(f"{name} difference", group), part)
            if not worse and part.low > 0 and part.value > bout.policy.relative_loss_margin * before[rows].mean():
                finding.refusals.append(_worse(bout, name, part, bout.place(group)))
    return finding


def _ranking(bout: Bout) -> Finding:
    finding = Finding()
    if bout.champions is None or not bout.contest.probabilities or bout.own.ndim != 1:
        return finding
    whole, parts = _auc_difference(bout, bout.champions)
    for group, part in parts.items():
        finding.metrics |= _as_metrics(bout.key("AUC difference", group), part)
        if part.high < 0 and part.value < -bout.policy.auc_margin:
            finding.refusals.append(_worse(bout, "AUC", part, bout.place(group)))
    if whole is not None:
        finding.metrics |= _as_metrics(bout.key("AUC difference"), whole)
        if whole.high < 0 and whole.value < -bout.policy.auc_margin:
            finding.refusals = [_worse(bout, "AUC", whole)]
    return finding


def _calibration(bout: Bout) -> Finding:
    finding = Finding()
    if not bout.contest.probabilities:
        return finding
    own, champions = _columns(bout.own), None if bout.champions is None else _columns(bout.champions)
    differences, drawn, weights = [], [], []
    for group, rows in bout.large_groups:
        for event, probability in own.items():
            error, bound = _calibration_bound(bout, probability, event, rows)
            place = bout.place(group) + ("" if len(own) == 1 else f" of outcome {event}")
            suffix = "" if len(own) == 1 else f" of {event}"
            finding.metrics[bout.key(f"calibration error{suffix}", group)] = error.error
            finding.metrics[bout.key(f"calibration bound{suffix}", group)] = bound
            if error.error > bound:
                finding.refusals.append(
                    f"It is miscalibrated{place}: its calibration error {error.error:.3f} is above {bound:.3f}, that "
                    f"of a perfect model on these rows and {bout.policy.calibration_limit:g} more."
                )
            if champions is not None:
                champions_bins = _bins(bout, champions[event], event, rows)
                differences.append(error.error - champions_bins.error)
                drawn.append(error.drawn(bout.draws.counts) - champions_bins.drawn(bout.draws.counts))
                weights.append(float(rows.sum()))
    if differences:
        pooled = np.average(np.stack(drawn), axis=0, weights=weights)
        whole = bout.draws.interval(float(np.average(differences, weights=weights)), pooled)
        finding.metrics |= _as_metrics(bout.key("calibration error difference"), whole)
        if not finding.refusals and whole.low > 0 and whole.value > bout.policy.calibration_margin:
            finding.refusals.append(_worse(bout, "calibration error", whole))
    return finding


def _coverage(bout: Bout) -> Finding:
    finding = Finding()
    covered, nominal = bout.contest.covered, bout.contest.nominal_coverage
    if covered is None or nominal is None:
        return finding
    held = np.asarray(covered(bout.own, bout.rows.outcome), dtype=np.float64)
    for group, rows in bout.large_groups:
        part = bout.draws.mean(held, rows, tests=len(bout.large_groups))
        finding.metrics |= _as_metrics(bout.key("coverage", group), part)
        if part.high < nominal - bout.policy.coverage_limit:
            finding.refusals.append(
                f"Its intervals hold {part.value:.1%} of the outcomes{bout.place(group)}, and say {nominal:.0%}."
            )
    return finding


def _latency(bout: Bout) -> Finding:
    policy = bout.policy
    if not len(bout.rows):
        return Finding()
    predictors, rows = [bout.predictor], [bout.own_inputs[:1]]
    if bout.champions is not None and bout.champions_inputs is not None and bout.champion and bout.champion.predictor:
        predictors.append(bout.champion.predictor)
        rows.append(bout.champions_inputs[:1])
    own, *others = one_row_milliseconds(predictors, rows, rounds=policy.timed_rounds, calls=policy.timed_calls)
    finding = Finding(metrics={"gate_one_row_p95_milliseconds": own})
    if own > policy.latency_limit_milliseconds:
        finding.refusals.append(
            f"One row takes {own:.2f} ms at the 95th percentile; at most {policy.latency_limit_milliseconds:g} ms "
            "are allowed."
        )
    elif others and bout.champion is not None:
        finding.metrics["gate_one_row_p95_ratio"] = own / others[0]
        if own > policy.latency_floor_milliseconds and own > policy.latency_ratio * others[0]:
            finding.refusals.append(
                f"It is slower than version {bout.champion.version}: one row takes {own:.2f} ms at the 95th "
                f"percentile, not {others[0]:.2f} ms."
            )
    return finding


CRITERIA: dict[str, Callable[[Bout], Finding]] = {
    "parity": _parity,
    "leak": _leaks,
    "rivals": _rivals,
    "features": _lost_features,
    "loss": _losses,
    "ranking": _ranking,
    "calibration": _calibration,
    "coverage": _coverage,
    "latency": _latency,
}


def _auc_difference(bout: Bout, other: Prediction) -> tuple[Interval | None, dict[int, Interval]]:
    """The candidate's AUC less that of another prediction: the mean over the groups, and in each large one of several.
    None: no group has both outcomes.
    """
    happened = bout.rows.outcome == 1
    judged_alone = {group for group, _ in bout.large_groups} if len(bout.groups) > 1 else set()
    values, drawn, weights = [], [], []
    parts: dict[int, Interval] = {}
    for group, rows in bout.groups:
        if not 0 < happened[rows].mean() < 1:
            continue
        own_auc, own_drawn = bout.draws.aucs(bout.own, happened, rows)
        others_auc, others_drawn = bout.draws.aucs(other, happened, rows)
        values.append(own_auc - others_auc)
        drawn.append(own_drawn - others_drawn)
        weights.append(float(rows.sum()))
        if group in judged_alone:
            parts[group] = bout.draws.interval(values[-1], drawn[-1], tests=len(judged_alone))
    if not values:
        return None, parts
    pooled = np.average(np.stack(drawn), axis=0, weights=weights)
    return bout.draws.interval(float(np.average(values, weights=weights)), pooled), parts


def _within_the_noise(bout: Bout, rival: Rival) -> bool:
    if rival.prediction is None:
        return False
    if rival.measure == "AUC":
        ranking, _ = _auc_difference(bout, rival.prediction)
        return ranking is not None and ranking.high >= 0
    loss = bout.contest.losses[rival.measure]
    difference = loss(bout.own, bout.rows.outcome) - loss(rival.prediction, bout.rows.outcome)
    return bout.draws.mean(np.asarray(difference, dtype=np.float64)).low <= 0


def _calibration_bound(bout: Bout, probability: Floats, event: int, rows: Rows) -> tuple[CalibrationBins, float]:
    chance = chance_calibration_errors(
        probability[rows],
        bout.draws.numbers[rows],
        bout.draws.mines,
        draws=bout.policy.chance_draws,
        seed=bout.policy.seed,
    )
    # a perfect model passes, however few mines the rows are of
    bound = max(float(chance.mean()) + bout.policy.calibration_limit, float(np.quantile(chance, 0.99)))
    return _bins(bout, probability, event, rows), bound


def _bins(bout: Bout, probability: Floats, event: int, rows: Rows) -> CalibrationBins:
    happened = bout.rows.outcome[rows] == event
    return calibration_bins(probability[rows], happened, bout.draws.numbers[rows], bout.draws.mines)


def _columns(prediction: Floats) -> dict[int, Floats]:
    """The probability of each outcome that has one of its own."""
    return {1: prediction} if prediction.ndim == 1 else {k: prediction[:, k] for k in range(prediction.shape[1])}


def _as_metrics(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _worse(bout: Bout, measure: str, interval: Interval, place: str = "") -> str:
    version = bout.champion.version if bout.champion else ""
    return (
        f"Its {measure}{place} is worse than that of version {version} by {abs(interval.value):.5f} "
        f"({bout.policy.noise_confidence:.0%} interval {interval.low:+.5f} to {interval.high:+.5f})."
    )
