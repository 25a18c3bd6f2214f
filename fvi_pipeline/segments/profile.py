"""What each segment is like: its traits beside the whole cohort, its places and examples, in figures and in words.

The name that follows from the traits is made in `naming`; what became of past mines of the kind in `past`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from fvi_pipeline.features.catalogue import FeatureColumn
from fvi_pipeline.features.wording import number
from fvi_pipeline.segments.fit import KEY, SegmentFit
from fvi_pipeline.segments.naming import FLAG_UNIT, segment_names

_TOLD_TRAITS = 6
_LEAST_TELLING = 0.1
_EXAMPLES = 5
_PLACES = 3


@dataclass(frozen=True)
class Trait:
    """A feature in a segment and in the whole cohort: medians, or for a flag the parts of the mines that have it.

    `more` is the part of the pairs of a mine in the segment and one outside it of which the first has more (equals
    count half): 0.5 says nothing, 0 and 1 set the segment apart. None: the cohort is the segment.
    """

    feature: str
    unit: str
    of_segment: float | None
    of_cohort: float | None
    more: float | None

    @property
    def telling(self) -> float:
        """How far it sets the segment apart, 0 to 0.5."""
        return 0.0 if self.more is None else abs(self.more - 0.5)

    @property
    def in_words(self) -> str:
        """`production: 3.72 million short tons (all mines: 171,380)`."""
        return (
            f"{label(self.feature, self.unit)}: {shown(self.of_segment, self.unit)} "
            f"(all mines: {shown(self.of_cohort, self.unit, with_unit=False)})"
        )


@dataclass(frozen=True)
class SegmentProfile:
    """A segment: its number and name, how many mines of the cohort it has, its traits (the most telling first), its
    largest states and mine types with their counts, and the mines nearest to its centre.
    """

    segment: int
    name: str
    mines: int
    share: float
    traits: tuple[Trait, ...]
    states: dict[str, int]
    mine_types: dict[str, int]
    examples: tuple[str, ...]
    silhouette: float

    @property
    def in_words(self) -> str:
        """What sets it apart, the most telling traits first."""
        told = [trait.in_words for trait in self.traits[:_TOLD_TRAITS] if trait.telling >= _LEAST_TELLING]
        return "; ".join(told) or "nothing sets it apart from the other mines"


def profile_segments(
    fit: SegmentFit, cohort: pl.DataFrame, columns: Mapping[str, FeatureColumn]
) -> tuple[SegmentProfile, ...]:
    """The profile of each segment, by number.

    Args:
        fit: the segments of the cohort.
        cohort: its rows with the features, mine_state and mine_type.
        columns: the features as the catalogue describes them.
    """
    placed = fit.mines.join(cohort, on=KEY, how="left", validate="1:1", maintain_order="left")
    parts = {segment: part for (segment,), part in placed.group_by("segment", maintain_order=True)}
    traits = {
        segment: _traits(fit.features, placed, placed["segment"].eq(segment), columns) for segment in sorted(parts)
    }
    names = segment_names({segment: {each.feature: each for each in found} for segment, found in traits.items()})
    return tuple(
        SegmentProfile(
            segment=segment,
            name=names[segment],
            mines=parts[segment].height,
            share=parts[segment].height / placed.height,
            traits=traits[segment],
            states=_counts(parts[segment]["mine_state"]),
            mine_types=_counts(parts[segment]["mine_type"]),
            examples=tuple(parts[segment].sort("distance", KEY)[KEY].head(_EXAMPLES)),
            silhouette=float(np.mean(parts[segment]["silhouette"].to_numpy())),
        )
        for segment in sorted(parts)
    )


def label(feature: str, unit: str) -> str:
    """A feature's name as words, without the unit that stands behind its value."""
    words = feature.removeprefix("is_").removeprefix("has_") if unit == FLAG_UNIT else feature
    tail = "_" + unit.replace(" ", "_")
    return words.removesuffix(tail).replace("_", " ")


def shown(value: float | None, unit: str, *, with_unit: bool = True) -> str:
    """A value for people: parts and flags in percent, other numbers with their unit."""
    if value is None:
        return "not known"
    if unit in (FLAG_UNIT, "ratio"):
        return f"{value:.0%}"
    text = number(value)
    if unit == "count" or not with_unit:
        return text
    return f"{text} {unit.removesuffix('s') if text == '1' else unit}"


def _traits(
    features: Sequence[str], placed: pl.DataFrame, is_inside: pl.Series, columns: Mapping[str, FeatureColumn]
) -> tuple[Trait, ...]:
    found = [_trait(placed[name], is_inside, columns[name].unit) for name in features]
    return tuple(sorted(found, key=lambda trait: -trait.telling))  # of equals the first of the catalogue


def _trait(values: pl.Series, is_inside: pl.Series, unit: str) -> Trait:
    known = values.cast(pl.Float64).fill_nan(None)
    inside = known.filter(is_inside)
    return Trait(
        feature=values.name,
        unit=unit,
        of_segment=_middle(inside, unit),
        of_cohort=_middle(known, unit),
        more=_more(inside.drop_nulls(), known.filter(~is_inside).drop_nulls()),
    )


def _middle(values: pl.Series, unit: str) -> float | None:
    middle = values.mean() if unit == FLAG_UNIT else values.median()
    return float(middle) if isinstance(middle, int | float) else None


def _more(inside: pl.Series, outside: pl.Series) -> float | None:
    if inside.is_empty() or outside.is_empty():
        return None
    ranks = pl.concat([inside, outside]).rank("average")
    above = float(ranks.head(inside.len()).sum()) - inside.len() * (inside.len() + 1) / 2
    return above / (inside.len() * outside.len())


def _counts(values: pl.Series) -> dict[str, int]:
    counted: dict[str, int] = {}
    for value in values.drop_nulls():
        counted[str(value)] = counted.get(str(value), 0) + 1
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:_PLACES])
