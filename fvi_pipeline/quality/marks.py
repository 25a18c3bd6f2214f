"""The marks of a metric, and which of them are too low. No storing here, and no measuring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

DIMENSIONS = ("completeness", "validity", "consistency", "freshness")


@dataclass(frozen=True)
class MetricMarks:
    """One row of `mart.vw_metric_dq`: the marks are 0-1, the score is 0-100; None when no loaded file should state
    the metric. `rows` counts the mines that should have a value.
    """

    metric: str
    rows: int
    completeness: float | None
    freshness: float | None
    validity: float | None
    consistency: float | None
    quality: float | None
    usual_completeness: float
    score: float | None
    weakest: str | None

    def mark(self, dimension: str) -> float | None:
        """The mark of a dimension as the score counts it: completeness as a part of the usual one."""
        if dimension == "completeness":
            return None if self.completeness is None else min(1.0, self.completeness / self.usual_completeness)
        value: float | None = getattr(self, dimension)
        return value


COLUMNS = tuple(field.name for field in fields(MetricMarks))


@dataclass(frozen=True)
class Trouble:
    """What landing has against a file: with one of its columns, or (column None) with the whole of it."""

    text: str
    column: str | None = None


@dataclass(frozen=True)
class FileInForce:
    """The newest loaded file of a feed and what was wrong in it, as landing has it."""

    feed: str
    name: str
    known_since: str
    troubles: tuple[Trouble, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A metric below the floor: the dimensions that fail, worst first, and why in words."""

    metric: str
    score: float
    dimensions: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        return f"{self.metric} has {self.score:.0f} of 100 in {' and '.join(self.dimensions)}: {self.why}"


def findings(
    marks: Iterable[MetricMarks],
    floor: float,
    landing: Mapping[str, Sequence[str]],
    files: Mapping[str, FileInForce],
) -> list[Finding]:
    """The metrics whose score is below `floor` (0-100), lowest first.

    Args:
        marks: the marks of a night.
        floor: the least score with which the night goes on; 0 lets everything pass.
        landing: for each metric the publishers' columns that it is made of, as `feed.column`.
        files: the file in force of each feed that has one.
    """
    low = [mark for mark in marks if mark.score is not None and mark.score < floor]
    return [_finding(mark, floor, landing.get(mark.metric, ()), files) for mark in sorted(low, key=_by_score)]


def _by_score(mark: MetricMarks) -> tuple[float, str]:
    return mark.score or 0.0, mark.metric


def _finding(mark: MetricMarks, floor: float, landing: Sequence[str], files: Mapping[str, FileInForce]) -> Finding:
    dimensions = _failing(mark, floor)
    feeds = list(dict.fromkeys(column.split(".")[0] for column in landing))
    sources = [files[feed] for feed in feeds if feed in files]
    reasons = [_words(mark, dimension) for dimension in dimensions]
    why = f"{'; '.join(reasons)}. It is made of {', '.join(landing)}."
    for file in sources:
        why += f" The newest file of {file.feed} is {file.name}, known since {file.known_since}"
        troubles = [
            trouble.text
            for trouble in file.troubles
            if trouble.column is None or f"{file.feed}.{trouble.column}" in landing
        ]
        why += f": {'; '.join(troubles)}." if troubles else "."
    return Finding(mark.metric, mark.score or 0.0, dimensions, why)


def _failing(mark: MetricMarks, floor: float) -> tuple[str, ...]:
    """What is below the floor; where nothing is stated, or nothing of it valid, the rest says nothing more."""
    for total in ("completeness", "validity"):
        if mark.mark(total) == 0:
            return (total,)
    below = [name for name in DIMENSIONS if (mark.mark(name) or 0.0) * 100 < floor]
    # the mean of the four may be low although none of them is
    return tuple(sorted(below, key=lambda name: mark.mark(name) or 0.0)) or (mark.weakest or DIMENSIONS[0],)


def _words(mark: MetricMarks, dimension: str) -> str:
    if dimension == "completeness":
        stated = mark.completeness or 0.0
        return (
            f"{stated:.0%} of the {mark.rows:,} mines that should have a value have one, {mark.usual_completeness:.0%} "
            "is usual"
        )
    if dimension == "validity":
        return f"{mark.validity or 0.0:.0%} of the values that the publishers state can be true"
    if dimension == "consistency":
        return f"{mark.consistency or 0.0:.0%} of the values agree with the mine's other facts"
    return (
        f"freshness is {mark.freshness or 0.0:.2f}, less by a twentieth for each year, after the first, that its "
        "values are older than the newest fact of the index"
    )
