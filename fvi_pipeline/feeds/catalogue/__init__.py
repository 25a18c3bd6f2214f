"""The feeds: one declarative description each, a module per publisher, and nothing else. How a description is read
belongs to `parse`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fvi_pipeline.feeds.catalogue.eia import EIA_COAL_MINES
from fvi_pipeline.feeds.catalogue.gem import GEM_COAL_MINES, GEM_MINE_FEATURES
from fvi_pipeline.feeds.catalogue.owid import OWID_CO2, OWID_ENERGY
from fvi_pipeline.feeds.catalogue.world_bank import WORLD_BANK_PRICES
from fvi_pipeline.feeds.description import Feed

FEEDS: Mapping[str, Feed] = MappingProxyType(
    {
        feed.name: feed
        for feed in (
            EIA_COAL_MINES,
            GEM_COAL_MINES,
            GEM_MINE_FEATURES,
            WORLD_BANK_PRICES,
            OWID_ENERGY,
            OWID_CO2,
        )
    }
)
"""Every feed by its name, which is also the name of its landing table."""
