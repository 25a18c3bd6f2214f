"""The models in force as one immutable value: champion, perhaps a challenger, and which of them answers for a mine.

Where models come from and when they change belongs in `board`.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final, Literal, Protocol

from fvi_pipeline.model.online_answers import records_key
from fvi_pipeline.model.scoring import ViabilityModel

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
_SHARES = 10_000


@dataclass(frozen=True)
class MineFields:
    """Where the online store keeps what a model reads of a mine: see feature_reader.FeatureLayouts."""

    project: str
    join_key: str
    names: tuple[str, ...]
    """The model's features in their order, then the context."""
    fields: tuple[bytes, ...]
    """The fields of a mine's hash, one a name."""
    types: Mapping[str, str]
    """Feast's type of each feature: DOUBLE, INT64, BOOL …"""

    def read_command(self, key: bytes) -> bytes:
        """The command that reads a mine's hash, as Redis reads it: packing a hundred names takes longer than asking."""
        before, after = self._around_the_key
        return b"%b$%d\r\n%b\r\n%b" % (before, len(key), key, after)

    @cached_property
    def _around_the_key(self) -> tuple[bytes, bytes]:
        names = b"".join([b"$%d\r\n%b\r\n" % (len(field), field) for field in self.fields])
        return b"*%d\r\n$5\r\nHMGET\r\n" % (2 + len(self.fields)), names

    def of(self, features: Sequence[str], context: Sequence[str]) -> MineFields | None:
        """The same for a model with these features of the same service; None when one is not known."""
        known = dict(zip(self.names, self.fields, strict=True))
        names = (*features, *context)
        if not known.keys() >= set(names):
            return None
        types = {name: self.types[name] for name in features if name in self.types}
        return MineFields(self.project, self.join_key, names, tuple(known[name] for name in names), types)


@dataclass(frozen=True)
class ServedModel:
    """A loaded model, ready to answer: its registered version, its arm, and where its features are."""

    model: ViabilityModel
    version: str
    arm: Literal["champion", "challenger"]
    fields: MineFields
    since: datetime

    @property
    def name(self) -> str:
        """The registered name."""
        return self.model.metadata.name

    @property
    def feature_service(self) -> str:
        """The feature service that the model was made with."""
        return self.model.metadata.feature_service

    @cached_property
    def positions(self) -> dict[str, int]:
        """The column of each feature."""
        return {name: column for column, name in enumerate(self.model.features)}

    @cached_property
    def limits(self) -> dict[str, tuple[float, float]]:
        """The range of what-if values of each feature."""
        return {name: widened(*ends) for name, ends in self.model.training_ranges.items()}

    @cached_property
    def records(self) -> str:
        """Where the online store has the model's scores and reasons."""
        return records_key(self.model.onnx_sha256)


@dataclass(frozen=True)
class Standing:
    """The models in force at one moment; replaced whole, so that a request never sees half a change."""

    champion: ServedModel
    challenger: ServedModel | None = None
    share: float = 0.0
    """Share of the mines that the challenger is asked for, 0 to 1."""
    mode: Literal["route", "shadow"] = "route"

    def of(self, mine_id: str) -> ServedModel:
        """The model that answers for the mine: always the same one while the share stays."""
        if self.challenger is None or self.mode == "shadow" or not self.drawn(mine_id):
            return self.champion
        return self.challenger

    def drawn(self, mine_id: str) -> bool:
        """Whether the mine is of the challenger's share."""
        return zlib.crc32(mine_id.encode()) % _SHARES < self.share * _SHARES


class Board(Protocol):
    """Holds the standing; reading the attribute is all that a request does."""

    standing: Standing


@dataclass
class FixedBoard:
    """A board on which nothing moves."""

    standing: Standing


def widened(low: float, high: float) -> tuple[float, float]:
    """The range that what-if values may lie in, given that of the training data."""
    width = max(high - low, 1e-9)
    return (max(low - width, 0.0) if low >= 0 else low - width), high + width
