"""The version of what the online store holds: answers that were kept under another one are out of date.

It changes with every materialisation. While one writes, the version says so, and nothing is kept: a reader could have
seen half of it. A writer that is killed leaves it so, until the next one ends. Who keeps answers belongs to serving.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import redis

VERSION_KEY = "fvi:online:version"
NEWEST_YEAR_KEY = "fvi:online:newest_year"
"""The as-of year that mines are scored for: one whose newest row is older has left the panel."""
_WRITING = "~"


def new_version() -> str:
    """A version that sorts after all before it."""
    return f"{time.time_ns():020d}"


def is_settled(version: bytes | None) -> bool:
    """Whether answers may be kept under the version: it is known, and nobody is writing."""
    return version is not None and not version.startswith(_WRITING.encode())


@contextmanager
def writing(client: redis.Redis) -> Iterator[None]:
    """Around everything that changes what serving reads online: the version is unsettled inside, a new one after."""
    client.set(VERSION_KEY, _WRITING + new_version())
    yield
    client.set(VERSION_KEY, new_version())
