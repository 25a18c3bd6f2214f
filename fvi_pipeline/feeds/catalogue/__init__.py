"""The feeds: one declarative description each, a module per publisher, and nothing else. How a description is read
belongs to `parse`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fvi_pipeline.feeds.catalogue.apis import (
    EIA_API_COAL_PRICES,
    EIA_API_MINE_PRODUCTION,
    IMF_OUTLOOK,
    UN_COMTRADE_COAL,
    WORLD_BANK_INDICATORS,
)
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
            EIA_API_MINE_PRODUCTION,
            EIA_API_COAL_PRICES,
            WORLD_BANK_INDICATORS,
            UN_COMTRADE_COAL,
            IMF_OUTLOOK,
        )
    }
)
"""Every feed by its name, which is also the name of its landing table."""
