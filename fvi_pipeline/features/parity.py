"""Parity: whether the online store holds exactly the newest rows of gold, for every mine and every feature.

Values are compared bit by bit: 0.0 and -0.0, null and NaN, 1 and 1.0 are different. Both sides are read anew and online
bytes are decoded, so the check shares nothing with the writer but the format. When it runs belongs to `defs.parity`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.features import online_format
from fvi_pipeline.features.online_views import (
    OnlineView,
    fields_of,
    keys_online,
    newest_in_gold,
    online_client,
    online_views,
)

if TYPE_CHECKING:
    from feast import FeatureStore

    from fvi_pipeline.features.copy_columns import Column

WHOLE_ROW = "(the whole row)"
FIRST = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Difference:
    """One value that is not the same, both sides as text."""

    view: str
    feature: str
    mine_id: str
    online: str
    offline: str

    def __str__(self) -> str:
        return f"{self.view}:{self.feature} of {self.mine_id} is {self.online} online, {self.offline} offline"


@dataclass
class ParityReport:
    """What was compared, how many values of each feature differ, and the first of them."""

    mines: Counter[str] = field(default_factory=Counter)
    values: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: list[Difference] = field(default_factory=list)

    @property
    def different(self) -> int:
        """How many values differ; a row that only one side has counts once."""
        return self.counts.total()

    def add(self, difference: Difference) -> None:
        """Note a difference."""
        self.counts[difference.view, difference.feature] += 1
        if len(self.first) < FIRST:
            self.first.append(difference)

    def markdown(self) -> str:
        """Tables of the features that differ and of the first differences; empty when nothing differs."""
        if not self.counts:
            return ""
        counts = [f"| {view}:{name} | {count:,} |" for (view, name), count in self.counts.most_common()]
        first = [f"| {d.view}:{d.feature} | {d.mine_id} | {d.online} | {d.offline} |" for d in self.first]
        return "\n".join(
            (
                *("| feature | mines that differ |", "|---|---:|", *counts, ""),
                *("| feature | mine | online | offline |", "|---|---|---|---|", *first),
            )
        )


def compare(store: FeatureStore, views: Sequence[str] | None = None) -> ParityReport:
    """Compare all mines of the views that are served (or of those that are named).

    Memory holds some thousand mines at a time, and the keys of all.
    """
    client = online_client(store)
    report = ParityReport()
    for view in online_views(store, views):
        offline: set[bytes] = set()
        for mine_ids, columns in newest_in_gold(store, view):
            keys = view.keys(mine_ids)
            offline.update(keys)
            _compare_rows(report, view, columns, mine_ids, fields_of(client, keys, [view.time_field, *view.fields]))
        report.mines[view.name] = len(offline)
        for found in keys_online(client, view):
            for key in found:
                if key not in offline:
                    report.add(Difference(view.name, WHOLE_ROW, view.mine_of(key), "there", "not there"))
    return report


def _compare_rows(
    report: ParityReport,
    view: OnlineView,
    columns: dict[str, Column],
    mine_ids: Sequence[bytes],
    online: Sequence[Sequence[bytes | None]],
) -> None:
    there = [row[0] is not None for row in online]
    for row in np.flatnonzero(~np.array(there)).tolist():
        report.add(Difference(view.name, WHOLE_ROW, mine_ids[row].decode(), "not there", "there"))
    stored = np.array(there)
    times, *features = zip(*online, strict=True)
    for row, found, expected in _different_times(times, columns[view.time_column]):
        report.add(Difference(view.name, view.time_column, mine_ids[row].decode(), found, expected))
    for (name, kind), values in zip(view.types.items(), features, strict=True):
        report.values += int(stored.sum())
        for row, found, expected in _different(kind, values, columns[name]):
            if stored[row]:
                report.add(Difference(view.name, name, mine_ids[row].decode(), found, expected))


def _different(kind: str, online: Sequence[bytes | None], offline: Column) -> Iterator[tuple[int, str, str]]:
    """Rows whose values differ, and both values as text."""
    reals = online_format.decode_reals(online) if kind == "DOUBLE" else None
    if reals is not None:
        for row in np.flatnonzero(_different_bits(*reals, offline)).tolist():
            here = repr(float(reals[0][row])) if reals[1][row] else "null"
            there = repr(float(offline.values[row])) if offline.present[row] else "null"
            yield row, here, there
        return
    memory: dict[bytes | None, Any] = {value: online_format.decode(value) for value in set(online)}
    for row, (value, there) in enumerate(zip(online, _plain(kind, offline), strict=True)):
        here = memory[value]
        if type(here) is not type(there) or (
            here != there if not isinstance(here, float) else repr(here) != repr(there)
        ):
            yield row, _text(here), _text(there)


def _different_bits(values: NDArray[np.float64], present: NDArray[np.bool_], offline: Column) -> NDArray[np.bool_]:
    same_bits = values.view(np.int64) == offline.values.view(np.int64)
    different: NDArray[np.bool_] = (present != offline.present) | (present & ~same_bits)
    return different


def _plain(kind: str, column: Column) -> list[Any]:
    """Gold's values as the online store gives them: texts decoded, times to the second, which is what it stores."""
    plain: list[Any] = column.values.tolist()
    if kind == "STRING":
        plain = [value.decode() for value in plain]
    elif kind == "UNIX_TIMESTAMP":
        plain = [
            _EPOCH + timedelta(seconds=value // 1_000_000) if there else None
            for value, there in zip(plain, column.present.tolist(), strict=True)
        ]
    return [value if there else None for value, there in zip(plain, column.present.tolist(), strict=True)]


def _different_times(online: Sequence[bytes | None], offline: Column) -> Iterator[tuple[int, str, str]]:
    memory = {value: online_format.decode_time(value) for value in set(online) if value is not None}
    for row, (value, there) in enumerate(zip(online, offline.values.tolist(), strict=True)):
        if value is not None and memory[value] != there:
            yield row, _moment(memory[value]), _moment(there)


def _moment(microseconds: int) -> str:
    return str(_EPOCH + timedelta(microseconds=microseconds))


def _text(value: Any) -> str:
    return "null" if value is None else repr(value) if not isinstance(value, datetime) else str(value)
