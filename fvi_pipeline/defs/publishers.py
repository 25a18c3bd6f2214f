"""The publishers as the outermost nodes of the lineage graph. Nothing here is materialised: they are not ours."""

from __future__ import annotations

import re

import dagster as dg

from fvi_pipeline.feeds.catalogue import FEEDS

DOCUMENTS = dg.AssetKey(["publishers", "documents"])


def publisher_key(publisher: str) -> dg.AssetKey:
    """Key of a publisher's asset, from the name that its feeds' descriptions give."""
    return dg.AssetKey(["publishers", re.sub(r"[^a-z0-9]+", "_", publisher.lower().replace(".", "")).strip("_")])


def publisher_specs() -> list[dg.AssetSpec]:
    """One external asset per publisher of the catalogue, and one for a user's own documents."""
    feeds_of: dict[str, list[str]] = {}
    for feed in FEEDS.values():
        feeds_of.setdefault(feed.publisher, []).append(f"{feed.title} ({feed.licence})")
    descriptions = {publisher_key(name): f"{name}: {'; '.join(feeds)}." for name, feeds in feeds_of.items()}
    descriptions[DOCUMENTS] = "Documents that a user puts in the landing folder's `documents/`."
    return [
        dg.AssetSpec(key, group_name="publishers", description=text, owners=["team:data"], kinds={"file"})
        for key, text in descriptions.items()
    ]
