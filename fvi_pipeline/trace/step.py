"""One step of the way of a number, as data. Finding steps belongs to the layers' modules, printing to `cli`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

Layer = Literal["mart", "gold", "silver", "bronze", "file"]


@dataclass(frozen=True)
class Step:
    """A value (or many, `rows`) in one table, what is known about it, and the steps that it came from.

    Attributes:
        layer: where on the way it is.
        table: schema and table.
        column: the column, when the step is about one.
        row: which row, in words.
        value: the column's value there; of many rows, what they add up to or None.
        details: times, versions and whatever else says why this row: in the order of printing.
        rows: the single rows of a step that stands for many.
        sources: the steps before this one on the number's way.
    """

    layer: Layer
    table: str
    column: str | None
    row: str
    value: Any = None
    details: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[Mapping[str, Any], ...] = ()
    sources: tuple[Step, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The step and all before it as JSON's types: times in ISO 8601, empty parts left out."""
        found = {
            "layer": self.layer,
            "table": self.table,
            "column": self.column,
            "row": self.row,
            "value": plain(self.value),
            "details": {name: plain(value) for name, value in self.details.items()},
            "rows": [{name: plain(value) for name, value in row.items()} for row in self.rows],
            "sources": [step.as_json() for step in self.sources],
        }
        return {name: value for name, value in found.items() if name == "value" or value not in (None, [], {})}

    def files(self) -> dict[int, Step]:
        """Every file that the number rests on, by file_id, in the order of the way."""
        found: dict[int, Step] = {}
        if self.layer == "file":
            found[int(self.details["file_id"])] = self
        for step in self.sources:
            for file_id, file in step.files().items():
                found.setdefault(file_id, file)
        return found


def plain(value: Any) -> Any:
    """A database's value as one that JSON has."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
