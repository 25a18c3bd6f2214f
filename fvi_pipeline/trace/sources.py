"""What a column is computed from: the `meta.sources` of the dbt project's descriptions, read and checked.

A source is `MODEL.COLUMN[PERIOD; SCOPE; …]`, or `MODEL.COLUMN` where a row is made from the same row one layer down.
Without `meta.sources` a column comes from the column of the same name. Following sources in the warehouse belongs to
the modules of the layers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml

from fvi_pipeline.trace.errors import SourcesError

_SOURCE = re.compile(r"(?P<model>\w+)\.(?P<column>\w+)(?:\[(?P<period>[^;\]]+)(?:;\s*(?P<scope>[^\]]+))?\])?")
_STEP = re.compile(r"(?P<anchor>t|newest)(?:-(?P<steps>\d+))?")
_PEERS = re.compile(r"(?P<who>rows|mines) with same (?P<columns>\w+(?:, \w+)*)(?: at t-(?P<before>\d+))?")
_EVERYBODY: Mapping[str, bool] = {"all rows": False, "all mines": True}
_OF_THE_MINE = "of the mine"

Anchor = Literal["t", "newest"]
Membership = Literal["panel", "tracker"]
_MEMBERS: Mapping[str, Membership] = {"mines of the panel": "panel", "mines of the tracker": "tracker"}


@dataclass(frozen=True)
class Period:
    """Steps before the anchor: years before the as-of year `t`, or periods before the newest one known.

    `first` is the earliest (None: from the beginning), `last` the latest; both count and are 0 at the anchor.
    """

    anchor: Anchor
    first: int | None
    last: int

    def holds(self, year: int, as_of_year: int) -> bool:
        """Whether a year is in the period, for a period that is anchored at `t`."""
        ago = as_of_year - year
        return ago >= self.last and (self.first is None or ago <= self.first)


@dataclass(frozen=True)
class Peers:
    """The rows beside the mine's own: those that share `columns` with it, null never shared; all rows of the panel when
    there are no columns.

    They share it in their own year, or `shared_before` years before t. With `mines_only`, rows that name no mine do
    not count.
    """

    columns: tuple[str, ...]
    mines_only: bool
    shared_before: int | None


@dataclass(frozen=True)
class Source:
    """One column of another model that a column is computed from; `text` is the source as the description has it.

    `country` is a country's name, or "of the mine". `members` restricts the source to mines with, or without, a row in
    the panel.
    """

    text: str
    model: str
    column: str
    period: Period | None = None
    peers: Peers | None = None
    country: str | None = None
    members: Membership | None = None

    def country_for(self, country_of_mine: str | None) -> str | None:
        """The country that the source names, or the mine's."""
        return country_of_mine if self.country == _OF_THE_MINE else self.country


@dataclass(frozen=True)
class Lineage:
    """The described sources of every model's columns."""

    described: Mapping[tuple[str, str], tuple[Source, ...]]

    def sources(self, model: str, column: str) -> tuple[Source, ...]:
        """Sources that the description names; empty when it names none."""
        return self.described.get((model, column), ())

    def columns(self, model: str) -> tuple[str, ...]:
        """Columns of a model that name sources, in the order of the description."""
        return tuple(column for found, column in self.described if found == model)

    def columns_below(self, model: str, column: str) -> tuple[str, ...]:
        """The same row's columns one layer down: the described ones, or the one of the same name."""
        return tuple(source.column for source in self.sources(model, column)) or (column,)


def parse_source(text: str) -> Source:
    """Read one source.

    Raises:
        SourcesError: it is not of the form MODEL.COLUMN[PERIOD; SCOPE].
    """
    found = _SOURCE.fullmatch(text.strip())
    if found is None:
        raise SourcesError(f"{text!r} is not a source: write MODEL.COLUMN[PERIOD; SCOPE].")
    period = _period(found["period"], text) if found["period"] else None
    named: dict[str, Any] = {}
    for scope in filter(None, (part.strip() for part in (found["scope"] or "").split(";"))):
        named |= _scope(scope, text)
    return Source(text.strip(), found["model"], found["column"], period, **named)


@lru_cache(maxsize=4)
def load_lineage(dbt_project_dir: Path) -> Lineage:
    """The sources of every column that names some, from every yml below `models` of the dbt project.

    Raises:
        SourcesError: a source cannot be read; every faulty one is listed.
    """
    described: dict[tuple[str, str], tuple[Source, ...]] = {}
    faults: list[str] = []
    for path in sorted((dbt_project_dir / "models").rglob("*.yml")):
        for model in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("models") or []:
            for column in model.get("columns") or []:
                sources = []
                for text in _meta(column).get("sources") or ():
                    try:
                        sources.append(parse_source(str(text)))
                    except SourcesError as error:
                        faults.append(f"{model['name']}.{column['name']}: {error}")
                if sources:
                    described[str(model["name"]), str(column["name"])] = tuple(sources)
    if faults:
        raise SourcesError(" ".join(faults))
    return Lineage(described)


def _period(text: str, source: str) -> Period:
    first, dots, last = (part.strip() for part in text.partition(".."))
    if not dots:
        anchor, steps = _step(first, source)
        return Period(anchor, steps, steps)
    last_anchor, last_steps = _step(last, source)
    if not first:
        return Period(last_anchor, None, last_steps)
    first_anchor, first_steps = _step(first, source)
    if first_anchor != last_anchor or first_steps < last_steps:
        raise SourcesError(f"{source!r} has a period that runs backwards or from one anchor to another.")
    return Period(last_anchor, first_steps, last_steps)


def _step(text: str, source: str) -> tuple[Anchor, int]:
    found = _STEP.fullmatch(text)
    if found is None:
        raise SourcesError(f"{source!r} has an unknown period: write t, t-1, t-4..t, ..t, newest or newest-11..newest.")
    return ("t" if found["anchor"] == "t" else "newest"), int(found["steps"] or 0)


def _scope(scope: str, source: str) -> dict[str, Any]:
    if scope in _MEMBERS:
        return {"members": _MEMBERS[scope]}
    if scope.startswith("country "):
        return {"country": scope.removeprefix("country ")}
    if scope in _EVERYBODY:
        return {"peers": Peers((), _EVERYBODY[scope], None)}
    if peers := _PEERS.fullmatch(scope):
        before = int(peers["before"]) if peers["before"] else None
        return {"peers": Peers(tuple(peers["columns"].split(", ")), peers["who"] == "mines", before)}
    raise SourcesError(
        f"{source!r} has an unknown scope: write `rows with same X, Y`, `mines with same X at t-1`, `all rows`, "
        "`all mines`, `country NAME`, `country of the mine`, `mines of the panel` or `mines of the tracker`."
    )


def _meta(column: Mapping[str, Any]) -> Mapping[str, Any]:
    # dbt reads both places; `config.meta` is the newer one
    meta: Mapping[str, Any] = (column.get("config") or {}).get("meta") or column.get("meta") or {}
    return meta
