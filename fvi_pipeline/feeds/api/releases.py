"""What the answers of JSON APIs cover, and when that became public. Releases of files belong to `feeds.releases`."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

from fvi_pipeline.feeds.description import Release, ReleaseContext
from fvi_pipeline.feeds.releases import eia_release


def eia_api_year_release(context: ReleaseContext) -> Release:
    """A year's answer, known when the year's file is.

    Raises:
        UnreadableFileError: the file's name says another year than its rows.
    """
    return _of_page(eia_release(context), context)


def eia_api_release(context: ReleaseContext) -> Release:
    """An answer with all years. It does not say when it was published."""
    return _of_page(Release("all years", None), context)


def world_bank_api_release(context: ReleaseContext) -> Release:
    """An indicator's answer, known when the World Bank last updated it. A later update restates the indicator."""
    indicator = str(context.frames[""]["indicator_code"][0])
    for text in context.texts:
        found = re.fullmatch(r"0\.lastupdated: ([0-9]{4}-[0-9]{2}-[0-9]{2})", text)
        if found is None:
            continue
        try:
            updated = datetime.fromisoformat(found.group(1)).replace(tzinfo=UTC)
        except ValueError:
            break  # such a day does not exist: the answer says nothing about its update
        return _of_page(Release(indicator, updated), context)
    return _of_page(Release(indicator, None), context)


def comtrade_release(context: ReleaseContext) -> Release:
    """A year's answer. Countries report when they can, and the answer does not say when."""
    return _of_page(Release(str(context.frames[""]["as_of_year"][0]), None), context)


def imf_release(context: ReleaseContext) -> Release:
    """An indicator's answer. It does not say which Outlook it belongs to."""
    return _of_page(Release(str(context.frames[""]["indicator_code"][0]), None), context)


def _of_page(release: Release, context: ReleaseContext) -> Release:
    """Each page of an answer covers facts of its own: the second is no restatement of the first."""
    page = re.search(r"\.page-([0-9]+)\.json$", context.name)
    if page is None or page.group(1) == "1":
        return release
    return replace(release, period=f"{release.period} page {page.group(1)}")
