"""docs/feature_catalogue.md: the features for people who read, category by category.

What a feature is follows from the dbt project's description; how its values are follows from a warehouse. So the
document keeps its figures when only descriptions have changed, and whether the descriptions are still true can be
checked where there is no warehouse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, get_args

from fvi_pipeline.features.catalogue import Category
from fvi_pipeline.monitoring.catalogue_rows import CatalogueRow

CATEGORIES: tuple[str, ...] = get_args(Category)
PATH = "docs/feature_catalogue.md"
COMMAND = f"fvi catalogue --markdown {PATH}"
NOT_MEASURED = "No figures yet."
_NOTE = (
    "<!-- Generated from dbt_project/models/gold/gold_mine_features.yml and mart.feature_catalogue: change the "
    f"description, then `make generate`; new figures: `{COMMAND}`. -->"
)
_INTRODUCTION = """\
{count} features in {categories} categories. All are columns of `gold.gold_mine_features`; in a row of year `t` nothing
counts that became known later than its `created_timestamp`. A feature that cannot be computed is null, never zero.
`fvi trace MINE YEAR FEATURE` leads from a value to the cells of the publishers' files; `fvi catalogue` and the view
`mart.feature_catalogue` show what stands here as it is now, and the order in which a model reads the features.

Null to deviation are over the latest vintages of all mines and years. *Tells of viability*: mutual information with
viability three years later, as a part of all there is to know (0 to 1), on training rows as known then. *PSI* and
*KS*: population stability index and Kolmogorov-Smirnov statistic of the newest cohort against the training data;
*moved*: the index is 0.1 (moderate) or 0.25 (large) or more, and more than chance and an ordinary year give. What all
mines of a year share, such as a price, has no index and is judged by the training years. *Model*: the champion reads
an `input`, a `candidate` waits for the next training. How drift is judged is told in [monitoring](monitoring.md).
"""
_FIGURES_HEAD = (
    "| feature | null | least | mean | largest | deviation | tells of viability | PSI | KS | moved | model |",
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|---|",
)
_DESCRIPTIONS_HEAD = ("| feature | what it says | unit | null means | computed from |", "|---|---|---|---|---|")
_MEASURED = "**Figures.** "
_SOURCE = re.compile(r"(?P<column>\w+\.\w+)(?:\[(?P<period>[^;\]]+)(?:;\s*(?P<scope>[^\]]+))?\])?")
_WHOLE_FROM = 1000


class Described(Protocol):
    """What the document needs to know of a feature: a row of the catalogue or a column of the description has it."""

    @property
    def description(self) -> str:
        """What it says."""

    @property
    def unit(self) -> str:
        """Unit of its values."""

    @property
    def null_means(self) -> str:
        """What it means when there is no value."""

    @property
    def sources(self) -> Sequence[str]:
        """The values that it is computed from."""


@dataclass(frozen=True)
class Figures:
    """The measured part: of what it was measured, and a line of the table for each feature."""

    measured: str = NOT_MEASURED
    lines: Mapping[str, str] = field(default_factory=dict)


def feature_page(features: Mapping[str, Mapping[str, Described]], figures: Figures) -> str:
    """The document.

    Args:
        features: for each category, in order, its features by name.
        figures: what was measured; a feature without a line is shown as not measured.
    """
    count = sum(len(of_category) for of_category in features.values())
    lines = [_NOTE, "# Features", "", _INTRODUCTION.format(count=count, categories=len(features))]
    lines += [_MEASURED + figures.measured, ""]
    for category, of_category in features.items():
        lines += [f"## {category} ({len(of_category)})", "", *_DESCRIPTIONS_HEAD]
        lines += [_description(name, feature) for name, feature in of_category.items()]
        lines += ["", *_FIGURES_HEAD]
        lines += [figures.lines.get(name) or _line(name, "not measured") for name in of_category]
        lines.append("")
    return "\n".join(lines)


def by_category(features: Iterable[tuple[str, str, Described]]) -> dict[str, dict[str, Described]]:
    """(Name, category, feature) by category, the categories in their usual order."""
    found: dict[str, dict[str, Described]] = {category: {} for category in CATEGORIES}
    for name, category, feature in features:
        found[category][name] = feature
    return {category: of_category for category, of_category in found.items() if of_category}


def figures_from_rows(rows: Iterable[CatalogueRow], data: str) -> Figures:
    """The figures of a warehouse; `data` says what was measured."""
    listed = list(rows)
    return Figures(data, {row.feature: _figures(row) for row in listed})


def figures_from_page(page: str) -> Figures:
    """The figures that a document shows, so that new descriptions need no new measurement."""
    measured, lines, in_figures = NOT_MEASURED, {}, False
    for line in page.splitlines():
        if line.startswith(_MEASURED):
            measured = line.removeprefix(_MEASURED)
        in_figures = line in _FIGURES_HEAD or (in_figures and line.startswith("| `"))
        if in_figures and (found := re.match(r"\| `(\w+)` \|", line)):
            lines[found[1]] = line
    return Figures(measured, lines)


def readable_source(source: str) -> str:
    """A source (MODEL.COLUMN[PERIOD; SCOPE]) in words."""
    found = _SOURCE.fullmatch(source.strip())
    if found is None:
        return f"`{source}`"
    period = found["period"]
    words = [f"`{found['column']}`"]
    if period:
        first, dots, last = (part.strip() for part in period.partition(".."))
        words.append(first if not dots else f"{first} to {last}" if first else f"every year to {last}")
    if found["scope"]:
        words.append(found["scope"].replace(" with same ", " with the same ").replace("; ", ", "))
    return ", ".join(words)


def _description(name: str, feature: Described) -> str:
    sources = "<br>".join(readable_source(source) for source in feature.sources)
    return _line(name, feature.description, feature.unit, feature.null_means, sources)


def _figures(row: CatalogueRow) -> str:
    return _line(
        row.feature,
        "" if row.null_rate is None else f"{100 * row.null_rate:.1f} %",
        *(figure(value) for value in (row.minimum, row.mean, row.maximum, row.standard_deviation)),
        *("" if value is None else f"{value:.3f}" for value in (row.information_gain, row.drift_psi, row.drift_ks)),
        row.drift_level or "",
        row.model_role,
    )


def figure(value: float | None) -> str:
    """A value with as many digits as tell something; nothing when there is none."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= _WHOLE_FROM else f"{value:.4g}"


def _line(name: str, *cells: str) -> str:
    return f"| {' | '.join([f'`{name}`', *(_cell(cell) for cell in cells)])} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
