"""The publishers as the outermost nodes of the lineage graph. Nothing here is materialised: they are not ours."""

from __future__ import annotations

import dagster as dg

EIA = dg.AssetKey(["publishers", "eia"])
GLOBAL_ENERGY_MONITOR = dg.AssetKey(["publishers", "global_energy_monitor"])
WORLD_BANK = dg.AssetKey(["publishers", "world_bank"])
OUR_WORLD_IN_DATA = dg.AssetKey(["publishers", "our_world_in_data"])
DOCUMENTS = dg.AssetKey(["publishers", "documents"])

_DESCRIPTIONS = {
    EIA: "U.S. Energy Information Administration: every U.S. coal mine, every year (public domain).",
    GLOBAL_ENERGY_MONITOR: "Global Energy Monitor: coal mines of the world, their owners and notes (CC BY 4.0).",
    WORLD_BANK: "World Bank Pink Sheet: monthly commodity prices (CC BY 4.0).",
    OUR_WORLD_IN_DATA: "Our World in Data: energy and CO2 by country and year (CC BY 4.0).",
    DOCUMENTS: "Documents that a user puts in the landing folder's `documents/`.",
}


def publisher_specs() -> list[dg.AssetSpec]:
    """One external asset per publisher."""
    return [
        dg.AssetSpec(key, group_name="publishers", description=text, owners=["team:data"], kinds={"file"})
        for key, text in _DESCRIPTIONS.items()
    ]
