"""What a search may show: a mine's passages, kinds of sources, a language, what was known by a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from numpy.typing import NDArray

# So few passages are compared one by one, which is exact; of more, those that a search finds first are asked.
NARROW = 5_000


@dataclass(frozen=True)
class Filter:
    """Conditions that a passage has to meet, all of them; None: any."""

    mine_id: str | None = None
    kinds: Sequence[str] | None = None
    language: str | None = None
    """ISO 639-1; passages too short to tell are not of any language."""
    known_by: datetime | None = None
    """A passage from after this time is never shown."""

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of `condition`."""
        named = {
            "mine": None if self.mine_id is None else [self.mine_id],
            "kinds": None if self.kinds is None else list(self.kinds),
            "language": self.language,
            "known_by": self.known_by,
        }
        return {name: value for name, value in named.items() if value is not None}

    @property
    def condition(self) -> sql.Composable:
        """The condition on evidence.passages as p."""
        conditions = [sql.SQL(_CONDITIONS[name]) for name in self.values]
        return sql.SQL(" and ").join(conditions) if conditions else sql.SQL("true")


_CONDITIONS = {
    "mine": "p.mine_ids @> %(mine)s::text[]",
    "kinds": "p.kind = any(%(kinds)s::text[])",
    "language": "p.language = %(language)s",
    "known_by": "p.known_at <= %(known_by)s",
}


def narrow_to(connection: psycopg.Connection, only: Filter) -> "NDArray[np.int64] | None":
    """Return the numbers of all passages that meet the filter; None when it is none, or they are more than NARROW."""
    if not only.values:
        return None
    rows = connection.execute(
        sql.SQL("select p.passage_no from evidence.passages as p where {} limit {}").format(
            only.condition, sql.Literal(NARROW + 1)
        ),
        only.values,
    ).fetchall()
    return np.array([number for (number,) in rows], np.int64) if len(rows) <= NARROW else None
