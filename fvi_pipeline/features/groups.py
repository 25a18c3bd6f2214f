"""Fact groups: which kinds of fact a feature is computed from, and which column tells since when they are known.

A group follows from the `sources` that a column's description names. What the sources themselves mean, row by row, is
read in `fvi_pipeline.trace`; the times are computed by the gold models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fvi_pipeline.features.errors import CatalogueError

if TYPE_CHECKING:
    from fvi_pipeline.features.catalogue import FeatureColumn

# MODEL.COLUMN[PERIOD; SCOPE]: only the model and whether there is a scope decide about the group
_SOURCE = re.compile(r"(?P<model>\w+)\.\w+(?:\[[^;\]]*(?P<scope>;[^\]]*)?\])?")


@dataclass(frozen=True)
class FactGroup:
    """One kind of fact: the column of gold that has the newest time of knowing of those that a row used, and the model
    that makes its measures.
    """

    name: str
    known_at_column: str
    measures_model: str


OWN = FactGroup("own", "own_facts_known_at", "gold_mine_own_measures")
PEERS = FactGroup("peers", "peer_facts_known_at", "gold_mine_peer_measures")
PRICES = FactGroup("prices", "prices_known_at", "gold_market_measures")
ENERGY = FactGroup("energy", "energy_known_at", "gold_market_measures")
TRACKER = FactGroup("tracker", "tracker_known_at", "silver_mine_tracker_history")
GROUPS: tuple[FactGroup, ...] = (OWN, PEERS, PRICES, ENERGY, TRACKER)

_PANEL = "silver_mine_years"
_GROUP_OF_MODEL: Mapping[str, FactGroup] = {
    "silver_commodity_prices": PRICES,
    "silver_country_energy": ENERGY,
    "silver_mine_tracker_history": TRACKER,
}


def groups_of(column: FeatureColumn) -> tuple[FactGroup, ...]:
    """The groups of the facts that a column is computed from, in the order of `GROUPS`; none for a column that names
    no sources.

    Raises:
        CatalogueError: a source cannot be read, or is of a model that belongs to no group.
    """
    return groups_of_sources(column.name, column.sources)


def groups_of_sources(name: str, sources: Iterable[str]) -> tuple[FactGroup, ...]:
    """The same for the column `name` and its sources, before they are a column."""
    found = {_group(name, source) for source in sources}
    return tuple(group for group in GROUPS if group in found)


def _group(name: str, source: str) -> FactGroup:
    parts = _SOURCE.fullmatch(source.strip())
    if parts is None:
        raise CatalogueError(f"{name}: {source!r} is not a source: write MODEL.COLUMN[PERIOD; SCOPE].")
    if parts["model"] == _PANEL:
        return PEERS if parts["scope"] else OWN
    try:
        return _GROUP_OF_MODEL[parts["model"]]
    except KeyError:
        known = ", ".join((_PANEL, *_GROUP_OF_MODEL))
        raise CatalogueError(f"{name}: {source!r} belongs to no fact group: name one of {known}.") from None
