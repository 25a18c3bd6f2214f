"""From facts to Markdown and HTML. What stands on the card is in `card.md.j2`; how a number is written is here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fvi_pipeline.model.card.facts import CardFacts
from fvi_pipeline.model.card.fairness import LEAST_CASES, RegionFairness
from fvi_pipeline.model.card.groups import GROUPINGS, NOT_PUBLISHED
from fvi_pipeline.model.card.measures import CONFIDENCE, LEAST_ROWS, OTHER, Estimate
from fvi_pipeline.model.card.summary import NO_SUMMARY, Summary

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATE = "card.md.j2"
_NOTHING = "–"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; margin: 1rem 0 }} td, th {{ border: 1px solid #ccc; padding: .2rem .5rem }}
blockquote {{ border-left: 4px solid #bf8700; margin-left: 0; padding-left: 1rem }}
</style></head><body>
{body}</body></html>
"""


def as_markdown(facts: CardFacts, summary: Summary = NO_SUMMARY) -> str:
    """The card."""
    measured = facts.measurements
    differences = [each for row in measured.fairness for each in row.differences] if measured else []
    text = (
        _environment()
        .get_template(_TEMPLATE)
        .render(
            facts=facts,
            summary=summary,
            standing=_standing(facts),
            groupings=GROUPINGS,
            confidence=CONFIDENCE,
            least_rows=LEAST_ROWS,
            least_cases=LEAST_CASES,
            differences={
                "measured": len(differences),
                "beyond_noise": sum(each.excludes_zero for each in differences),
                "by_chance": len(differences) * (1 - CONFIDENCE),
            },
            fairness_sentences=[
                sentence for row in (measured.fairness if measured else []) for sentence in _clear(row)
            ],
        )
    )
    return text.strip() + "\n"


def as_html(markdown: str, title: str) -> str:
    """The card as a page of its own; HTML inside the text is shown and not obeyed."""
    from html import escape

    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    return _PAGE.format(title=escape(title), body=body)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Markdown, not HTML: `cell` keeps texts from breaking a table, and `as_html` lets no HTML through
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        keep_trailing_newline=True,
    )
    made.filters |= {
        "whole": lambda value: f"{value:,.0f}",
        "tenth": lambda value: f"{value:.1f}",
        "share": lambda value: _number(value, 3),
        "score": lambda value: _number(value, 4),
        "figure": lambda value: f"{value:.5g}",
        "percent": lambda value, decimals=0: f"{100 * value:.{decimals}f} %",
        "cell": _cell,
        "estimate": _estimate,
        "coverage": _coverage,
    }
    return made


def _number(value: Any, decimals: int) -> str:
    # a horizon with one outcome only has no AUC
    return f"{value:.{decimals}f}" if isinstance(value, int | float) else _NOTHING


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _estimate(estimate: Estimate | None, decimals: int = 3, *, signed: bool = False) -> str:
    if estimate is None:
        return _NOTHING
    form = f"{'+' if signed else ''}.{decimals}f"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:{form}}"
    return f"{estimate.value:{form}} ({estimate.low:{form}} to {estimate.high:{form}})"


def _coverage(metrics: Mapping[str, float]) -> dict[str, float]:
    return {
        name.removeprefix("interval_").replace("_h", ", horizon ").replace("_", " "): value
        for name, value in sorted(metrics.items())
        if name.startswith("interval_coverage")
    }


def _standing(facts: CardFacts) -> str:
    if facts.is_champion:
        return "it is the champion, and its scores are served."
    reigning = f"version {facts.champion_version} is" if facts.champion_version else "there is no champion"
    tail = f"{reigning} the champion." if facts.champion_version else f"{reigning}."
    if not facts.ledger:
        return f"no decision on it yet; {tail}"
    last = facts.ledger[-1]
    told = {"refused": "the gate refused it", "promoted": "it was the champion", "rolled_back": "it was the champion"}
    return f"{told.get(last.decision, last.decision)}; {tail}"


def _clear(row: RegionFairness) -> list[str]:
    """What is told of a region in words: the differences that the noise does not explain."""
    if row.region == OTHER:
        return []  # several that have too few rows: what is said of them is said of none
    region = "Mines without a region" if row.region == NOT_PUBLISHED else row.region
    found = [
        _beside_elsewhere(row.calibration_difference, "measured against what came, scores are {}", "higher", "lower"),
        _beside_elsewhere(row.false_alarm_difference, "false alarms are {} frequent", "more", "less"),
        _beside_elsewhere(row.miss_difference, "misses are {} frequent", "more", "less"),
    ]
    said = [part for part in found if part]
    years = "1 year" if row.horizon_years == 1 else f"{row.horizon_years} years"
    return [f"{region}, {years}: {'; '.join(said)}."] if said else []


def _beside_elsewhere(difference: Estimate | None, what: str, above: str, below: str) -> str:
    if difference is None or not difference.excludes_zero:
        return ""
    return f"{what.format(above if difference.value > 0 else below)} than elsewhere, by {_points(difference)}"


def _points(estimate: Estimate) -> str:
    return f"{100 * abs(estimate.value):.1f} points"
