"""Dynamic weights: base weight, data quality and information gain, blended by night; and overrides. No storing here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fvi_pipeline.features.catalogue import IndexMetric

OLD_SHARE = 0.8
LOWEST, HIGHEST = 0.1, 1.0


@dataclass(frozen=True)
class Override:
    """A weight that somebody set in place of the dynamic one, 0 to 1, and why."""

    metric: str
    weight: float
    author: str
    reason: str


@dataclass(frozen=True)
class Weight:
    """One metric's weight of one night.

    `weight` is its share of the index. It is made of `bounded_weight`, which follows `target_weight` by a fifth of the
    way a night and goes into the next night, or of `override_weight` where somebody set one.
    """

    metric: str
    weight: float
    bounded_weight: float
    target_weight: float
    information_gain: float | None
    quality: float
    base_weight: float
    override_weight: float | None = None
    override_author: str | None = None
    override_reason: str | None = None


def dynamic_weights(
    metrics: Sequence[IndexMetric],
    quality: Mapping[str, float],
    gains: Mapping[str, float | None],
    night_before: Mapping[str, float],
    overrides: Mapping[str, Override] | None = None,
) -> list[Weight]:
    """Weights of a night, in the order of the metrics; the shares add up to 1.

    target = base x (quality / 2 + gain / 2), the gain measured against the night's most informative metric,
    so that both halves use the whole of 0-1 (mutual information with so uncertain an outcome is a few
    hundredths at best). A metric without a history has no gain: its target rests on quality alone, base x
    quality / 2. Then 0.8 of the night before plus 0.2 of the target (all target on a metric's first night),
    kept within 0.1 and 1. An override takes the metric's place in the shares; the dynamic weight goes on beneath.

    Args:
        metrics: the metrics with their base weights.
        quality: data quality of each metric, 0-1; a metric that is absent counts as 0.
        gains: information gain of each metric; None without a history.
        night_before: bounded weight of each metric on the last earlier night.
        overrides: those in force, by metric.

    Raises:
        ValueError: overrides leave no metric any weight.
    """
    overrides = overrides or {}
    most = max((gain for gain in gains.values() if gain), default=0.0)
    targets = {
        m.name: m.base_weight * (quality.get(m.name, 0.0) + _relative(gains.get(m.name), most)) / 2 for m in metrics
    }
    bounded = {name: _bounded(_blended(night_before.get(name), target)) for name, target in targets.items()}
    return shares(
        [
            Weight(
                metric=metric.name,
                weight=0.0,
                bounded_weight=bounded[metric.name],
                target_weight=targets[metric.name],
                information_gain=gains.get(metric.name),
                quality=quality.get(metric.name, 0.0),
                base_weight=metric.base_weight,
            )
            for metric in metrics
        ],
        overrides,
    )


def shares(weights: Sequence[Weight], overrides: Mapping[str, Override]) -> list[Weight]:
    """The same weights with these overrides and no other, their shares adding up to 1.

    Raises:
        ValueError: overrides leave no metric any weight.
    """
    in_force = {w.metric: overrides[w.metric].weight if w.metric in overrides else w.bounded_weight for w in weights}
    # the exact sum: the order of the metrics must not move a share's last bit
    total = math.fsum(in_force.values())
    if weights and not total:
        raise ValueError("The overrides leave no metric any weight. Release one of them.")
    return [_with_override(each, in_force[each.metric] / total, overrides.get(each.metric)) for each in weights]


def settled_weights(
    metrics: Sequence[IndexMetric], quality: Mapping[str, float], gains: Mapping[str, float | None]
) -> dict[str, float]:
    """The shares that nights without a change come to, whatever was before: those of a first night."""
    return {each.metric: each.weight for each in dynamic_weights(metrics, quality, gains, {})}


def _with_override(weight: Weight, share: float, override: Override | None) -> Weight:
    return replace(
        weight,
        weight=share,
        override_weight=override.weight if override else None,
        override_author=override.author if override else None,
        override_reason=override.reason if override else None,
    )


def _relative(gain: float | None, most: float) -> float:
    return gain / most if gain and most else 0.0


def _blended(old: float | None, target: float) -> float:
    return target if old is None else OLD_SHARE * old + (1 - OLD_SHARE) * target


def _bounded(weight: float) -> float:
    return min(HIGHEST, max(LOWEST, weight))
