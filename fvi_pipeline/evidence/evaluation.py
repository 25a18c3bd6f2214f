"""How good a ranking is: nDCG, recall and reciprocal rank against judgements, with bootstrap intervals. Pure.

Järvelin and Kekäläinen, Cumulated Gain-Based Evaluation of IR Techniques, 2002, with gains as judged (not 2^gain - 1),
as trec_eval's ndcg_cut does. Intervals: percentiles of 2,000 resamples of the queries (Sakai, SIGIR 2006).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

DEPTH = 10
RESAMPLES = 2_000
_SEED = 20240401


@dataclass(frozen=True)
class Measured:
    """A measure's mean over queries, with its 95 % interval."""

    mean: float
    low: float
    high: float


def ndcg(ranking: Sequence[str], gains: Mapping[str, float], depth: int = DEPTH) -> float:
    """Normalised discounted cumulated gain of the first `depth`; `gains` names what is relevant, and how much."""
    found = sum(gains.get(name, 0.0) / math.log2(place + 2) for place, name in enumerate(ranking[:depth]))
    best = sum(gain / math.log2(place + 2) for place, gain in enumerate(sorted(gains.values(), reverse=True)[:depth]))
    return found / best if best else 0.0


def recall(ranking: Sequence[str], gains: Mapping[str, float], depth: int = DEPTH) -> float:
    """Share of what is relevant that is among the first `depth`."""
    relevant = {name for name, gain in gains.items() if gain > 0}
    return len(relevant & set(ranking[:depth])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranking: Sequence[str], gains: Mapping[str, float], depth: int = DEPTH) -> float:
    """1 / the place of the first that is relevant, among the first `depth`; 0 without one."""
    return next((1 / place for place, name in enumerate(ranking[:depth], start=1) if gains.get(name, 0) > 0), 0.0)


MEASURES = {"ndcg_at_10": ndcg, "recall_at_10": recall, "mrr_at_10": reciprocal_rank}


def measure(
    rankings: Mapping[str, Sequence[str]], judgements: Mapping[str, Mapping[str, float]]
) -> dict[str, Measured]:
    """Return each of MEASURES over the queries that have something relevant; a query without a ranking counts as 0."""
    judged = sorted(query for query, gains in judgements.items() if any(gain > 0 for gain in gains.values()))
    if not judged:
        raise ValueError("No query has anything relevant: the judgements name none, or not the queries' identifiers.")
    draws = np.random.default_rng(_SEED).integers(0, len(judged), (RESAMPLES, len(judged)))
    measured = {}
    for name, of in MEASURES.items():
        values = np.array([of(rankings.get(query, ()), judgements[query]) for query in judged])
        low, high = np.percentile(values[draws].mean(axis=1), (2.5, 97.5))
        measured[name] = Measured(float(values.mean()), float(low), float(high))
    return measured
