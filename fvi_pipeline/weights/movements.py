"""What moved in the weights from one night to the next, and why, in words. The weights are made elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fvi_pipeline.weights.dynamic_weights import HIGHEST, LOWEST, OLD_SHARE, Weight

# what is smaller is not seen in four digits
_SEEN = 5e-5


@dataclass(frozen=True)
class Movement:
    """One metric's share of a night, how far it moved since the night before (None: a first night), and why."""

    weight: Weight
    change: float | None
    reasons: tuple[str, ...]


def movements(before: Sequence[Weight], now: Sequence[Weight]) -> list[Movement]:
    """The movement of each metric of `now`, the heaviest first.

    Args:
        before: the weights of the night before; empty on the first one.
        now: the weights of the night.
    """
    earlier = {weight.metric: weight for weight in before}
    best_before, best = _best(before), _best(now)
    moved = []
    for weight in now:
        old = earlier.get(weight.metric)
        if old is None:
            reasons = [*_override(None, weight), "its first night: all of the target"]
            moved.append(Movement(weight, None, tuple(reasons)))
            continue
        reasons = [*_override(old, weight)]
        if weight.override_weight is None:
            reasons += [*_inputs(old, weight, best_before, best), *_blend(old, weight)]
        change = weight.weight - old.weight
        if not reasons and abs(change) > _SEEN:
            reasons = ["itself unmoved: others moved, and the shares add up to 1"]
        moved.append(Movement(weight, change, tuple(reasons)))
    return sorted(moved, key=lambda each: (-each.weight.weight, each.weight.metric))


def _override(old: Weight | None, new: Weight) -> Iterator[str]:
    was = old.override_weight if old else None
    if new.override_weight is not None:
        verb = "set" if was is None or was == new.override_weight else f"set anew from {was:g}"
        yield f"{verb} to {new.override_weight:g} by {new.override_author}: {new.override_reason}"
    elif was is not None:
        yield f"the override of {was:g} was released"


def _inputs(old: Weight, new: Weight, best_before: float, best: float) -> Iterator[str]:
    if new.base_weight != old.base_weight:
        yield f"base weight {old.base_weight:g} → {new.base_weight:g}"
    gain_before, gain = old.information_gain, new.information_gain
    if (gain_before is None) != (gain is None):
        yield "a history was lost" if gain is None else "a first information gain"
    elif gain is not None and gain_before is not None and abs(gain - gain_before) > _SEEN:
        yield f"information gain {gain_before:.4f} → {gain:.4f}"
    elif gain and abs(best - best_before) > _SEEN:
        yield f"the best gain, which it is measured against, {best_before:.4f} → {best:.4f}"
    if abs(new.quality - old.quality) > _SEEN:
        yield f"quality {old.quality:.3f} → {new.quality:.3f}"


def _blend(old: Weight, new: Weight) -> Iterator[str]:
    if abs(new.bounded_weight - old.bounded_weight) > _SEEN:
        yield f"{1 - OLD_SHARE:.0%} of the way from {old.bounded_weight:.3f} to its target {new.target_weight:.3f}"
    elif new.bounded_weight in (LOWEST, HIGHEST) and abs(new.target_weight - new.bounded_weight) > _SEEN:
        side = "least" if new.bounded_weight == LOWEST else "most"
        yield f"kept at {new.bounded_weight:g}, the {side} that a weight may be"


def _best(weights: Sequence[Weight]) -> float:
    return max((weight.information_gain or 0.0 for weight in weights), default=0.0)
