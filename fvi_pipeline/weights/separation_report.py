"""The test of the dynamic weights as a table and in words, and its page in docs. The figures come from `separation`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fvi_pipeline.weights.pictures import separation_picture
from fvi_pipeline.weights.separation import (
    BASE,
    CHOSEN_UNTIL_YEAR,
    COMPARED,
    DYNAMIC,
    EQUAL,
    GAIN_ALONE,
    WEIGHTINGS,
    Separated,
)

PAGE, PICTURE = "index_separation.md", "pictures/index_separation.png"
_TEMPLATE = Path(__file__).with_name("separation_page.md")


def separation_table(measured: Sequence[Separated]) -> str:
    """AUC by year and over years for every weighting, and the differences with their 95% intervals, as Markdown."""
    header = ["as-of years", "mines", *WEIGHTINGS, *(f"{weighting} less {rival}" for weighting, rival in COMPARED)]
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for span in _spans(measured):
        of_span = {(each.weighting, each.compared_with): each for each in measured if _span(each) == span}
        cells = [_years(span), f"{of_span[DYNAMIC, ''].rows:,}"]
        cells += [f"{of_span[weighting, ''].auc:.4f}" for weighting in WEIGHTINGS]
        cells += [_difference(of_span[pair]) for pair in COMPARED]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def verdict(measured: Sequence[Separated]) -> str:
    """What the years after those that the settings were chosen on say, in a few sentences; the same when it is not what
    one hoped for.
    """
    later = [each for each in measured if each.first_year > CHOSEN_UNTIL_YEAR and each.last_year > each.first_year]
    judged = later or [each for each in measured if each.last_year > each.first_year] or list(measured)
    span = _span(judged[-1])
    found = {(each.weighting, each.compared_with): each for each in judged if _span(each) == span}
    sentences = [_sentence(found[pair], _years(span)) for pair in COMPARED]
    years = {_span(each) for each in measured if each.first_year == each.last_year}
    for rival in (EQUAL, BASE):
        pair = [e for e in measured if (e.weighting, e.compared_with) == (DYNAMIC, rival) and _span(e) in years]
        sentences.append(
            f"Year by year it is above {rival} weights in {sum(each.auc > 0 for each in pair)} of {len(pair)} years, "
            f"beyond the noise in {sum(each.low > 0 for each in pair)}, and below beyond the noise in "
            f"{sum(each.high < 0 for each in pair)}."
        )
    return " ".join(sentences)


def write_docs(measured: Sequence[Separated], source: str, folder: Path) -> list[Path]:
    """Write the page and its picture; returns both.

    Args:
        measured: year by year and over years.
        source: which files it was measured on, in words.
        folder: of the documents.
    """
    page, picture = folder / PAGE, folder / PICTURE
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_bytes(separation_picture(measured))
    page.write_text(
        _TEMPLATE.read_text(encoding="utf-8").format(
            source=source,
            chosen_until_year=CHOSEN_UNTIL_YEAR,
            verdict=verdict(measured),
            picture=PICTURE,
            table=separation_table(measured),
            gain_alone=GAIN_ALONE,
        ),
        encoding="utf-8",
    )
    return [page, picture]


def _sentence(each: Separated, years: str) -> str:
    if each.low > 0:
        judgement = "above"
    elif each.high < 0:
        judgement = "below"
    else:
        judgement = "not to be told from"
    name = (
        "The gains alone are"
        if each.weighting == GAIN_ALONE
        else f"On as-of years {years} the index with {each.weighting} weights is"
    )
    return f"{name} {judgement} that with {each.compared_with} weights (AUC {_difference(each)})."


def _spans(measured: Sequence[Separated]) -> list[tuple[int, int]]:
    found = {_span(each) for each in measured}
    return sorted(found, key=lambda span: (span[1] > span[0], span))


def _span(each: Separated) -> tuple[int, int]:
    return each.first_year, each.last_year


def _years(span: tuple[int, int]) -> str:
    return str(span[0]) if span[0] == span[1] else f"{span[0]} to {span[1]}"


def _difference(each: Separated) -> str:
    return f"{each.auc:+.4f} [{each.low:+.4f}, {each.high:+.4f}]"
