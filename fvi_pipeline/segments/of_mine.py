"""One mine's segment and why: what speaks for it and against it beside the next one. Printing belongs to `cli`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from fvi_pipeline.segments import store
from fvi_pipeline.segments.errors import SegmentsError
from fvi_pipeline.segments.fit import assign, model_from_dict
from fvi_pipeline.segments.scaling import raw_values


@dataclass(frozen=True)
class Reason:
    """A feature of the mine, its value (None: missing, so it counts as the cohort's median), the middle of the segment
    and of the next one, and how much it speaks for the segment (below 0: for the next one).

    All reasons of a mine add up to the difference of the squared distances to the two centres.
    """

    feature: str
    unit: str
    value: float | None
    of_segment: float | None
    of_next: float | None
    speaks_for: float


@dataclass(frozen=True)
class MineSegment:
    """The newest segment of a mine: its row in the marts, the mine's name, the reasons (the strongest first), and the
    name of the segment that it would have been in a year before by the same centres, None if it was not in the panel.
    """

    row: Mapping[str, Any]
    mine_name: str | None
    reasons: tuple[Reason, ...]
    a_year_before: str | None


def segment_of_mine(connection: psycopg.Connection, mine_id: str) -> MineSegment:
    """The segment of a mine, explained.

    Raises:
        SegmentsError: there are no segments yet, or the mine was never in a cohort that has some.
    """
    newest = store.newest_fit(connection)
    row = store.row_of_mine(connection, mine_id)
    if row is None or row["segment"] is None:
        since = f" of {row['as_of_year']} any more" if row else f" of {newest['as_of_year']}"
        raise SegmentsError(
            f"{mine_id} has no segment: it is not in the cohort{since}. Mines that produced and were Active in that "
            "year have one; `fvi segments` shows examples."
        )
    name = store.mine_names(connection, [mine_id]).get(mine_id)
    if row["fit_id"] != newest["fit_id"]:
        return MineSegment(row, name, (), None)  # of an earlier cohort, whose centres are not in force any more
    profiles = {profile["segment"]: profile for profile in store.newest_profiles(connection)}
    return MineSegment(
        row, name, _reasons(connection, newest, row, profiles), _a_year_before(connection, newest, row, profiles)
    )


def _a_year_before(
    connection: psycopg.Connection,
    newest: Mapping[str, Any],
    row: Mapping[str, Any],
    profiles: Mapping[int, Mapping[str, Any]],
) -> str | None:
    scaling, centres = model_from_dict(newest["model"])
    before = store.features_of_mine(connection, row["mine_id"], row["as_of_year"] - 1, scaling.features)
    if before.is_empty():
        return None
    return str(profiles[assign(before, scaling, centres)["segment"][0]]["segment_name"])


def _reasons(
    connection: psycopg.Connection,
    newest: Mapping[str, Any],
    row: Mapping[str, Any],
    profiles: Mapping[int, Mapping[str, Any]],
) -> tuple[Reason, ...]:
    scaling, centres = model_from_dict(newest["model"])
    values = store.features_of_mine(connection, row["mine_id"], row["as_of_year"], scaling.features)
    if values.is_empty():
        return ()
    own, other = centres[row["segment"] - 1], centres[row["next_segment"] - 1]
    scaled = scaling.apply(values)[0]
    speaks_for = (scaled - other) ** 2 - (scaled - own) ** 2
    of_own, of_other = (
        {trait["feature"]: trait for trait in profiles[row[side]]["traits"]} for side in ("segment", "next_segment")
    )
    found = [
        Reason(
            feature=feature,
            unit=of_own[feature]["unit"],
            value=None if value != value else float(value),
            of_segment=of_own[feature]["of_segment"],
            of_next=of_other[feature]["of_segment"],
            speaks_for=float(weight),
        )
        for feature, value, weight in zip(
            scaling.features, raw_values(values, scaling.features)[0], speaks_for, strict=True
        )
    ]
    return tuple(sorted(found, key=lambda reason: -abs(reason.speaks_for)))
