"""What the description of a JSON API is made of: its calls, how its pages are asked for, the key it wants and how it
states an error. The descriptions themselves are in `catalogue`; nothing is called here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fvi_pipeline.feeds.json_records import JsonPath, value_at


class KeyPlace(StrEnum):
    """Where a call carries its key."""

    QUERY = "query"
    HEADER = "header"


@dataclass(frozen=True)
class ApiKey:
    """A key that the publisher hands out. It is read from the environment variable `variable` and sent as the query
    parameter or header `name`; `register_at` is where one gets it.
    """

    variable: str
    place: KeyPlace
    name: str
    register_at: str


@dataclass(frozen=True)
class OffsetPages:
    """Pages of `size` records, asked for by the place of their first one. `total` leads to the number of all."""

    offset: str
    length: str
    size: int
    total: JsonPath

    def parameters(self, page: int) -> dict[str, str]:
        """The parameters that ask for a page, counted from 1."""
        return {self.offset: str((page - 1) * self.size), self.length: str(self.size)}

    def total_records(self, document: Any) -> int | None:
        """How many records all pages have together, as an answer says."""
        return _count(document, self.total)

    def page_count(self, document: Any) -> int:
        """How many pages there are, as an answer says."""
        return math.ceil((self.total_records(document) or 0) / self.size)


@dataclass(frozen=True)
class NumberedPages:
    """Pages of `size` records, asked for by number. `pages` leads to how many there are, `total` to the number of all
    records.
    """

    page: str
    length: str
    size: int
    pages: JsonPath
    total: JsonPath

    def parameters(self, page: int) -> dict[str, str]:
        """The parameters that ask for a page, counted from 1."""
        return {self.page: str(page), self.length: str(self.size)}

    def total_records(self, document: Any) -> int | None:
        """How many records all pages have together, as an answer says."""
        return _count(document, self.total)

    def page_count(self, document: Any) -> int:
        """How many pages there are, as an answer says."""
        return _count(document, self.pages) or 0


@dataclass(frozen=True)
class OnePage:
    """An answer that comes whole, or cut off at `most_records`. `total` leads to its own count, if it has one."""

    most_records: int | None = None
    total: JsonPath | None = None

    def parameters(self, page: int) -> dict[str, str]:
        """Nothing: there is one page only."""
        return {}

    def total_records(self, document: Any) -> int | None:
        """How many records the answer says it has."""
        return None if self.total is None else _count(document, self.total)

    def page_count(self, document: Any) -> int:
        """One."""
        return 1


Paging = OffsetPages | NumberedPages | OnePage


@dataclass(frozen=True)
class ApiQuery:
    """One call: `name` is that of the file that its answer becomes, `path` goes behind the API's address. `year` is the
    one that it asks for, where there is a call for each.
    """

    name: str
    path: str
    parameters: tuple[tuple[str, str], ...] = ()
    year: int | None = None


@dataclass(frozen=True)
class JsonApi:
    """A publisher's JSON API: where it is, what is asked, and how fast.

    `errors` lead to what an answer holds only when it is an error, whatever its HTTP status; the first one found is
    told. `calls_per_second` is what the publisher asks clients to keep to.
    """

    address: str
    queries: tuple[ApiQuery, ...]
    paging: Paging
    errors: tuple[JsonPath, ...]
    calls_per_second: float
    key: ApiKey | None = None


def _count(document: Any, path: JsonPath) -> int | None:
    """A count that some publishers write as a text."""
    try:
        return int(value_at(document, path))
    except (TypeError, ValueError):
        return None
