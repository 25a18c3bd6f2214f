"""Dynamic weights: base weight, data quality and information gain, blended by night. No storing here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fvi_pipeline.features.catalogue import IndexMetric

OLD_SHARE = 0.8
LOWEST, HIGHEST = 0.1, 1.0


@dataclass(frozen=True)
class Weight:
    """One metric's weight of one night: `weight` is its share, `bounded_weight` goes into the next night."""

    metric: str
    weight: float
    bounded_weight: float
    information_gain: float | None
    quality: float
    base_weight: float


def dynamic_weights(
    metrics: Sequence[IndexMetric],
    quality: Mapping[str, float],
    gains: Mapping[str, float | None],
    night_before: Mapping[str, float],
) -> list[Weight]:
    """Weights of a night, in the order of the metrics; the shares add up to 1.

    target = base x (quality / 2 + gain / 2), the gain measured against the night's most informative metric,
    so that both halves use the whole of 0-1 (mutual information with so uncertain an outcome is a few
    hundredths at best). A metric without a history has no gain: its target rests on quality alone, base x
    quality / 2. Then 0.8 of the night before plus 0.2 of the target (all target on a metric's first night),
    kept within 0.1 and 1.

    Args:
        metrics: the metrics with their base weights.
        quality: data quality of each metric, 0-1; a metric that is absent counts as 0.
        gains: information gain of each metric; None without a history.
        night_before: bounded weight of each metric on the last earlier night.
    """
    most = max((gain for gain in gains.values() if gain), default=0.0)
    bounded = {}
    for metric in metrics:
        gain = gains.get(metric.name)
        relative_gain = gain / most if gain and most else 0.0
        target = metric.base_weight * (quality.get(metric.name, 0.0) + relative_gain) / 2
        old = night_before.get(metric.name)
        blended = target if old is None else OLD_SHARE * old + (1 - OLD_SHARE) * target
        bounded[metric.name] = min(HIGHEST, max(LOWEST, blended))
    total = sum(bounded.values())
    return [
        Weight(
            metric=metric.name,
            weight=bounded[metric.name] / total,
            bounded_weight=bounded[metric.name],
            information_gain=gains.get(metric.name),
            quality=quality.get(metric.name, 0.0),
            base_weight=metric.base_weight,
        )
        for metric in metrics
    ]
