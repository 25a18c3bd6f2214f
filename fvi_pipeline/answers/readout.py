"""Variants of answering beside each other, from ops.answers and ops.feedback, each figure with its uncertainty.

Who gets which variant is in `variants`. A conversation is the unit that is drawn, for its answers are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

DRAWS = 2_000
CONFIDENCE = 0.9
LEAST_CONVERSATIONS = 10
"""Of fewer no interval is given: their draws say less than they seem to."""
_ANSWERS = """
select a.variant, coalesce(a.conversation_id, a.answer_id::text) as unit, a.claims, a.supported,
       a.status = 'declined' as declined, a.milliseconds, coalesce(a.cost_microdollars, 0) as cost,
       count(f.feedback_id) filter (where f.verdict = 'agree') as agreed,
       count(f.feedback_id) filter (where f.verdict in ('agree', 'disagree')) as judged
from ops.answers as a left join ops.feedback as f on f.request_id = a.answer_id
where a.answered_at >= now() - make_interval(days => %s)
group by a.answer_id
"""
# measure: (numerator, denominator) as columns of _Table
_MEASURES: dict[str, tuple[str, str]] = {
    "supported_share": ("supported", "claims"),
    "declined_share": ("declined", "answers"),
    "agreed_share": ("agreed", "judged"),
    "mean_milliseconds": ("milliseconds", "answers"),
    "mean_cost_microdollars": ("cost", "answers"),
}


@dataclass(frozen=True)
class Figure:
    """A measure of a variant, or of the difference to the first one, with its interval."""

    variant: str
    measure: str
    value: float
    low: float
    high: float
    answers: int
    conversations: int


def readout(connection: psycopg.Connection[Any], days: int = 30, seed: int = 20240401) -> list[Figure]:
    """Each variant's measures, and `B - A` for every other variant against the first, with 90% intervals.

    Intervals are of draws of whole conversations with replacement, 2,000 of them.
    """
    found: dict[str, dict[str, list[tuple[float, ...]]]] = {}
    for variant, unit, claims, supported, declined, milliseconds, cost, agreed, judged in connection.execute(
        _ANSWERS, [days]
    ):
        row = (1.0, claims, supported, float(declined), milliseconds, float(cost), agreed, judged)
        found.setdefault(variant, {}).setdefault(unit, []).append(row)
    random = np.random.default_rng(seed)
    drawn: dict[str, dict[str, tuple[float, NDArray[np.float64]]]] = {}
    figures = []
    for variant in sorted(found):
        sums = np.array([np.sum(rows, axis=0) for rows in found[variant].values()], dtype=np.float64)
        drawn[variant] = _drawn(sums, random)
        for measure, (value, draws) in drawn[variant].items():
            figures.append(_figure(variant, measure, value, draws, int(sums[:, 0].sum()), len(sums)))
    first, *others = sorted(drawn) or [""]
    for other in others:
        for measure in drawn[other].keys() & drawn[first].keys():
            value = drawn[other][measure][0] - drawn[first][measure][0]
            draws = drawn[other][measure][1] - drawn[first][measure][1]
            units = len(found[other]) + len(found[first])
            answers = sum(len(rows) for name in (other, first) for rows in found[name].values())
            figures.append(_figure(f"{other} - {first}", measure, value, draws, answers, units))
    return sorted(figures, key=lambda figure: (figure.measure, figure.variant))


_COLUMNS = ("answers", "claims", "supported", "declined", "milliseconds", "cost", "agreed", "judged")


def _drawn(sums: NDArray[np.float64], random: np.random.Generator) -> dict[str, tuple[float, NDArray[np.float64]]]:
    """By measure, its value and its draws; [units, columns] are the sums of each conversation."""
    picks = random.integers(0, len(sums), size=(DRAWS, len(sums)))
    totals, sampled = sums.sum(axis=0), sums[picks].sum(axis=1)
    found = {}
    for measure, (top, bottom) in _MEASURES.items():
        numerator, denominator = _COLUMNS.index(top), _COLUMNS.index(bottom)
        if totals[denominator] == 0:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            draws = sampled[:, numerator] / sampled[:, denominator]
        found[measure] = (float(totals[numerator] / totals[denominator]), draws[np.isfinite(draws)])
        if len(found[measure][1]) < DRAWS:  # draws that judged nothing say nothing: pad, so that differences pair up
            kept = found[measure][1]
            found[measure] = (found[measure][0], np.resize(kept, DRAWS) if len(kept) else np.full(DRAWS, np.nan))
    return found


def _figure(variant: str, measure: str, value: float, draws: NDArray[np.float64], answers: int, units: int) -> Figure:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nan, np.nan
    if units >= LEAST_CONVERSATIONS and not np.isnan(draws).all():
        low, high = (float(x) for x in np.nanquantile(draws, [tail, 1 - tail]))
    return Figure(variant, measure, value, low, high, answers, units)


def _interval(figure: Figure) -> str:
    return "too few" if np.isnan(figure.low) else f"{figure.low:.3f} to {figure.high:.3f}"


def table(figures: Sequence[Figure]) -> str:
    """The figures as Markdown."""
    lines = ["| measure | variant | value | 90% interval | answers | conversations |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {f.measure} | {f.variant} | {f.value:.3f} | {_interval(f)} | {f.answers:,} | {f.conversations:,} |"
        for f in figures
    ]
    return "\n".join(lines)
