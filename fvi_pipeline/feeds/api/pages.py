"""All pages of one query: whole and consistent, or an error. Where they are kept belongs to `fetch`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fvi_pipeline.feeds.api.client import Answer, ApiError
from fvi_pipeline.feeds.api.description import ApiQuery, JsonApi, OnePage
from fvi_pipeline.feeds.json_records import JsonRecords, records

_MOST_PAGES = 1_000
PageGetter = Callable[[int], Answer]


def all_pages(get: PageGetter, api: JsonApi, query: ApiQuery, where: JsonRecords) -> list[Answer]:
    """Every page of a query in order; an empty list if the publisher has no records for it.

    Raises:
        ApiError: a page has another shape than described, the pages do not make up the total that they state, or the
            publisher changed its data between two pages.
    """
    pages: list[Answer] = []
    held = 0
    total: int | None = None
    for number in range(1, _MOST_PAGES + 1):
        answer = get(number)
        count = _count_records(answer.document, query, where)
        stated = api.paging.total_records(answer.document)
        if number > 1 and stated != total:
            raise ApiError(f"{query.name}: the publisher changed its data between two pages; the next run reads them")
        total = stated
        held += count
        pages.append(answer)
        if number >= api.paging.page_count(answer.document) or count == 0:
            break
    if total is not None and held != total:
        raise ApiError(f"{query.name}: the pages have {held:,} records, but the publisher states {total:,}")
    if isinstance(api.paging, OnePage) and api.paging.most_records is not None and held >= api.paging.most_records:
        raise ApiError(f"{query.name}: the answer is cut off at {held:,} records; its description must ask for less")
    return pages if held else []


def _count_records(document: Any, query: ApiQuery, where: JsonRecords) -> int:
    found = records(document, where)
    if found is None:
        place = ".".join(str(step) for step in where.path)
        raise ApiError(f"{query.name}: the answer has no records at {place}; the publisher may have changed its form")
    return len(found)
